//! The head of a request.

use crate::config::{index, truncate};
use crate::target::Target;

/// Room for what is known of one field line: positions, no bytes. The caller brings as many as its
/// limit on fields: `[const { FieldSlot::uninit() }; 96]`. What they hold before a call does not
/// matter, so they can be used again for the next head.
#[derive(Debug, Clone, Copy)]
pub struct FieldSlot {
    /// Counted from the start of the first field line.
    name: u32,
    name_end: u32,
    value: u32,
    value_end: u32,
}

impl FieldSlot {
    /// A slot that was not used yet.
    #[must_use]
    pub const fn uninit() -> Self {
        Self { name: 0, name_end: 0, value: 0, value_end: 0 }
    }

    /// Where the parts of a field are; a limit of 32 bits bounds each position.
    #[inline(always)]
    pub(crate) fn new(name: usize, name_end: usize, value: usize, value_end: usize) -> Self {
        Self {
            name: truncate(name),
            name_end: truncate(name_end),
            value: truncate(value),
            value_end: truncate(value_end),
        }
    }
}

/// The protocol version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// How the body of a request is delimited (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// There is no body.
    None,
    /// `Content-Length`, in bytes; may be 0.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

impl Framing {
    /// Whether at least one byte of a body, or a chunk, follows the head.
    #[must_use]
    pub const fn has_body(self) -> bool {
        match self {
            Self::None | Self::Length(0) => false,
            Self::Length(_) | Self::Chunked => true,
        }
    }
}

/// What the connection has to know of a head; a function of the head's bytes and the limits alone.
///
/// Kept with a copy of those bytes, it lets
/// [`Connection::handle_same_head`](crate::Connection::handle_same_head) accept the same head again
/// without parsing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadFacts {
    pub(crate) framing: Framing,
    pub(crate) version: Version,
    /// The client leaves the connection open after the answer.
    pub(crate) keep_alive: bool,
    /// The method is HEAD.
    pub(crate) is_head: bool,
    /// `Expect: 100-continue`, in HTTP/1.1 and with a body.
    pub(crate) expects_continue: bool,
    /// `Upgrade` and its connection option, in HTTP/1.1 and without a body.
    pub(crate) upgrade: bool,
}

impl HeadFacts {
    /// How the body is delimited.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether at least one byte of a body, or a chunk, follows.
    #[must_use]
    pub const fn has_body(&self) -> bool {
        self.framing.has_body()
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Whether the client wants to use the connection again.
    #[must_use]
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client waits for a 100 (Continue) before it sends the body.
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether the method is HEAD: the answer has no body.
    #[must_use]
    pub const fn is_head(&self) -> bool {
        self.is_head
    }
}

/// The head of a request that passed every check. Borrows from the input and the field slots.
#[derive(Debug, Clone, Copy)]
pub struct Head<'f, 'i> {
    pub(crate) method: &'i [u8],
    pub(crate) target: Target<'i>,
    pub(crate) slots: &'f [FieldSlot],
    pub(crate) lines: &'i [u8],
    pub(crate) host: Option<&'i [u8]>,
    /// Bit n: field n is not forwarded.
    pub(crate) hop_by_hop: u128,
    pub(crate) facts: HeadFacts,
}

impl<'f, 'i> Head<'f, 'i> {
    /// The method as it came.
    #[must_use]
    pub fn method(&self) -> &'i str {
        core::str::from_utf8(self.method).unwrap_or_default()
    }

    /// The target.
    #[must_use]
    pub const fn target(&self) -> &Target<'i> {
        &self.target
    }

    /// The field lines as they came, in their order: the name, a token, and the value without the
    /// white space around it.
    #[must_use]
    pub fn fields(&self) -> Fields<'f, 'i> {
        Fields { slots: self.slots.iter(), lines: self.lines }
    }

    /// The field lines that concern the recipient: without `Connection` and what it names,
    /// `Keep-Alive`, `Proxy-Connection`, `Proxy-Authorization`, `TE`, `Transfer-Encoding`,
    /// `Upgrade`, `HTTP2-Settings` and `Expect` (RFC 9110 section 7.6.1), in their order.
    ///
    /// For an absolute-form target the value of `Host` is replaced by the target's authority
    /// (RFC 9112 section 3.2.2).
    #[must_use]
    pub fn forwarded_fields(&self) -> ForwardedFields<'f, 'i> {
        ForwardedFields {
            fields: self.fields(),
            dropped: self.hop_by_hop,
            authority: self.target.authority(),
        }
    }

    /// The effective authority as it came, with its port: that of an absolute-form target, else
    /// `Host`. `None` only in HTTP/1.0 (RFC 9112 section 3.3).
    ///
    /// Its syntax was checked: ASCII, no userinfo, no white space, a port of at most 65535.
    #[must_use]
    pub fn authority(&self) -> Option<&'i [u8]> {
        self.target.authority().map(str::as_bytes).or(self.host)
    }

    /// What the connection knows of this head.
    #[must_use]
    pub const fn facts(&self) -> &HeadFacts {
        &self.facts
    }

    /// The value of `Upgrade`, where the connection could be handed over to another protocol
    /// ([`Connection::write_switch`](crate::Connection::write_switch)). May be ignored.
    #[must_use]
    pub fn upgrade(&self) -> Option<&'i [u8]> {
        if !self.facts.upgrade {
            return None;
        }
        self.fields()
            .find(|(name, _)| name.eq_ignore_ascii_case(b"upgrade"))
            .map(|(_, value)| value)
    }
}

/// The fields of a request; see [`Head::fields`].
#[derive(Debug, Clone)]
pub struct Fields<'f, 'i> {
    pub(crate) slots: core::slice::Iter<'f, FieldSlot>,
    /// From the first field line on.
    pub(crate) lines: &'i [u8],
}

impl<'i> Iterator for Fields<'_, 'i> {
    /// Name and value.
    type Item = (&'i [u8], &'i [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let slot = self.slots.next()?;
        let part = |start: u32, end: u32| self.lines.get(index(start)..index(end));
        Some((part(slot.name, slot.name_end)?, part(slot.value, slot.value_end)?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.slots.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_, '_> {}

/// The fields of a request that are passed on; see [`Head::forwarded_fields`].
#[derive(Debug, Clone)]
pub struct ForwardedFields<'f, 'i> {
    fields: Fields<'f, 'i>,
    dropped: u128,
    authority: Option<&'i str>,
}

impl<'i> Iterator for ForwardedFields<'_, 'i> {
    /// Name and value.
    type Item = (&'i [u8], &'i [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, value) = self.fields.next()?;
            let dropped = self.dropped & 1 != 0;
            self.dropped >>= 1;
            if dropped {
                continue;
            }
            return Some(match self.authority {
                Some(authority) if name.eq_ignore_ascii_case(b"host") => {
                    (name, authority.as_bytes())
                }
                Some(_) | None => (name, value),
            });
        }
    }
}
