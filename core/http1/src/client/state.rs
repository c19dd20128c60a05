//! Every transition of a client's connection, in one table for each direction.
//!
//! The rules are those of the server's table (`crate::state`): a [`Cause`] moves all machines that
//! it concerns or none, and what has no row is not permitted.

/// What the server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Response {
    /// Nothing was asked.
    Idle,
    /// The head of the next response is awaited.
    Head,
    /// A head came; its body, or the end at once.
    Body,
    /// The bytes belong to another protocol.
    Switched,
    /// Over.
    Closed,
}

/// What the server is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// A request may begin.
    Ready,
    /// The body of a request is being written.
    Sending,
    /// The same, and no other request follows.
    SendingLast,
    /// No other request follows.
    Last,
    /// Nothing more is written here.
    Over,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A request without body.
    Ask,
    /// The head of a request, whose body follows.
    AskWithBody,
    /// The end of a request's body.
    BodyEnd,
    /// No request may follow: one said so, or the server.
    NoMore,
    /// The head of a final response.
    Head,
    /// A response is complete, others are owed.
    Next,
    /// All responses are complete, and the connection persists.
    Rest,
    /// A response is complete, and the connection does not persist.
    Stop,
    /// The connection becomes another protocol's.
    Switch,
    /// The peer broke a rule, is gone, or was waited for in vain.
    Vanish,
}

/// Both machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) response: Response,
    pub(crate) request: Request,
}

impl State {
    /// A new connection.
    pub(crate) const START: Self = Self { response: Response::Idle, request: Request::Ready };

    /// The state after `cause`, or `None` where that is not permitted.
    pub(crate) const fn after(self, cause: Cause) -> Option<Self> {
        let response = match cause {
            Cause::BodyEnd | Cause::NoMore => Some(self.response),
            Cause::Ask
            | Cause::AskWithBody
            | Cause::Head
            | Cause::Next
            | Cause::Rest
            | Cause::Stop
            | Cause::Switch
            | Cause::Vanish => next_response(self.response, cause),
        };
        let request = match cause {
            Cause::Head | Cause::Next | Cause::Rest => Some(self.request),
            Cause::Ask
            | Cause::AskWithBody
            | Cause::BodyEnd
            | Cause::NoMore
            | Cause::Stop
            | Cause::Switch
            | Cause::Vanish => next_request(self.request, cause),
        };
        match (response, request) {
            (Some(response), Some(request)) => Some(Self { response, request }),
            (None, _) | (_, None) => None,
        }
    }
}

table! { next_response, RESPONSE_ROWS, Response:
    Idle, Ask => Head;
    Head, Ask => Head;
    Body, Ask => Body;
    Idle, AskWithBody => Head;
    Head, AskWithBody => Head;
    Body, AskWithBody => Body;
    Head, Head => Body;
    Body, Next => Head;
    Body, Rest => Idle;
    Body, Stop => Closed;
    Head, Switch => Switched;
    Idle, Vanish => Closed;
    Head, Vanish => Closed;
    Body, Vanish => Closed;
}

table! { next_request, REQUEST_ROWS, Request:
    Ready, Ask => Ready;
    Ready, AskWithBody => Sending;
    Sending, BodyEnd => Ready;
    SendingLast, BodyEnd => Last;
    Ready, NoMore => Last;
    Sending, NoMore => SendingLast;
    SendingLast, NoMore => SendingLast;
    Last, NoMore => Last;
    Ready, Stop => Over;
    Sending, Stop => Over;
    SendingLast, Stop => Over;
    Last, Stop => Over;
    Ready, Switch => Over;
    Sending, Switch => Over;
    SendingLast, Switch => Over;
    Last, Switch => Over;
    Ready, Vanish => Over;
    Sending, Vanish => Over;
    SendingLast, Vanish => Over;
    Last, Vanish => Over;
}

/// Every permitted transition of a client's connection, those of what it receives first.
pub const TRANSITIONS: [&[crate::Transition]; 2] = [RESPONSE_ROWS, REQUEST_ROWS];

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const CAUSES: [Cause; 10] = [
        Cause::Ask,
        Cause::AskWithBody,
        Cause::BodyEnd,
        Cause::NoMore,
        Cause::Head,
        Cause::Next,
        Cause::Rest,
        Cause::Stop,
        Cause::Switch,
        Cause::Vanish,
    ];

    fn reachable() -> Vec<State> {
        let mut found = Vec::from([State::START]);
        let mut index = 0;
        while index < found.len() {
            for cause in CAUSES {
                if let Some(next) = found[index].after(cause)
                    && !found.contains(&next)
                {
                    found.push(next);
                }
            }
            index += 1;
        }
        found
    }

    #[test]
    fn every_row_is_reached() {
        // A row that no sequence of causes can use is a mistake in the table.
        let states = reachable();
        for row in TRANSITIONS.concat() {
            let used = states.iter().any(|state| {
                let from = match row.machine {
                    "Response" => std::format!("{:?}", state.response),
                    _ => std::format!("{:?}", state.request),
                };
                from == row.from
                    && CAUSES.iter().any(|cause| {
                        std::format!("{cause:?}") == row.cause && state.after(*cause).is_some()
                    })
            });
            assert!(used, "{row:?}");
        }
    }

    #[test]
    fn a_connection_can_always_end_and_stays_so() {
        for state in reachable() {
            let over = matches!(state.response, Response::Closed | Response::Switched);
            assert!(over || state.after(Cause::Vanish).is_some(), "{state:?}");
            assert_eq!(over, state.request == Request::Over, "{state:?}");
            let asks = state.after(Cause::Ask).or(state.after(Cause::AskWithBody));
            assert!(!over || asks.is_none(), "{state:?}");
        }
    }
}
