//! An exchange: one request and its response, which end together exactly once.

use core::fmt;

/// The life of one request and its response.
///
/// ```text
///                 request_end
///   Requesting ───────────────▶ Waiting
///       │                          │
///       │ response_head            │ response_head
///       ▼         request_end      ▼
///   Overlapping ──────────────▶ Responding
///       │                          │
///       │ response_end             │ response_end
///       ▼         request_end      ▼
///   Answered ─────────────────▶ Ended (Complete)
///
///   every state but Ended ──abort──▶ Ended (Aborted)
/// ```
///
/// A response may begin, and even end, before its request has: an early refusal of an upload does.
/// Whichever call ends the exchange returns the [`End`], and no other call ever does: this is what
/// "every request ends exactly once" rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Exchange {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum State {
    #[default]
    Requesting,
    Waiting,
    Overlapping,
    Responding,
    Answered,
    Ended(End),
}

/// How an exchange ended. Exhaustive on purpose: every end has to be told from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The request and the response are both complete.
    Complete,
    /// One side gave up.
    Aborted {
        /// Whether the response had begun, so that nothing else can be answered any more.
        after_head: bool,
    },
}

impl Exchange {
    /// An exchange whose request has begun.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Requesting }
    }

    /// Whether parts of the request may still come.
    #[must_use]
    pub const fn is_requesting(&self) -> bool {
        matches!(self.state, State::Requesting | State::Overlapping | State::Answered)
    }

    /// Whether the response has not begun, so that another one can still be given in its place.
    #[must_use]
    pub const fn is_unanswered(&self) -> bool {
        matches!(self.state, State::Requesting | State::Waiting)
    }

    /// Whether parts of the response may come now.
    #[must_use]
    pub const fn is_responding(&self) -> bool {
        matches!(self.state, State::Overlapping | State::Responding)
    }

    /// How it ended, if it has. The call that ended it said so before.
    #[must_use]
    pub const fn end(&self) -> Option<End> {
        match self.state {
            State::Ended(end) => Some(end),
            State::Requesting
            | State::Waiting
            | State::Overlapping
            | State::Responding
            | State::Answered => None,
        }
    }

    /// A part of the request came.
    ///
    /// # Errors
    /// [`ExchangeError`] if the request or the exchange is over; nothing changes.
    pub const fn handle_request_part(&self) -> Result<(), ExchangeError> {
        match self.state {
            State::Requesting | State::Overlapping | State::Answered => Ok(()),
            State::Waiting | State::Responding => Err(ExchangeError::OutOfOrder),
            State::Ended(_) => Err(ExchangeError::Over),
        }
    }

    /// The request is complete. Returns the end if the response was complete already.
    ///
    /// # Errors
    /// [`ExchangeError`] if the request or the exchange is over; nothing changes.
    pub const fn handle_request_end(&mut self) -> Result<Option<End>, ExchangeError> {
        self.state = match self.state {
            State::Requesting => State::Waiting,
            State::Overlapping => State::Responding,
            State::Answered => State::Ended(End::Complete),
            State::Waiting | State::Responding => return Err(ExchangeError::OutOfOrder),
            State::Ended(_) => return Err(ExchangeError::Over),
        };
        Ok(self.end())
    }

    /// The response's final head came.
    ///
    /// # Errors
    /// [`ExchangeError`] if there was one, or the exchange is over; nothing changes.
    pub const fn handle_response_head(&mut self) -> Result<(), ExchangeError> {
        self.state = match self.state {
            State::Requesting => State::Overlapping,
            State::Waiting => State::Responding,
            State::Overlapping | State::Responding | State::Answered => {
                return Err(ExchangeError::OutOfOrder);
            }
            State::Ended(_) => return Err(ExchangeError::Over),
        };
        Ok(())
    }

    /// A part of the response came.
    ///
    /// # Errors
    /// [`ExchangeError`] if there is no head yet, or the response or the exchange is over; nothing
    /// changes.
    pub const fn handle_response_part(&self) -> Result<(), ExchangeError> {
        match self.state {
            State::Overlapping | State::Responding => Ok(()),
            State::Requesting | State::Waiting | State::Answered => Err(ExchangeError::OutOfOrder),
            State::Ended(_) => Err(ExchangeError::Over),
        }
    }

    /// The response is complete. Returns the end if the request was complete already.
    ///
    /// # Errors
    /// [`ExchangeError`] if there is no head yet, or the response or the exchange is over; nothing
    /// changes.
    pub const fn handle_response_end(&mut self) -> Result<Option<End>, ExchangeError> {
        self.state = match self.state {
            State::Overlapping => State::Answered,
            State::Responding => State::Ended(End::Complete),
            State::Requesting | State::Waiting | State::Answered => {
                return Err(ExchangeError::OutOfOrder);
            }
            State::Ended(_) => return Err(ExchangeError::Over),
        };
        Ok(self.end())
    }

    /// Gives the exchange up. Returns the end, or nothing if it had ended already.
    pub const fn abort(&mut self) -> Option<End> {
        if let State::Ended(_) = self.state {
            return None;
        }
        let end = End::Aborted { after_head: !self.is_unanswered() };
        self.state = State::Ended(end);
        Some(end)
    }
}

/// Why an exchange did not take an event. The exchange is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The event does not come next.
    OutOfOrder,
    /// The exchange has ended; after an abort, late events are normal.
    Over,
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfOrder => "the event does not come next in this exchange",
            Self::Over => "the exchange has ended",
        })
    }
}

impl core::error::Error for ExchangeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ordinary_request_ends_with_its_response() {
        let mut exchange = Exchange::new();
        assert_eq!(exchange.handle_request_part(), Ok(()));
        assert_eq!(exchange.handle_request_end(), Ok(None));
        assert_eq!(exchange.handle_response_part(), Err(ExchangeError::OutOfOrder));
        assert_eq!(exchange.handle_response_head(), Ok(()));
        assert_eq!(exchange.handle_response_part(), Ok(()));
        assert_eq!(exchange.handle_response_end(), Ok(Some(End::Complete)));
        assert_eq!(exchange.abort(), None);
        assert_eq!(exchange.end(), Some(End::Complete));
    }

    #[test]
    fn an_early_answer_waits_for_the_rest_of_the_request() {
        let mut exchange = Exchange::new();
        assert_eq!(exchange.handle_response_head(), Ok(()));
        assert_eq!(exchange.handle_response_end(), Ok(None));
        assert!(exchange.is_requesting());
        assert_eq!(exchange.handle_request_part(), Ok(()));
        assert_eq!(exchange.handle_request_end(), Ok(Some(End::Complete)));
    }

    #[test]
    fn an_abort_tells_whether_another_answer_is_possible() {
        let mut exchange = Exchange::new();
        assert_eq!(exchange.abort(), Some(End::Aborted { after_head: false }));
        assert_eq!(exchange.handle_response_head(), Err(ExchangeError::Over));
        let mut exchange = Exchange::new();
        exchange.handle_response_head().unwrap();
        assert_eq!(exchange.abort(), Some(End::Aborted { after_head: true }));
    }

    /// Two independent halves, each a counter, instead of the product of states.
    #[derive(Default)]
    struct Model {
        request_over: bool,
        head: bool,
        response_over: bool,
        aborted: bool,
    }

    impl Model {
        fn apply(&mut self, op: u8) -> bool {
            if self.aborted || (self.request_over && self.response_over) {
                return false;
            }
            let allowed = match op {
                0 | 1 => !self.request_over,
                2 => !self.head,
                3 | 4 => self.head && !self.response_over,
                _ => true,
            };
            if allowed {
                match op {
                    1 => self.request_over = true,
                    2 => self.head = true,
                    4 => self.response_over = true,
                    5 => self.aborted = true,
                    _ => {}
                }
            }
            allowed
        }
    }

    proptest! {
        /// Any order of events: accepted exactly as the model does, and one end at most.
        #[test]
        fn ends_exactly_once(ops in prop::collection::vec(0u8..6, 0..32)) {
            let (mut exchange, mut model, mut ends) = (Exchange::new(), Model::default(), 0);
            for op in ops {
                let result = match op {
                    0 => exchange.handle_request_part().map(|()| None),
                    1 => exchange.handle_request_end(),
                    2 => exchange.handle_response_head().map(|()| None),
                    3 => exchange.handle_response_part().map(|()| None),
                    4 => exchange.handle_response_end(),
                    _ => exchange.abort().map(Some).ok_or(ExchangeError::Over),
                };
                prop_assert_eq!(result.is_ok(), model.apply(op));
                ends += u32::from(matches!(result, Ok(Some(_))));
                prop_assert_eq!(ends, u32::from(exchange.end().is_some()));
            }
            let over = model.aborted || (model.request_over && model.response_over);
            prop_assert_eq!(exchange.end().is_some(), over);
        }
    }
}
