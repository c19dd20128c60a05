use core::error::Error;
use core::fmt;
use core::ops::Range;

use forebay_core_frame::{HeaderRing, Loan, Slot};

use crate::{HEADER_LEN, Header, MaxPayload};

/// Bytes of one header slot: a header and a short encoded prefix. One cache line.
pub const SLOT_LEN: usize = 64;

/// One frame to write: first the bytes of its slot, then the payload, which only the shell knows.
/// Frames must be written in the order in which they were handed out.
///
/// The slot stays on loan until it is given back by `handle_sent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// What to give back once the bytes are sent.
    pub slot: Slot,
    /// What the first bytes of the slot say.
    pub header: Header,
    /// Bytes at the front of the slot: the header and the prefix of the payload.
    pub head_len: u8,
    /// Bytes of payload behind them: what the caller announced in [`Body::payload_len`], 0 for a
    /// frame that lies in its slot entirely.
    pub payload_len: u32,
}

/// The payload of a frame to be written: a few bytes that go into the slot and a span that the
/// shell keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Body<'a> {
    /// Copied into the slot behind the header, at most [`Body::PREFIX_LEN_MAX`] bytes.
    pub prefix: &'a [u8],
    /// Bytes that follow from the shell's memory.
    pub payload_len: u32,
}

/// A frame was not handed out. Nothing changed, unless the variant says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError {
    /// Every slot is on loan: try again after the next `handle_sent`.
    NotNow,
    /// As many requests are in flight as the table has room for.
    TableFull,
    /// The session is not connected, or not any more.
    NotConnected,
    /// The call has ended: its final frame was handed out, or it was closed.
    Ended,
    /// The parent gave the call up, so nothing need be sent. A final frame ends the call all the
    /// same.
    Aborted,
    /// This kind of answer is not one that the method gives.
    WrongReply,
    /// The method or event was never announced.
    Unknown,
    /// The payload is longer than 2^31 - 1 bytes, or the prefix longer than its place.
    TooLong,
    /// The memory for the slots is shorter than the ring needs.
    SlotMemory,
}

impl Transmit {
    /// Where the slot's bytes for this frame lie in the shell's memory for all slots.
    #[inline]
    #[must_use]
    pub fn head_range(&self) -> Range<usize> {
        let start = self.slot.index().saturating_mul(SLOT_LEN);
        start..start.saturating_add(usize::from(self.head_len))
    }

    /// The slot's bytes for this frame; empty if `slots` is not the memory it was written to.
    #[inline]
    #[must_use]
    pub fn head<'b>(&self, slots: &'b [u8]) -> &'b [u8] {
        slots.get(self.head_range()).unwrap_or(&[])
    }

    /// The slot's bytes behind the header, the prefix of the payload.
    #[inline]
    #[must_use]
    pub fn prefix<'b>(&self, slots: &'b [u8]) -> &'b [u8] {
        self.head(slots).get(HEADER_LEN..).unwrap_or(&[])
    }
}

impl<'a> Body<'a> {
    /// No payload at all.
    pub const EMPTY: Self = Self { prefix: &[], payload_len: 0 };
    /// Most bytes of a prefix.
    pub const PREFIX_LEN_MAX: usize = SLOT_LEN - HEADER_LEN;

    /// A payload of `len` bytes in the shell's memory.
    #[must_use]
    pub const fn span(len: u32) -> Self {
        Self { prefix: &[], payload_len: len }
    }

    /// A payload that lies in the slot entirely.
    #[must_use]
    pub const fn inline(prefix: &'a [u8]) -> Self {
        Self { prefix, payload_len: 0 }
    }

    /// What the header will say, if it is allowed to.
    fn len(&self) -> Option<u32> {
        let prefix = u32::try_from(self.prefix.len()).ok()?;
        let len = prefix.checked_add(self.payload_len)?;
        (len <= MaxPayload::CEILING.bytes()).then_some(len)
    }
}

/// Everything of a frame but the length, which follows from its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) id: crate::WireId,
    pub(crate) flags: crate::Flags,
    pub(crate) request: Option<crate::RequestId>,
}

/// Lends a slot and fills it.
#[inline]
pub(crate) fn transmit<L: AsRef<[Loan]> + AsMut<[Loan]>>(
    ring: &mut HeaderRing<L>,
    head: Head,
    body: Body<'_>,
    slots: &mut [u8],
) -> Result<Transmit, SendError> {
    let payload_len = body.len().ok_or(SendError::TooLong)?;
    let head_len = HEADER_LEN.saturating_add(body.prefix.len());
    if head_len > SLOT_LEN {
        return Err(SendError::TooLong);
    }
    if slots.len() < ring.bytes_len() {
        return Err(SendError::SlotMemory);
    }
    let slot = ring.lend().ok_or(SendError::NotNow)?;
    let header = Header { id: head.id, flags: head.flags, request: head.request, payload_len };
    let bytes = ring.slot_mut(slot, slots).unwrap_or(&mut []);
    if let Some((to, rest)) = bytes.split_first_chunk_mut::<HEADER_LEN>() {
        *to = header.emit();
        if !body.prefix.is_empty()
            && let Some(to) = rest.get_mut(..body.prefix.len())
        {
            to.copy_from_slice(body.prefix);
        }
    }
    let head_len = u8::try_from(head_len).unwrap_or(u8::MAX);
    Ok(Transmit { slot, header, head_len, payload_len: body.payload_len })
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNow => "every header slot is on loan",
            Self::TableFull => "as many requests are in flight as the table holds",
            Self::NotConnected => "not connected",
            Self::Ended => "the call has ended",
            Self::Aborted => "the call was given up by the parent",
            Self::WrongReply => "the method does not answer like this",
            Self::Unknown => "the method or event was not announced",
            Self::TooLong => "the payload or its prefix is too long",
            Self::SlotMemory => "the memory for header slots is too short",
        })
    }
}

impl Error for SendError {}
