use super::json::{JsonStr, Members, Scanner, as_string};
use super::{Init, InitError};

/// A control line, told by its `method` member alone (procwire sections 2.1 and 2.2).
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "the messages of procwire section 2.2")]
pub enum Message<'l> {
    /// The child is ready to be connected to, or says so in a way that cannot be used.
    Init(Result<Init<'l>, InitError>),
    /// The child could not start; its message, if it is a string.
    Error(Option<JsonStr<'l>>),
    /// The parent asks whether the child lives.
    Ping,
    /// The child lives.
    Pong,
    /// The parent asks the child to end.
    Shutdown,
}

impl<'l> Message<'l> {
    /// Reads a line without its end. `None` for everything that must be ignored: a line that does
    /// not begin with `{`, is not UTF-8 or not JSON, or whose method is missing or unknown.
    ///
    /// # Bound
    /// A few passes over the line; for `$init` one more for every 8,192 numbers that its ids
    /// span.
    #[must_use]
    pub fn parse(line: &'l [u8]) -> Option<Self> {
        if line.first() != Some(&b'{') {
            return None;
        }
        let line = core::str::from_utf8(line).ok()?;
        if !Scanner::is_value(line) {
            return None;
        }
        let method = Members::of(line)?.last("method").and_then(as_string)?;
        let params = Members::of(line)?.last("params");
        if method == *"$init" {
            Some(Self::Init(Init::parse(params)))
        } else if method == *"$error" {
            let message = params.and_then(Members::of).and_then(|params| params.last("message"));
            Some(Self::Error(message.and_then(as_string)))
        } else if method == *"$ping" {
            Some(Self::Ping)
        } else if method == *"$pong" {
            Some(Self::Pong)
        } else if method == *"$shutdown" {
            Some(Self::Shutdown)
        } else {
            None
        }
    }
}
