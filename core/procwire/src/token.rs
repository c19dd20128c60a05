use forebay_core_frame::Header as _;

use crate::{HEADER_LEN, Header, MaxPayload, WireId};

/// Whether two tokens are equal, in a time that depends on their lengths only.
#[must_use]
pub fn token_matches(expected: &[u8], given: &[u8]) -> bool {
    let differs = fold(0, expected, given);
    core::hint::black_box(differs) == 0 && expected.len() == given.len()
}

/// What stands before a child's session when a token is set: looks at the first bytes of one
/// pending connection and says whether it may be adopted (procwire section 5.2).
///
/// Holds no more than a header. A connection is refused as soon as its header is not exactly AUTH
/// with the token's length, long before a payload could be buffered. The shell keeps several
/// pending connections, each with one gate and a short deadline, and writes nothing to any of
/// them.
#[derive(Debug, Clone)]
pub struct AuthGate {
    header: [u8; HEADER_LEN],
    /// Bytes of header and token seen so far.
    seen: usize,
    /// Every bit in which the token differed so far.
    differs: u8,
    refused: bool,
}

/// What an [`AuthGate`] made of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a gate is undecided, open or shut")]
pub enum AuthStep {
    /// All bytes were taken; `need` more decide.
    Pending {
        /// Bytes still missing of header and token.
        need: usize,
    },
    /// The peer proved the token. Bytes behind `used` are frames for the session.
    Adopted {
        /// Bytes of the input that belonged to the AUTH frame.
        used: usize,
    },
    /// Close this connection and discard its bytes; keep listening.
    Refused,
}

impl AuthGate {
    /// A gate for a new connection.
    #[must_use]
    pub const fn new() -> Self {
        Self { header: [0; HEADER_LEN], seen: 0, differs: 0, refused: false }
    }

    /// Looks at the next bytes of the connection. `token` must be the same in every call. An
    /// empty token never matches: it would let everybody in.
    ///
    /// # Bound
    /// The token's length.
    pub fn handle_bytes(&mut self, token: &[u8], input: &[u8]) -> AuthStep {
        let mut used = 0;
        if self.seen < HEADER_LEN {
            used = input.len().min(HEADER_LEN.saturating_sub(self.seen));
            let end = self.seen.saturating_add(used);
            if let (Some(to), Some(from)) = (self.header.get_mut(self.seen..end), input.get(..used))
            {
                to.copy_from_slice(from);
            }
            self.seen = end;
            self.refused |= self.seen == HEADER_LEN && !self.is_auth_for(token);
        }
        if self.refused {
            return AuthStep::Refused;
        }
        let rest = input.get(used..).unwrap_or(&[]);
        self.compare(token, rest, used)
    }

    fn is_auth_for(&self, token: &[u8]) -> bool {
        let header =
            <Header as forebay_core_frame::Header>::parse(&self.header, &MaxPayload::DEFAULT);
        matches!(header, Ok(Some(header)) if header.id == WireId::AUTH
            && header.payload_len() == token.len()
            && !token.is_empty())
    }

    fn compare(&mut self, token: &[u8], input: &[u8], used: usize) -> AuthStep {
        let done = self.seen.saturating_sub(HEADER_LEN);
        let left = token.get(done..).unwrap_or(&[]);
        let taken = if self.seen < HEADER_LEN { 0 } else { left.len().min(input.len()) };
        let (expected, given) = (left.get(..taken), input.get(..taken));
        self.differs = fold(self.differs, expected.unwrap_or(&[]), given.unwrap_or(&[]));
        self.seen = self.seen.saturating_add(taken);
        let all = HEADER_LEN.saturating_add(token.len());
        if self.seen < all {
            return AuthStep::Pending { need: all.saturating_sub(self.seen) };
        }
        self.refused = core::hint::black_box(self.differs) != 0;
        if self.refused {
            AuthStep::Refused
        } else {
            AuthStep::Adopted { used: used.saturating_add(taken) }
        }
    }
}

impl Default for AuthGate {
    fn default() -> Self {
        Self::new()
    }
}

/// Collects the bits in which two byte strings differ, as far as the shorter one goes.
fn fold(differs: u8, expected: &[u8], given: &[u8]) -> u8 {
    expected.iter().zip(given).fold(differs, |all, (a, b)| core::hint::black_box(all | (a ^ b)))
}
