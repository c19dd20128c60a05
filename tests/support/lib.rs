//! What the suites share: randomness from a seed, cut bytes, a clock that only a test moves, two
//! ends joined in memory, an allocator that counts, and the program under test.

pub mod allocator;
pub mod chopper;
pub mod clock;
pub mod gateway;
pub mod http;
pub mod http1_cases;
pub mod pair;
#[cfg(unix)]
pub mod parent;
pub mod program;
pub mod random;

use core::time::Duration;
use std::time::Instant;

/// Asks `ready` again and again until it has a value.
///
/// # Panics
/// When it has none within `limit`; `what` says what was waited for.
pub fn until<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        // A test that waits for another process leaves it the processor.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
