//! What a worker may use, and how long it may take.

use core::time::Duration;

/// Limits and times of one worker (the keys of a worker table in the configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Instances that are kept running; 0 = the first call starts one.
    pub min_instances: u16,
    /// Instances that may run at once, at least 1; one that waits for its replacement is not
    /// counted.
    pub max_instances: u16,
    /// Calls of one instance at once, at least 1; the instance's storage may bound it further.
    pub max_concurrency: u16,
    /// Calls that may wait.
    pub queue_len: u32,
    /// How long a call may wait while an instance is ready or a restart is pending.
    pub queue_timeout: Duration,
    /// To the response head, once the worker has the whole request; zero = no limit.
    pub request_timeout: Duration,
    /// Between two response frames; zero = no limit.
    pub stream_timeout: Duration,
    /// From the spawn to Ready.
    pub init_timeout: Duration,
    /// How long an instance that drains may finish its calls.
    pub drain_timeout: Duration,
    /// From `$shutdown` to SIGTERM.
    pub shutdown_grace: Duration,
    /// How long an instance above `min_instances` may be idle; zero = for ever.
    pub idle_stop: Duration,
    /// Between two `$ping`; zero = no heartbeat.
    pub ping_interval: Duration,
    /// How old a `$ping` without `$pong` may get.
    pub ping_timeout: Duration,
    /// Calls after which an instance is replaced; 0 = never.
    pub max_calls: u64,
    /// What happens after a failure.
    pub restart: Restart,
    /// Which calls may be sent a second time when their instance is lost.
    pub retry: Retry,
    /// The longest body in bytes that goes inside the call message.
    pub inline_body: u32,
    /// The longest part of a body in bytes, at least 1.
    pub chunk: u32,
    /// Bytes of one call that may be underway in each direction, at least `chunk`.
    pub window: u32,
    /// The longest frame in bytes that is taken from the worker.
    pub max_frame: u32,
    /// Whether the first frame on a connection is the token.
    pub auth: bool,
}

/// Delays between starts after failures, and when to stop trying for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// The delay after the first failure.
    pub base: Duration,
    /// What each further failure multiplies it with.
    pub factor: u32,
    /// The longest delay.
    pub max: Duration,
    /// How far the delay may deviate, in thousandths of it, both ways; at most 1,000.
    pub jitter_permille: u16,
    /// Failures within `window` beyond which the circuit opens; at most [`FAILURES_MAX`].
    pub limit: u8,
    /// The time over which failures are counted.
    pub window: Duration,
    /// How long an open circuit refuses calls.
    pub cooldown: Duration,
}

/// The most failures that are remembered for [`Restart::limit`].
pub const FAILURES_MAX: usize = 15;

/// Which calls are sent again to another instance, once, after theirs was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the values of one configuration key")]
pub enum Retry {
    /// None.
    Never,
    /// Those of which no byte was written.
    Unsent,
    /// Those too whose method is idempotent, whose body is inside the call message, and of whose
    /// response no frame came.
    Idempotent,
}

impl WorkerConfig {
    /// The defaults of the configuration file.
    pub const DEFAULT: Self = Self {
        min_instances: 0,
        max_instances: 1,
        max_concurrency: 64,
        queue_len: 1024,
        queue_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(30),
        stream_timeout: Duration::from_secs(60),
        init_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(30),
        shutdown_grace: Duration::from_secs(5),
        idle_stop: Duration::from_secs(60),
        ping_interval: Duration::from_secs(5),
        ping_timeout: Duration::from_secs(10),
        max_calls: 0,
        restart: Restart::DEFAULT,
        retry: Retry::Unsent,
        inline_body: 64 << 10,
        chunk: 64 << 10,
        window: 256 << 10,
        max_frame: 1 << 20,
        auth: false,
    };
}

impl Restart {
    /// The defaults of the configuration file.
    pub const DEFAULT: Self = Self {
        base: Duration::from_millis(200),
        factor: 2,
        max: Duration::from_secs(30),
        jitter_permille: 200,
        limit: 5,
        window: Duration::from_secs(60),
        cooldown: Duration::from_secs(30),
    };
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}
