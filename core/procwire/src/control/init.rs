use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::json::{JsonStr, Members, as_string};
use crate::{EventId, MethodId, ResponseType};

/// A checked `$init` (procwire section 2.3), borrowed from its line.
#[derive(Debug, Clone, Copy)]
pub struct Init<'l> {
    pipe: JsonStr<'l>,
    methods: &'l str,
    events: &'l str,
}

/// A method that the child announces.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MethodEntry<'l> {
    /// Its name.
    pub name: JsonStr<'l>,
    /// Its id, the only one of this number among the methods.
    pub id: MethodId,
    /// How it answers.
    pub response: ResponseType,
    /// How long the child wants its callers to wait; zero is without limit (section 2.9).
    pub timeout: Option<Duration>,
}

/// An event that the child announces.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EventEntry<'l> {
    /// Its name.
    pub name: JsonStr<'l>,
    /// Its id, the only one of this number among the events.
    pub id: EventId,
}

/// The methods of an [`Init`] in the order of the line.
#[derive(Debug, Clone)]
pub struct Methods<'l>(Members<'l>);

/// The events of an [`Init`] in the order of the line.
#[derive(Debug, Clone)]
pub struct Events<'l>(Members<'l>);

/// An `$init` that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InitError {
    /// `params`, `pipe`, `schema`, `methods` or `events` is missing or of another type.
    Format,
    /// An entry of a map is no object, or its `response` none of the four words.
    Entry,
    /// An id is no integer of 1 to 0xFFFD.
    Id,
    /// Two methods, or two events, have the same id.
    DuplicateId,
}

/// The child does not announce what the parent needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NeedError {
    /// No method has the name.
    MissingMethod,
    /// The method answers in another way.
    ResponseMismatch {
        /// What the child announces.
        announced: ResponseType,
    },
    /// No event has the name.
    MissingEvent,
}

impl<'l> Init<'l> {
    /// Checks the `params` of an `$init`.
    pub(super) fn parse(params: Option<&'l str>) -> Result<Self, InitError> {
        let params = params.and_then(Members::of).ok_or(InitError::Format)?;
        let schema =
            params.clone().last("schema").and_then(Members::of).ok_or(InitError::Format)?;
        let pipe = params.last("pipe").and_then(as_string).ok_or(InitError::Format)?;
        let methods = schema.clone().last("methods").ok_or(InitError::Format)?;
        let events = schema.last("events").ok_or(InitError::Format)?;
        let entries = Members::of(methods).ok_or(InitError::Format)?;
        check_ids(entries.map(|(_, value)| method_entry(value).map(|entry| entry.0.value())))?;
        let entries = Members::of(events).ok_or(InitError::Format)?;
        check_ids(entries.map(|(_, value)| event_id(value).map(EventId::value)))?;
        Ok(Self { pipe, methods, events })
    }

    /// The path to connect to. Where it may lie is for the parent to judge.
    #[must_use]
    pub const fn pipe(&self) -> JsonStr<'l> {
        self.pipe
    }

    /// All methods announced.
    #[must_use]
    pub fn methods(&self) -> Methods<'l> {
        Methods(Members::of(self.methods).unwrap_or_else(Members::none))
    }

    /// All events announced.
    #[must_use]
    pub fn events(&self) -> Events<'l> {
        Events(Members::of(self.events).unwrap_or_else(Members::none))
    }

    /// The method of this name; of several, the last, as `JSON.parse` has it.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<MethodEntry<'l>> {
        self.methods().filter(|method| method.name == *name).last()
    }

    /// The event of this name; of several, the last.
    #[must_use]
    pub fn event(&self, name: &str) -> Option<EventEntry<'l>> {
        self.events().filter(|event| event.name == *name).last()
    }

    /// The id of a method that the parent needs, with the response type that it needs.
    ///
    /// # Errors
    /// The attempt to start the child has failed (section 2.3).
    pub fn need_method(&self, name: &str, response: ResponseType) -> Result<MethodId, NeedError> {
        let method = self.method(name).ok_or(NeedError::MissingMethod)?;
        if method.response == response {
            Ok(method.id)
        } else {
            Err(NeedError::ResponseMismatch { announced: method.response })
        }
    }

    /// The id of an event that the parent needs.
    ///
    /// # Errors
    /// The attempt to start the child has failed (section 2.3).
    pub fn need_event(&self, name: &str) -> Result<EventId, NeedError> {
        self.event(name).map(|event| event.id).ok_or(NeedError::MissingEvent)
    }
}

impl<'l> Iterator for Methods<'l> {
    type Item = MethodEntry<'l>;

    fn next(&mut self) -> Option<MethodEntry<'l>> {
        let (name, value) = self.0.next()?;
        let (id, response, timeout) = method_entry(value).ok()?;
        Some(MethodEntry { name, id, response, timeout })
    }
}

impl<'l> Iterator for Events<'l> {
    type Item = EventEntry<'l>;

    fn next(&mut self) -> Option<EventEntry<'l>> {
        let (name, value) = self.0.next()?;
        Some(EventEntry { name, id: event_id(value).ok()? })
    }
}

fn method_entry(value: &str) -> Result<(MethodId, ResponseType, Option<Duration>), InitError> {
    let (mut id_text, mut response, mut wait) = (None, None, None);
    for (key, value) in Members::of(value).ok_or(InitError::Entry)? {
        if key == *"id" {
            id_text = Some(value);
        } else if key == *"response" {
            response = as_string(value);
        } else if key == *"timeout" {
            wait = timeout(value);
        }
    }
    let response = response.and_then(word).ok_or(InitError::Entry)?;
    let id = id_text.and_then(id).and_then(MethodId::new).ok_or(InitError::Id)?;
    Ok((id, response, wait))
}

fn event_id(value: &str) -> Result<EventId, InitError> {
    let entry = Members::of(value).ok_or(InitError::Entry)?;
    entry.last("id").and_then(id).and_then(EventId::new).ok_or(InitError::Id)
}

fn word(text: JsonStr<'_>) -> Option<ResponseType> {
    [ResponseType::Result, ResponseType::Stream, ResponseType::Ack, ResponseType::None]
        .into_iter()
        .find(|response| text == *response.as_str())
}

/// A whole number without sign, fraction or exponent. `JSON.stringify` writes ids like this.
fn id(value: &str) -> Option<u16> {
    value.parse().ok()
}

/// Milliseconds; 0 and below switch the timeout off, and anything but a number is ignored.
fn timeout(value: &str) -> Option<Duration> {
    let ms: f64 = value.parse().ok()?;
    Duration::try_from_secs_f64(ms.max(0.0) / 1000.0).ok()
}

/// Numbers that one pass over the ids looks at.
const WINDOW: usize = 8192;

/// Checks that every id is one and that none comes twice, with a bit for each number of a window
/// that is moved over the range. Ids are small in practice, so one pass does it.
fn check_ids(ids: impl Iterator<Item = Result<u16, InitError>> + Clone) -> Result<(), InitError> {
    let mut highest = 0;
    let mut start = 0;
    while start <= highest {
        let mut seen = [0_u64; WINDOW / 64];
        for id in ids.clone() {
            let id = usize::from(id?);
            highest = highest.max(id);
            let Some(offset) = id.checked_sub(start) else { continue };
            let Some(word) = seen.get_mut(offset / 64) else { continue };
            let bit = 1_u64 << (offset % 64);
            if *word & bit != 0 {
                return Err(InitError::DuplicateId);
            }
            *word |= bit;
        }
        start = start.saturating_add(WINDOW);
    }
    Ok(())
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "invalid $init format",
            Self::Entry => "invalid method or event in $init",
            Self::Id => "id in $init outside 1 to 65533",
            Self::DuplicateId => "duplicate id in $init",
        })
    }
}

impl Error for InitError {}

impl fmt::Display for NeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingMethod => f.write_str("child did not register expected method"),
            Self::ResponseMismatch { announced } => {
                write!(f, "response type mismatch: the child answers with {}", announced.as_str())
            }
            Self::MissingEvent => f.write_str("child did not register expected event"),
        }
    }
}

impl Error for NeedError {}
