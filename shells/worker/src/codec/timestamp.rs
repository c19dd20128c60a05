//! Times.

use core::fmt;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use forebay_core_procwire::msgpack;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// The name by which the codec knows a timestamp in both directions.
pub(crate) const NAME: &str = "$forebay::Timestamp";

/// The only key of the map that a timestamp looks like to serde.
pub(crate) const FIELD: &str = "$forebay::timestamp";

/// A point in time: what a JavaScript `Date` is on the wire. Nanoseconds are kept; JavaScript
/// has milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

impl Timestamp {
    /// Seconds since the epoch, rounded down, and nanoseconds after that second; `None` when
    /// those are a whole second or more.
    #[must_use]
    pub fn new(seconds: i64, nanos: u32) -> Option<Self> {
        (nanos < 1_000_000_000).then_some(Self { seconds, nanos })
    }

    /// Milliseconds since the epoch, as `Date.getTime()` has them.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        msgpack::Timestamp::from_millis(millis).into()
    }

    /// Whole milliseconds since the epoch, rounded down.
    #[must_use]
    pub fn to_millis(self) -> i64 {
        self.to_core().to_millis()
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`seconds`](Self::seconds), below 10^9.
    #[must_use]
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    pub(crate) fn to_core(self) -> msgpack::Timestamp {
        msgpack::Timestamp::new(self.seconds, self.nanos)
            .expect("nanoseconds were checked when the value was made")
    }
}

impl From<msgpack::Timestamp> for Timestamp {
    fn from(time: msgpack::Timestamp) -> Self {
        Self { seconds: time.seconds(), nanos: time.nanos() }
    }
}

impl From<SystemTime> for Timestamp {
    /// Times beyond 64 bits of seconds become the last one that fits.
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self {
                seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                nanos: after.subsec_nanos(),
            },
            Err(error) => {
                let before = error.duration();
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX).wrapping_neg();
                match before.subsec_nanos() {
                    0 => Self { seconds, nanos: 0 },
                    nanos => Self { seconds: seconds - 1, nanos: 1_000_000_000 - nanos },
                }
            }
        }
    }
}

impl Timestamp {
    /// The same point as the system's type; `None` where that cannot hold it.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        let seconds = Duration::from_secs(self.seconds.unsigned_abs());
        let whole = if self.seconds < 0 {
            UNIX_EPOCH.checked_sub(seconds)
        } else {
            UNIX_EPOCH.checked_add(seconds)
        };
        whole?.checked_add(Duration::from_nanos(u64::from(self.nanos)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NAME, &(self.seconds, self.nanos))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(NAME, &[FIELD], TimestampVisitor)
    }
}

struct TimestampVisitor;

impl<'de> Visitor<'de> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Timestamp, A::Error> {
        match map.next_entry::<String, (i64, u32)>()? {
            Some((key, (seconds, nanos))) if key == FIELD => Timestamp::new(seconds, nanos)
                .ok_or_else(|| de::Error::custom("nanoseconds of a second or more")),
            Some(_) | None => Err(de::Error::custom("expected a time")),
        }
    }

    /// What other formats have of the two numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Timestamp, A::Error> {
        let seconds = seq.next_element()?;
        let nanos = seq.next_element()?;
        seconds
            .zip(nanos)
            .and_then(|(seconds, nanos)| Timestamp::new(seconds, nanos))
            .ok_or_else(|| de::Error::custom("expected a time"))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Timestamp, D::Error> {
        inner.deserialize_tuple(2, self)
    }
}
