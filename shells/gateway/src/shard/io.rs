//! What every part of a shard works with: the reactor, the time, the configuration, scratch memory.

use core::fmt::Write as _;
use core::time::Duration;
use std::sync::Arc;
use std::time::{Instant as Clock, SystemTime};

use forebay_core_dispatch::front::{Front, Site, Templates};
use forebay_core_http1::FieldSlot;
use forebay_core_route::Slot;
use forebay_core_time::Instant;
use forebay_reactor::Reactor;

use super::Shared;

/// More fields than the largest limit.
const FIELDS_MAX: usize = 128;
/// New calls are refused when clients have waited for a buffer so long.
const EXHAUSTED_AFTER: Duration = Duration::from_millis(100);

/// The reactor of a shard and what is common to its clients and workers.
pub(super) struct Io {
    pub(super) reactor: Reactor,
    /// The time of this turn.
    pub(super) now: Instant,
    pub(super) scratch: Box<[u8]>,
    /// Room for the field lines of one head.
    pub(super) fields: Box<[FieldSlot]>,
    pub(super) scene: Scene,
    /// Since when clients wait for a buffer and none came back.
    starved_since: Option<Instant>,
    origin: Clock,
    random: fastrand::Rng,
}

/// What fronts have to know.
pub(super) struct Scene {
    pub(super) shared: Arc<Shared>,
    templates: Templates,
    date: [u8; 29],
    /// When the date changes.
    next_second: Instant,
}

impl Io {
    pub(super) fn new(reactor: Reactor, shared: Arc<Shared>) -> Self {
        let scene = Scene::new(shared);
        let scratch_len = Front::scratch_len(&scene.shared.limits, &scene.site());
        Self {
            reactor,
            now: Instant::ZERO,
            scratch: vec![0; scratch_len].into_boxed_slice(),
            fields: (0..FIELDS_MAX).map(|_| FieldSlot::uninit()).collect(),
            scene,
            starved_since: None,
            origin: Clock::now(),
            random: fastrand::Rng::new(),
        }
    }

    /// Reads the clock, once a turn.
    pub(super) fn read_clock(&mut self) {
        let nanos = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.now = Instant::from_nanos(nanos);
        if self.now >= self.scene.next_second {
            self.scene.tell_date(self.now);
        }
    }

    /// A client found no buffer to receive into.
    pub(super) fn note_starved(&mut self) {
        self.starved_since.get_or_insert(self.now);
    }

    /// A buffer came back.
    pub(super) fn note_buffers(&mut self) {
        self.starved_since = None;
    }

    /// Whether there has been no buffer for so long that no new call is taken.
    pub(super) fn is_exhausted(&self) -> bool {
        self.starved_since.is_some_and(|since| self.now.saturating_since(since) >= EXHAUSTED_AFTER)
    }

    /// Random bits, good enough to tell requests apart and to spread restarts.
    pub(super) fn random(&mut self) -> u64 {
        self.random.u64(..)
    }
}

impl Scene {
    fn new(shared: Arc<Shared>) -> Self {
        let date = date(SystemTime::now());
        let templates = Templates::new(&date).expect("the statuses and fields are valid constants");
        Self { shared, templates, date, next_second: Instant::ZERO }
    }

    pub(super) fn site(&self) -> Site<'_, Box<[Slot]>, Box<[u8]>> {
        let shared = &*self.shared;
        Site {
            routes: &shared.routes,
            deployed: &shared.deployed,
            environment: &shared.config.environment,
            has_namespace: shared.has_namespace,
            expose_errors: shared.config.dispatch.expose_errors,
            generation: 0,
            date: &self.date,
            templates: &self.templates,
        }
    }

    pub(super) fn date(&self) -> &[u8; 29] {
        &self.date
    }

    fn tell_date(&mut self, now: Instant) {
        let time = SystemTime::now();
        self.date = date(time);
        self.templates.set_date(&self.date);
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let left = Duration::from_secs(1) - Duration::from_nanos(since.subsec_nanos().into());
        self.next_second = now.saturating_add(left);
    }
}

fn date(time: SystemTime) -> [u8; 29] {
    struct Text([u8; 29], usize);
    impl core::fmt::Write for Text {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            let end = self.1 + text.len();
            self.0.get_mut(self.1..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
            self.1 = end;
            Ok(())
        }
    }
    let mut text = Text([b' '; 29], 0);
    write!(text, "{}", httpdate::HttpDate::from(time)).expect("an HTTP date has 29 bytes");
    text.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_http_wants_it() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(&date(time), b"Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
