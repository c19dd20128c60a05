use core::ops::{BitOr, BitOrAssign};

use crate::OpId;

/// What became of an operation, or of one step of a multishot operation.
///
/// The completion without [`Flags::MORE`] is the operation's terminal one: exactly one comes for
/// every operation that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The caller's own number, given when the operation was started.
    pub token: u64,
    /// The operation; [`OpId::NONE`] for a message.
    pub op: OpId,
    /// Below 0 a negated OS error, else a count of bytes; 0 on a receive is the end of the stream.
    pub result: i32,
    /// What came with it.
    pub flags: Flags,
}

/// Bits of a [`Completion`]. Bits 16 to 31 number the parcel (a buffer, a handle, a count) that
/// came with it, valid with [`Flags::BUFFER`], [`Flags::HANDLE`] or [`Flags::PARTIAL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flags {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// Readiness: something can be read.
    pub const READABLE: Self = Self(0x0001);
    /// Readiness: something can be written.
    pub const WRITABLE: Self = Self(0x0002);
    /// Readiness: an error is pending on the handle.
    pub const ERROR: Self = Self(0x0004);
    /// The connection is gone in both directions, or was reset.
    pub const HUP: Self = Self(0x0008);
    /// The operation will post at least one further completion.
    pub const MORE: Self = Self(0x0010);
    /// Release of a zero-copy send's buffer; the result is 0.
    pub const NOTIF: Self = Self(0x0020);
    /// A pool buffer came with it.
    pub const BUFFER: Self = Self(0x0040);
    /// The socket still had data after this receive.
    pub const NONEMPTY: Self = Self(0x0080);
    /// The same pool buffer will be filled further.
    pub const BUF_MORE: Self = Self(0x0100);
    /// Ended by a cancel request; the result is the negated "cancelled" error of the OS.
    pub const CANCELLED: Self = Self(0x0200);
    /// Executed by readiness and a system call, or by a helper thread.
    pub const EMULATED: Self = Self(0x0400);
    /// A new handle came with it.
    pub const HANDLE: Self = Self(0x0800);
    /// A message of another core; the token is the message and there is no operation.
    pub const MESSAGE: Self = Self(0x1000);
    /// Readiness: the peer ended its direction.
    pub const READ_CLOSED: Self = Self(0x2000);
    /// A failed send had got rid of some bytes; their count is the parcel.
    pub const PARTIAL: Self = Self(0x4000);

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags with `parcel` in bits 16 to 31.
    #[must_use]
    pub fn with_parcel(self, parcel: u16) -> Self {
        Self((self.0 & 0xffff) | u32::from(parcel) << 16)
    }

    /// Whether bits 16 to 31 number a parcel.
    #[must_use]
    pub const fn has_parcel(self) -> bool {
        self.0 & (Self::BUFFER.0 | Self::HANDLE.0 | Self::PARTIAL.0) != 0
    }

    /// Bits 16 to 31.
    #[must_use]
    pub const fn parcel(self) -> u16 {
        let [_, _, low, high] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}

impl Completion {
    /// A completion of nothing, to fill an array with.
    pub const EMPTY: Self = Self { token: 0, op: OpId::NONE, result: 0, flags: Flags::NONE };

    /// Whether the operation has ended with this completion.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        !self.flags.contains(Flags::MORE)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parcel_number_leaves_the_flags_alone() {
        let flags = (Flags::BUFFER | Flags::MORE).with_parcel(0xabcd);
        assert_eq!(flags.parcel(), 0xabcd);
        assert!(flags.contains(Flags::BUFFER | Flags::MORE) && !flags.contains(Flags::HUP));
        assert_eq!(flags.with_parcel(1).parcel(), 1);
        assert_eq!(flags.bits(), 0xabcd_0050);
    }

    #[test]
    fn the_completion_without_more_is_terminal() {
        let flags = Flags::BUFFER;
        assert!(Completion { flags, ..Completion::EMPTY }.is_terminal());
        assert!(!Completion { flags: flags | Flags::MORE, ..Completion::EMPTY }.is_terminal());
    }
}
