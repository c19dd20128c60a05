//! Questions that only functions of the caller answer.

use core::future::poll_fn;
use core::task::Poll;

use super::client::Client;
use super::command::Answer;
use super::event::{Event, Question};
use super::failure::{Failure, Kind};
use super::shared::Shared;

/// Who asks.
pub(super) struct Asker<'a> {
    pub(super) shared: &'a Shared,
    pub(super) client: &'a Client,
}

impl Asker<'_> {
    /// Asks, and waits for the answer; without one the caller knows why.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Answer, Box<Failure>> {
        let Client { id, asked, answer, .. } = self.client;
        let number = asked.get().wrapping_add(1);
        asked.set(number);
        answer.set(None);
        self.shared.emit(Event::Ask { client: *id, number, question });
        // An answer wakes the client's task, which is who waits here.
        poll_fn(|_| answer.take().map_or(Poll::Pending, Poll::Ready))
            .await
            .ok_or_else(|| Box::new(Failure::new(Kind::Caller)))
    }
}
