//! The last head of a connection, and what it led to.

use forebay_core_http1::HeadFacts;
use forebay_core_route::ServiceId;

/// What a head leads to; a function of the head's bytes and the configuration alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The environment has no namespace.
    Configuration,
    /// No rule matched.
    NotFound,
    /// The service has no worker.
    NotDeployed(ServiceId),
    /// A call.
    Call { service: ServiceId, idempotent: bool },
}

/// What is known of the last head. Its bytes lie at the start of the memory that the shell lends,
/// what it led to (an error body, or a call's message) behind them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remembered {
    pub(super) facts: HeadFacts,
    pub(super) verdict: Verdict,
    pub(super) generation: u32,
    head_len: u16,
    payload_len: u16,
}

impl Remembered {
    /// Keeps a head and what it led to, if both fit into `memory`.
    pub(super) fn keep(
        facts: HeadFacts,
        verdict: Verdict,
        generation: u32,
        [head, payload]: [&[u8]; 2],
        memory: &mut [u8],
    ) -> Option<Self> {
        let head_len = u16::try_from(head.len()).ok()?;
        let payload_len = u16::try_from(payload.len()).ok()?;
        let (head_place, rest) = memory.split_at_mut_checked(head.len())?;
        rest.get_mut(..payload.len())?.copy_from_slice(payload);
        head_place.copy_from_slice(head);
        Some(Self { facts, verdict, generation, head_len, payload_len })
    }

    /// The bytes of the head; empty if this is not the memory that they were kept in.
    pub(super) fn head<'m>(&self, memory: &'m [u8]) -> &'m [u8] {
        memory.get(..usize::from(self.head_len)).unwrap_or_default()
    }

    /// What the head led to.
    pub(super) fn payload<'m>(&self, memory: &'m [u8]) -> &'m [u8] {
        let rest = memory.get(usize::from(self.head_len)..).unwrap_or_default();
        rest.get(..usize::from(self.payload_len)).unwrap_or_default()
    }
}
