//! Names of calls, instances and workers.

use crate::table::Key;

/// Names one call of one home for as long as the call lives; afterwards it names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(crate) Key);

/// Names one instance, from [`Action::Spawn`](crate::home::Action::Spawn) to
/// [`Action::Release`](crate::home::Action::Release).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub(crate) Key);

/// Names one deployed worker, until it was removed and its last instance has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub(crate) Key);

macro_rules! id {
    ($name:ident, $what:literal) => {
        impl $name {
            #[doc = concat!("The place of the ", $what, " in its table, from 0: a shell may keep")]
            /// what it knows in an array of the same size.
            #[must_use]
            pub const fn index(self) -> u32 {
                self.0.index
            }

            /// Place and generation in one number, to be carried where only numbers fit.
            #[must_use]
            pub fn to_bits(self) -> u64 {
                (u64::from(self.0.generation) << 32) | u64::from(self.0.index)
            }

            /// The name that [`to_bits`](Self::to_bits) told.
            #[must_use]
            pub fn from_bits(bits: u64) -> Self {
                let [g0, g1, g2, g3, i0, i1, i2, i3] = bits.to_be_bytes();
                let generation = u32::from_be_bytes([g0, g1, g2, g3]);
                Self(Key { index: u32::from_be_bytes([i0, i1, i2, i3]), generation })
            }
        }
    };
}

id!(CallId, "call");
id!(InstanceId, "instance");
id!(WorkerId, "worker");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_tell_place_and_generation() {
        let id = CallId(Key { index: 7, generation: u32::MAX });
        assert_eq!(CallId::from_bits(id.to_bits()), id);
        assert_eq!(id.to_bits(), 0xffff_ffff_0000_0007);
    }
}
