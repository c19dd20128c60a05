use core::time::Duration;

use crate::ReactorError;

/// Which system interface drives the loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// io_uring where it works, else epoll with the reason recorded in
    /// [`BackendInfo::reason`](crate::BackendInfo::reason).
    #[default]
    Auto,
    /// io_uring; [`Reactor::new`](crate::Reactor::new) fails where it does not work.
    IoUring,
    /// epoll.
    Epoll,
}

/// What of io_uring is used; a higher tier includes the lower ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Tier {
    /// Single-shot operations with buffers of the reactor's choice (Linux 5.13).
    One,
    /// Buffer rings, multishot accept and receive, single issuer (Linux 6.0).
    Two,
    /// Deferred task work (Linux 6.1).
    #[default]
    Three,
}

/// Which pool a receive takes its buffers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolClass {
    /// 4 KiB buffers: requests, idle connections.
    Small,
    /// 128 KiB buffers: bulk traffic on few connections.
    Bulk,
}

/// What a reactor is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which system interface to use.
    pub backend: Backend,
    /// The highest io_uring tier to use; lower it to test the fallbacks.
    pub tier_max: Tier,
    /// Submission entries of a ring; also the most events of one epoll wait, which takes 32 at the
    /// most: 1 to 32,768.
    pub entries: u32,
    /// Operations at the same time: 1 to 2^24. Memory grows as they are used.
    pub max_ops: u32,
    /// Bytes the pool of small buffers may grow to, a multiple of 4 KiB up to 128 MiB.
    pub small_bytes: usize,
    /// Bytes the pool of bulk buffers may grow to, a multiple of 128 KiB up to 4 GiB.
    pub bulk_bytes: usize,
    /// How long to look for completions before sleeping; zero sleeps at once.
    ///
    /// Worth it only where the core is not shared; it is given up after rounds without success.
    pub spin: Duration,
    /// Accept many connections with one io_uring operation. Kernels 6.6 to 6.8-rc could deliver a
    /// wrong descriptor together with deferred task work.
    pub multishot_accept: bool,
}

impl PoolClass {
    /// Both classes.
    pub const ALL: [Self; 2] = [Self::Small, Self::Bulk];

    /// Bytes of one buffer.
    #[must_use]
    pub const fn buffer_len(self) -> usize {
        match self {
            Self::Small => 4 * 1024,
            Self::Bulk => 128 * 1024,
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Small => 0,
            Self::Bulk => 1,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            tier_max: Tier::Three,
            entries: 256,
            max_ops: 65_536,
            small_bytes: 32 << 20,
            bulk_bytes: 64 << 20,
            spin: Duration::ZERO,
            multishot_accept: true,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ReactorError> {
        let invalid = |text| Err(ReactorError::InvalidConfig(text));
        if !(1..=32_768).contains(&self.entries) {
            return invalid("entries must be 1 to 32768");
        }
        if !(1..=1 << 24).contains(&self.max_ops) {
            return invalid("max_ops must be 1 to 2^24");
        }
        for class in PoolClass::ALL {
            let count = self.pool_bytes(class) / class.buffer_len();
            if !self.pool_bytes(class).is_multiple_of(class.buffer_len())
                || !(1..=32_768).contains(&count)
            {
                return invalid("a pool must hold 1 to 32768 whole buffers");
            }
        }
        Ok(())
    }

    pub(crate) const fn pool_bytes(&self, class: PoolClass) -> usize {
        match class {
            PoolClass::Small => self.small_bytes,
            PoolClass::Bulk => self.bulk_bytes,
        }
    }
}
