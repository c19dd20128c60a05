//! The frames of a call, as far as they lie in a slot.

use forebay_core_procwire::msgpack::{Full, Writer};
use forebay_core_procwire::{Flags, HEADER_LEN, Header, MethodId, RequestId, WireId};

use super::SLOT_LEN;

/// Bytes of a slot: before and after what the shell puts between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) head: u8,
    pub(crate) len: u8,
}

/// What a home adds to the message that a front encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallFrame {
    pub(crate) method: MethodId,
    pub(crate) request: RequestId,
    /// Bytes of the message.
    pub(crate) message: u32,
    /// Milliseconds for the response head, 0 = none.
    pub(crate) deadline_ms: u32,
    /// Bytes that the worker may send before a grant, 0 = no window.
    pub(crate) window: u32,
    pub(crate) body: crate::home::Body,
}

/// A part of a request's body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartFrame {
    pub(crate) method: MethodId,
    /// Its own request id.
    pub(crate) request: RequestId,
    /// That of its call.
    pub(crate) call: RequestId,
    pub(crate) offset: u64,
    pub(crate) last: bool,
    /// Bytes of data, or of encoded trailers.
    pub(crate) len: u32,
    pub(crate) trailers: bool,
}

impl CallFrame {
    pub(crate) fn write(&self, slot: &mut [u8; SLOT_LEN]) -> Written {
        use crate::home::Body;
        let inline = match self.body {
            Body::Inline(len) => len,
            Body::None | Body::Streamed(_) => 0,
        };
        let tail = fill(slot, |tail| {
            tail.str("d")?;
            tail.uint(self.deadline_ms.into())?;
            tail.str("w")?;
            tail.uint(self.window.into())?;
            tail.str("b")?;
            match self.body {
                Body::None => tail.nil(),
                Body::Inline(len) => tail.bin_head(len),
                Body::Streamed(len) => {
                    tail.map(1)?;
                    tail.str("l")?;
                    match len {
                        Some(len) => tail.uint(len),
                        None => tail.nil(),
                    }
                }
            }
        });
        let span = self.message.saturating_add(inline);
        let header = (self.method.into(), Some(self.request));
        let len = put_header(slot, header, tail, span);
        Written { head: HEAD, len }
    }
}

impl PartFrame {
    pub(crate) fn write(&self, slot: &mut [u8; SLOT_LEN]) -> Written {
        let prefix = fill(slot, |out| {
            out.array(if self.trailers { 5 } else { 4 })?;
            out.uint(self.call.value().into())?;
            out.uint(self.offset)?;
            out.bool(self.last)?;
            out.bin_head(if self.trailers { 0 } else { self.len })
        });
        Written::whole(put_header(slot, (self.method.into(), Some(self.request)), prefix, self.len))
    }
}

/// More window for a call's response.
pub(crate) fn write_grant(
    slot: &mut [u8; SLOT_LEN],
    method: MethodId,
    call: RequestId,
    bytes: u64,
) -> Written {
    let payload = fill(slot, |out| {
        out.array(2)?;
        out.uint(call.value().into())?;
        out.uint(bytes)
    });
    Written::whole(put_header(slot, (method.into(), None), payload, 0))
}

/// A call is no longer wanted.
pub(crate) fn write_abort(slot: &mut [u8; SLOT_LEN], call: RequestId) -> Written {
    Written::whole(put_header(slot, (WireId::ABORT, Some(call)), 0, 0))
}

/// The token, whose bytes the shell has.
pub(crate) fn write_auth(slot: &mut [u8; SLOT_LEN], len: u32) -> Written {
    Written::whole(put_header(slot, (WireId::AUTH, None), 0, len))
}

impl Written {
    const fn whole(len: u8) -> Self {
        Self { head: len, len }
    }
}

/// Bytes of a header, as they are counted in a slot.
const HEAD: u8 = 11;
const _: () = assert!(HEADER_LEN == 11);

/// Writes behind the place of the header; gives the number of bytes.
fn fill(slot: &mut [u8; SLOT_LEN], write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> u8 {
    let mut writer = Writer::new(slot.get_mut(HEADER_LEN..).unwrap_or(&mut []));
    let result = write(&mut writer);
    debug_assert!(result.is_ok(), "every prefix fits a slot");
    u8::try_from(writer.len()).unwrap_or(0)
}

/// Writes the header; gives the bytes used of the slot.
fn put_header(
    slot: &mut [u8; SLOT_LEN],
    (id, request): (WireId, Option<RequestId>),
    prefix: u8,
    span: u32,
) -> u8 {
    let payload_len = span.saturating_add(prefix.into());
    let header = Header { id, flags: Flags::REQUEST, request, payload_len };
    if let Some(to) = slot.first_chunk_mut::<HEADER_LEN>() {
        *to = header.emit();
    }
    HEAD.saturating_add(prefix)
}
