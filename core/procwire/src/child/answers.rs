use crate::child::Refusal;
use crate::id::decimal;
use crate::outgoing::Head;
use crate::{Flags, MethodId, RequestId, WireId};

/// Refusals that no slot was free for yet, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    queue: [Option<Answer>; COUNT_MAX],
    first: usize,
    count: usize,
}

/// Beyond this the session stops reading.
const COUNT_MAX: usize = 32;

/// An error frame that refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) method: MethodId,
    pub(crate) request: RequestId,
    pub(crate) reason: Refusal,
    /// Whether the method is known to be a stream, whose errors have a flag of their own.
    pub(crate) stream: bool,
}

impl Answers {
    pub(crate) const fn new() -> Self {
        Self { queue: [None; COUNT_MAX], first: 0, count: 0 }
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.count >= COUNT_MAX
    }

    /// The caller looked at `is_full` before.
    pub(crate) fn push(&mut self, answer: Answer) {
        debug_assert!(!self.is_full());
        let end = self.first.wrapping_add(self.count) % COUNT_MAX;
        if let Some(place) = self.queue.get_mut(end) {
            *place = Some(answer);
            self.count = self.count.saturating_add(1);
        }
    }

    pub(crate) fn front(&self) -> Option<Answer> {
        if self.count == 0 { None } else { *self.queue.get(self.first)? }
    }

    pub(crate) fn pop(&mut self) {
        if self.count > 0 {
            self.first = self.first.wrapping_add(1) % COUNT_MAX;
            self.count = self.count.saturating_sub(1);
        }
    }
}

impl Answer {
    pub(crate) fn head(&self) -> Head {
        let flags = if self.stream { Flags::STREAM_ERROR } else { Flags::ERROR };
        Head { id: WireId::from(self.method), flags, request: Some(self.request) }
    }

    /// Encodes the text as a MessagePack string of 31 bytes at most.
    pub(crate) fn write<'b>(&self, out: &'b mut [u8]) -> &'b [u8] {
        match self.reason {
            Refusal::UnknownMethod => {
                let end = write_unknown(self.method.value(), out);
                out.get(..end).unwrap_or(&[])
            }
            Refusal::Overload => b"\xb8too many calls in flight",
        }
    }
}

/// The text that the published child sends (procwire section 5.3), as a fixstr.
fn write_unknown(id: u16, out: &mut [u8]) -> usize {
    let mut digits = [0; 5];
    let digits = decimal(id, &mut digits).as_bytes();
    let len = UNKNOWN.len().saturating_add(digits.len());
    let fixstr = 0xA0 | u8::try_from(len).unwrap_or(0);
    let text = core::iter::once(&fixstr).chain(UNKNOWN).chain(digits);
    out.iter_mut().zip(text).map(|(to, from)| *to = *from).count()
}

const UNKNOWN: &[u8] = b"Unknown method ID: ";
