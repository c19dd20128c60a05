//! The number that an operation carries: what it was for, and whose it is.

/// What an operation was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// New connections of listener `slot`.
    Accept,
    /// A client's bytes.
    ClientRecv,
    /// Bytes to a client.
    ClientSend,
    /// A client that is not being read may hang up.
    ClientHangup,
    /// A client waits for a free buffer.
    ClientBuffer,
    /// The data connection of an instance is being made.
    Connect,
    /// An instance's bytes.
    InstanceRecv,
    /// Bytes to an instance.
    InstanceSend,
    /// An instance has bytes for which there was no buffer.
    InstanceBuffer,
    /// Control lines from a process.
    Stdout,
    /// The log of a process.
    Stderr,
    /// The end of a process.
    Exit,
    /// A pipe that was full takes control lines again.
    Stdin,
}

const KINDS: [Kind; 13] = [
    Kind::Accept,
    Kind::ClientRecv,
    Kind::ClientSend,
    Kind::ClientHangup,
    Kind::ClientBuffer,
    Kind::Connect,
    Kind::InstanceRecv,
    Kind::InstanceSend,
    Kind::InstanceBuffer,
    Kind::Stdout,
    Kind::Stderr,
    Kind::Exit,
    Kind::Stdin,
];

/// Whose operation it is: a slot of a table and how often that slot was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) slot: u32,
    /// Only 24 bits of it travel in a token.
    pub(super) generation: u32,
}

const GENERATION_MASK: u32 = 0x00ff_ffff;

impl Owner {
    pub(super) fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation: generation & GENERATION_MASK }
    }

    /// The token of an operation of this owner.
    pub(super) fn token(self, kind: Kind) -> u64 {
        let high = (kind as u32) << 24 | self.generation;
        u64::from(high) << 32 | u64::from(self.slot)
    }

    /// As a number that names a client among all cores: the core in the highest 8 bits.
    pub(super) fn origin(self, core: u8) -> u64 {
        let high = u32::from(core) << 24 | self.generation;
        u64::from(high) << 32 | u64::from(self.slot)
    }
}

/// What a token says; `None` for a number that is no token.
pub(super) fn parse(token: u64) -> Option<(Kind, Owner)> {
    let (high, owner) = split(token);
    Some((*KINDS.get(usize::from(high))?, owner))
}

/// The core and the client that an origin names.
pub(super) fn parse_origin(origin: u64) -> (u8, Owner) {
    split(origin)
}

fn split(number: u64) -> (u8, Owner) {
    let [high, g2, g1, g0, s3, s2, s1, s0] = number.to_be_bytes();
    let generation = u32::from_be_bytes([0, g2, g1, g0]);
    (high, Owner { slot: u32::from_be_bytes([s3, s2, s1, s0]), generation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_and_whose() {
        for (index, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
            let owner = Owner::new(7, 0x12ff_fffe);
            assert_eq!(
                parse(owner.token(kind)),
                Some((kind, Owner { slot: 7, generation: 0xff_fffe }))
            );
        }
        assert_eq!(parse(u64::MAX), None);
    }

    #[test]
    fn an_origin_says_which_core() {
        let owner = Owner::new(u32::MAX, 1);
        assert_eq!(parse_origin(owner.origin(200)), (200, owner));
    }
}
