use crate::PeerError;
use crate::control::{LineSplitter, Message};

/// The control plane of a child: what the parent's lines, and their end, ask for (procwire
/// sections 2.5 to 2.7).
///
/// Drive it apart from all handlers, so that a `$ping` is answered while every one of them is
/// busy.
#[derive(Debug, Clone)]
pub struct ChildControl<S> {
    lines: LineSplitter<S>,
    ended: bool,
}

/// What one call to [`ChildControl::handle_bytes`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "its two members are what a step is")]
pub struct ControlStep {
    /// Bytes at the front of the input that are done with.
    pub used: usize,
    /// What to do; `None` when all input was taken.
    pub command: Option<Command>,
}

/// What the parent wants of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must act on each of them")]
pub enum Command {
    /// Write [`PONG_LINE`](crate::control::PONG_LINE) to stdout at once.
    Pong,
    /// End: cancel the handlers, close and unlink the socket, exit with status 0. Nothing may be
    /// written to stdout any more, nobody reads it.
    Shutdown,
}

impl<S: AsRef<[u8]> + AsMut<[u8]>> ChildControl<S> {
    /// A control plane whose longest line is the length of `storage`.
    #[must_use]
    pub const fn new(storage: S) -> Self {
        Self { lines: LineSplitter::new(storage), ended: false }
    }

    /// Takes the input up to the next line that asks for something. After `Shutdown` all input
    /// is dropped.
    ///
    /// # Errors
    /// A line is too long; the parent cannot be followed any more, so end as after `Shutdown`.
    pub fn handle_bytes(&mut self, input: &[u8]) -> Result<ControlStep, PeerError> {
        let mut used = 0_usize;
        while !self.ended {
            let rest = input.get(used..).unwrap_or(&[]);
            let step = self.lines.handle_bytes(rest).map_err(|_| PeerError::LineTooLong)?;
            used = used.saturating_add(step.used);
            let Some(line) = step.line else {
                return Ok(ControlStep { used, command: None });
            };
            let command = command(line);
            self.ended = command == Some(Command::Shutdown);
            if command.is_some() {
                return Ok(ControlStep { used, command });
            }
        }
        Ok(ControlStep { used: input.len(), command: None })
    }

    /// stdin ended: the parent is gone. `Shutdown`, unless it was asked for before.
    #[must_use]
    pub const fn handle_eof(&mut self) -> Option<Command> {
        if core::mem::replace(&mut self.ended, true) { None } else { Some(Command::Shutdown) }
    }
}

fn command(line: &[u8]) -> Option<Command> {
    match Message::parse(line)? {
        Message::Ping => Some(Command::Pong),
        Message::Shutdown => Some(Command::Shutdown),
        Message::Init(_) | Message::Error(_) | Message::Pong => None,
    }
}
