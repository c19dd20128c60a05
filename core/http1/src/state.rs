//! Every transition of a connection, in one table for each direction.
//!
//! The rules of this file:
//!
//! - A connection is two machines, [`Read`] for what the client sends and [`Write`] for what it is
//!   sent. A [`Cause`] is something that happened to one of them or to both
//!   ([`Cause::concerns`] says which), and moves all that it concerns or none.
//! - A pair of state and cause without a row is not permitted: nothing changes, and the caller
//!   hears of it. There is no transition anywhere else.
//! - Nothing here knows bytes, limits or time. Who decides *that* a cause happened is
//!   `connection`; what follows from it is here.
//!
//! [`TRANSITIONS`] is the same table for those who draw it.

/// What the client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// Between requests: no byte of a head yet.
    Idle,
    /// Bytes of a head came, not its end.
    Head,
    /// The body is being delivered.
    Body,
    /// The body is being read and dropped.
    Discard,
    /// The request has been read.
    Complete,
    /// Nothing more is read: the answer that is being written is the last one.
    Stopped,
    /// The write side is shut down; what comes is dropped.
    Linger,
    /// The bytes belong to another protocol.
    Switched,
    /// Over.
    Closed,
}

/// What the client is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// No answer is owed.
    Idle,
    /// A request was delivered; its answer has not begun.
    Owed,
    /// The head of the answer is written.
    Body,
    /// The answer is complete.
    Complete,
    /// An error answer has to be written.
    Refused,
    /// The answer cannot be completed.
    Broken,
    /// The bytes belong to another protocol.
    Switched,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The first byte of a head, and not its end.
    HeadByte,
    /// A request without body.
    Request,
    /// The head of a request with body.
    RequestWithBody,
    /// The end of the body, delivered or dropped.
    BodyEnd,
    /// The application does not want the rest of the body, which is short.
    Discard,
    /// The rest of the body is not wanted and too long to be read.
    Abandon,
    /// The head of an answer whose body follows.
    ResponseHead,
    /// The end of an answer, or a whole one.
    ResponseEnd,
    /// Request and answer are complete, and the connection persists.
    Next,
    /// Request and answer are complete, and the connection does not persist.
    Last,
    /// The peer broke a rule.
    Refuse,
    /// The error answer is complete.
    RefusalEnd,
    /// The application cannot complete its answer.
    Break,
    /// 101 was written.
    Switch,
    /// The write side has been shut down.
    Shutdown,
    /// The peer is gone, or was waited for in vain.
    Vanish,
}

/// Which machines a [`Cause`] moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concerns {
    Read,
    Write,
    Both,
}

impl Cause {
    /// Which machines this moves.
    pub(crate) const fn concerns(self) -> Concerns {
        match self {
            Self::HeadByte | Self::BodyEnd | Self::Discard | Self::Abandon | Self::Shutdown => {
                Concerns::Read
            }
            Self::ResponseHead | Self::ResponseEnd | Self::RefusalEnd => Concerns::Write,
            Self::Request
            | Self::RequestWithBody
            | Self::Next
            | Self::Last
            | Self::Refuse
            | Self::Break
            | Self::Switch
            | Self::Vanish => Concerns::Both,
        }
    }
}

/// Both machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) read: Read,
    pub(crate) write: Write,
}

impl State {
    /// A new connection.
    pub(crate) const START: Self = Self { read: Read::Idle, write: Write::Idle };

    /// The state after `cause`, or `None` where that is not permitted.
    pub(crate) const fn after(self, cause: Cause) -> Option<Self> {
        let read = match cause.concerns() {
            Concerns::Read | Concerns::Both => next_read(self.read, cause),
            Concerns::Write => Some(self.read),
        };
        let write = match cause.concerns() {
            Concerns::Write | Concerns::Both => next_write(self.write, cause),
            Concerns::Read => Some(self.write),
        };
        match (read, write) {
            (Some(read), Some(write)) => Some(Self { read, write }),
            (None, _) | (_, None) => None,
        }
    }
}

/// One row of a table, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// `Read` or `Write`.
    pub machine: &'static str,
    /// The state before.
    pub from: &'static str,
    /// What happens.
    pub cause: &'static str,
    /// The state after.
    pub to: &'static str,
}

table! { next_read, READ_ROWS, Read:
    Idle, HeadByte => Head;
    Idle, Request => Complete;
    Head, Request => Complete;
    Idle, RequestWithBody => Body;
    Head, RequestWithBody => Body;
    Body, BodyEnd => Complete;
    Discard, BodyEnd => Complete;
    Body, Discard => Discard;
    Body, Abandon => Stopped;
    Discard, Abandon => Stopped;
    Complete, Next => Idle;
    Complete, Last => Stopped;
    Complete, Switch => Switched;
    Idle, Refuse => Stopped;
    Head, Refuse => Stopped;
    Body, Refuse => Stopped;
    Discard, Refuse => Stopped;
    Complete, Refuse => Stopped;
    Body, Break => Stopped;
    Discard, Break => Stopped;
    Complete, Break => Stopped;
    Stopped, Break => Stopped;
    Stopped, Shutdown => Linger;
    Idle, Vanish => Closed;
    Head, Vanish => Closed;
    Body, Vanish => Closed;
    Discard, Vanish => Closed;
    Complete, Vanish => Closed;
    Stopped, Vanish => Closed;
    Linger, Vanish => Closed;
}

table! { next_write, WRITE_ROWS, Write:
    Idle, Request => Owed;
    Idle, RequestWithBody => Owed;
    Owed, ResponseHead => Body;
    Body, ResponseEnd => Complete;
    Owed, ResponseEnd => Complete;
    Complete, Next => Idle;
    Complete, Last => Complete;
    Owed, Switch => Switched;
    Idle, Refuse => Refused;
    Owed, Refuse => Refused;
    Body, Refuse => Broken;
    Complete, Refuse => Complete;
    Refused, RefusalEnd => Complete;
    Owed, Break => Broken;
    Body, Break => Broken;
    Idle, Vanish => Complete;
    Owed, Vanish => Broken;
    Body, Vanish => Broken;
    Refused, Vanish => Broken;
    Broken, Vanish => Broken;
    Complete, Vanish => Complete;
}

/// Every permitted transition, the reading machine's first.
pub const TRANSITIONS: [&[Transition]; 2] = [READ_ROWS, WRITE_ROWS];

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const CAUSES: [Cause; 16] = [
        Cause::HeadByte,
        Cause::Request,
        Cause::RequestWithBody,
        Cause::BodyEnd,
        Cause::Discard,
        Cause::Abandon,
        Cause::ResponseHead,
        Cause::ResponseEnd,
        Cause::Next,
        Cause::Last,
        Cause::Refuse,
        Cause::RefusalEnd,
        Cause::Break,
        Cause::Switch,
        Cause::Shutdown,
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
                    "Read" => std::format!("{:?}", state.read),
                    _ => std::format!("{:?}", state.write),
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
    fn a_connection_can_always_end() {
        // From every reachable state some way leads to a closed or handed-over connection.
        for state in reachable() {
            let over = matches!(state.read, Read::Closed | Read::Switched);
            assert!(over || state.after(Cause::Vanish).is_some(), "{state:?}");
        }
    }

    #[test]
    fn one_answer_for_one_request() {
        // No state owes an answer without a request, or reads a request while one is unanswered.
        for state in reachable() {
            if matches!(state.read, Read::Idle | Read::Head) {
                assert_eq!(state.write, Write::Idle, "{state:?}");
            }
        }
    }
}
