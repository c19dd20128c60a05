use core::ops::BitOr;

/// What a readiness operation waits for, and what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Bytes, a connection, or the end of the stream can be read.
    pub const READABLE: Self = Self(0x01);
    /// Bytes can be written.
    pub const WRITABLE: Self = Self(0x02);
    /// An error is pending on the handle. Always watched.
    pub const ERROR: Self = Self(0x04);
    /// The connection is gone in both directions, or was reset. Always watched.
    pub const HUP: Self = Self(0x08);
    /// Report every edge, not only the first.
    pub const EDGE: Self = Self(0x10);
    /// Report once.
    pub const ONESHOT: Self = Self(0x20);
    /// The peer ended its direction; the other one may still be open.
    pub const READ_CLOSED: Self = Self(0x40);

    /// The interest of these bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits that both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
