//! A panic in one task is the failure of what the task was for, and of nothing else.

use core::future::{Future, poll_fn};
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::task::Poll;
use std::panic::catch_unwind;

use super::failure::{Failure, Kind};

/// Runs `work`; nothing when it has panicked, which was reported where it did.
pub(super) async fn guarded<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // What is shared is only used between polls, and consistent then: cells, and guards that a
        // panic drops.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// What callers are told of it.
pub(super) fn broken() -> Failure {
    Failure::new(Kind::Socket).with_message("internal error")
}
