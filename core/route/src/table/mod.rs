//! The table of zones and services that decisions are made from, in the caller's storage.

use core::fmt;
use core::ops::Range;

use crate::authority::{self, Host, HostKind};
use crate::body::ErrorBody;
use crate::hash::{self, EXACT_LEN_MAX};
use crate::name::{self, SERVICE_COUNT_MAX, ZONE_COUNT_MAX};
use crate::path::NormalPath;

/// What the table is built from: the names of the configuration, in its order.
#[derive(Debug, Clone, Copy)]
pub struct Names<'n> {
    /// The zones, 1 to 16 ([`name::is_zone`]). The first is the home zone.
    pub zones: &'n [&'n str],
    /// The services, 1 to 4,096 ([`name::is_service`]).
    pub services: &'n [&'n str],
    /// The service of zones themselves and of default labels.
    pub default_service: &'n str,
    /// The leftmost labels that mean the default service.
    pub default_labels: &'n [&'n str],
    /// What stands before a service in a path ([`name::is_prefix`]).
    pub path_prefix: &'n str,
    /// Which services can be reached by path.
    pub path_services: PathServices<'n>,
    /// How hosts with several labels below a zone are read.
    pub multi_level: MultiLevel,
}

/// Which services can be reached by path. Exhaustive on purpose: it is configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathServices<'n> {
    /// Every service.
    All,
    /// These.
    Listed(&'n [&'n str]),
}

/// How hosts with several labels below a zone are read. Exhaustive on purpose: it is configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MultiLevel {
    /// The leftmost label counts, the others do not matter.
    #[default]
    Leftmost,
    /// Only a host with one label below the zone has a subdomain.
    Single,
}

/// A service, by its position in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(u16);

impl ServiceId {
    /// The position among the services, from 0.
    #[must_use]
    pub const fn index(self) -> u16 {
        self.0
    }
}

/// Zones, services and default labels, with an index over them.
///
/// `S` holds the entries and the index, `T` the text; [`Names::slot_count`] and
/// [`Names::text_len`] say how much of each. Built once and then only read.
///
/// Entries stand in the order services, default labels, zones (longest first). Labels are found
/// through chains: `slots[hash & mask].head` is the first entry of the hash's chain, whatever
/// entry that slot itself holds.
#[derive(Debug, Clone)]
pub struct Table<S, T> {
    slots: S,
    text: T,
    mask: u64,
    service_count: u16,
    zones: Range<usize>,
    home: usize,
    default_service: ServiceId,
    prefix: Range<usize>,
    tail: Range<usize>,
    multi_level: MultiLevel,
}

/// Room for one entry of a [`Table`]; what it holds before the table is built does not matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slot {
    hash: u64,
    start: u32,
    /// The first entry of the chain that begins at this slot.
    head: Link,
    /// The next entry of the chain that this entry is in.
    next: Link,
    len: u8,
    kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Empty,
    Service,
    /// A service that can be reached by path as well.
    PathService,
    DefaultLabel,
    Zone,
    /// A zone that is an address: only the whole host matches it.
    LiteralZone,
}

/// The position of an entry, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link(u16);

impl Link {
    const NONE: Self = Self(u16::MAX);
}

impl Default for Link {
    fn default() -> Self {
        Self::NONE
    }
}

/// What stands between the message and the list of services in the body of a 404.
const TAIL_START: &[u8] = br#"","available_services":["#;

impl Names<'_> {
    /// How many slots a table of these names takes.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        let labels = self.services.len().saturating_add(self.default_labels.len());
        let entries = labels.saturating_add(self.zones.len());
        labels.checked_next_power_of_two().unwrap_or(usize::MAX).max(entries)
    }

    /// How many bytes of text a table of these names takes.
    #[must_use]
    pub fn text_len(&self) -> usize {
        let sum = |names: &[&str], around: usize| {
            let lens = names.iter().map(|name| name.len().saturating_add(around));
            lens.fold(0_usize, usize::saturating_add)
        };
        // Each service in quotes, a comma between two, a bracket and a brace behind the last.
        sum(self.services, 3)
            .saturating_add(TAIL_START.len())
            .saturating_add(1)
            .saturating_add(sum(self.default_labels, 0))
            .saturating_add(sum(self.zones, 0))
            .saturating_add(self.path_prefix.len())
    }
}

impl<S: AsRef<[Slot]> + AsMut<[Slot]>, T: AsRef<[u8]> + AsMut<[u8]>> Table<S, T> {
    /// Builds the table. Storage may be larger than needed.
    ///
    /// # Errors
    /// [`BuildError`] names the first name that is not allowed, or the storage that is too small.
    pub fn build(names: &Names<'_>, mut slots: S, mut text: T) -> Result<Self, BuildError> {
        check_counts(names)?;
        check_storage(names, slots.as_ref().len(), text.as_ref().len())?;
        slots.as_mut().fill(Slot::default());
        let labels = names.services.len().saturating_add(names.default_labels.len());
        let mask = labels.checked_next_power_of_two().unwrap_or(1).saturating_sub(1);
        let mask = u64::try_from(mask).map_err(|_| BuildError::ServiceCount)?;
        let mut build =
            Build { slots: slots.as_mut(), text: text.as_mut(), count: 0, len: 0, mask };
        let tail = build.services(names)?;
        build.default_labels(names)?;
        let default_service = build.default_service(names)?;
        build.path_services(names)?;
        let (zones, home) = build.zones(names)?;
        if !name::is_prefix(names.path_prefix) {
            return Err(BuildError::PathPrefix);
        }
        let prefix = build.put(names.path_prefix.as_bytes());
        let service_count =
            u16::try_from(names.services.len()).map_err(|_| BuildError::ServiceCount)?;
        let multi_level = names.multi_level;
        Ok(Self {
            slots,
            text,
            mask,
            service_count,
            zones,
            home,
            default_service,
            prefix,
            tail,
            multi_level,
        })
    }
}

impl<S: AsRef<[Slot]>, T: AsRef<[u8]>> Table<S, T> {
    /// How many services there are.
    #[must_use]
    pub const fn service_count(&self) -> u16 {
        self.service_count
    }

    /// The services with their names, in the order of the configuration.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &[u8])> {
        (0..self.service_count).map(ServiceId).map(|id| (id, self.service_name(id)))
    }

    /// The name of a service; empty for the id of another table that has more.
    #[must_use]
    pub fn service_name(&self, id: ServiceId) -> &[u8] {
        let slots = self.slots.as_ref().get(..usize::from(self.service_count));
        let slot = slots.and_then(|slots| slots.get(usize::from(id.0)));
        slot.map_or(&[], |slot| self.text_of(slot))
    }

    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &[u8]) -> Option<ServiceId> {
        match self.find(name, hash::of(name))? {
            (Kind::Service | Kind::PathService, id) => Some(id),
            (Kind::DefaultLabel | Kind::Empty | Kind::Zone | Kind::LiteralZone, _) => None,
        }
    }

    /// The service of zones themselves and of default labels.
    #[must_use]
    pub const fn default_service(&self) -> ServiceId {
        self.default_service
    }

    /// The first zone as a host: the one of a request without any (HTTP/1.0).
    #[must_use]
    pub fn home(&self) -> Host<'_> {
        let text = self.slots.as_ref().get(self.home).map_or(&b""[..], |slot| self.text_of(slot));
        Host::from_canonical(text)
    }

    /// The end of the body of a 404 that lists the services.
    #[must_use]
    pub fn services_tail(&self) -> &[u8] {
        self.text.as_ref().get(self.tail.clone()).unwrap_or(&[])
    }

    /// The body of the answer where no rule matched.
    #[must_use]
    pub fn not_found<'a>(&'a self, host: &Host<'a>, path: &NormalPath<'a>) -> ErrorBody<'a> {
        ErrorBody::ServiceNotFound {
            host: host.as_bytes(),
            path: *path,
            services_tail: self.services_tail(),
        }
    }

    pub(crate) const fn multi_level(&self) -> MultiLevel {
        self.multi_level
    }

    pub(crate) fn prefix(&self) -> &[u8] {
        self.text.as_ref().get(self.prefix.clone()).unwrap_or(&[])
    }

    /// How many bytes of the host stand below the longest zone that it is in, without the dot
    /// between: `Some(None)` for a zone itself, `None` outside of every zone.
    pub(crate) fn below_zone(&self, host: &Host<'_>) -> Option<Option<usize>> {
        let text = host.as_bytes();
        for slot in self.slots.as_ref().get(self.zones.clone())? {
            let Some(before) = text.len().checked_sub(usize::from(slot.len)) else {
                continue;
            };
            let (below, rest) = text.split_at_checked(before)?;
            match below {
                [] if rest == self.text_of(slot) => return Some(None),
                [labels @ .., b'.']
                    if slot.kind == Kind::Zone
                        && rest == self.text_of(slot)
                        && host.kind() == HostKind::Name =>
                {
                    return Some(Some(labels.len()));
                }
                [..] => {}
            }
        }
        None
    }

    /// The service or default label of that name.
    pub(crate) fn find(&self, label: &[u8], hash: u64) -> Option<(Kind, ServiceId)> {
        let slots = self.slots.as_ref();
        let mut link = slots.get(bucket(hash, self.mask))?.head;
        // A chain is never longer than the table, so this ends whatever the storage holds.
        for _ in slots {
            let slot = slots.get(usize::from(link.0))?;
            if slot.hash == hash
                && usize::from(slot.len) == label.len()
                && (label.len() <= EXACT_LEN_MAX || self.text_of(slot) == label)
            {
                return Some((slot.kind, ServiceId(link.0)));
            }
            link = slot.next;
        }
        None
    }

    fn text_of(&self, slot: &Slot) -> &[u8] {
        slot.text(self.text.as_ref())
    }
}

impl Slot {
    fn text<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        text.get(start..start.saturating_add(usize::from(self.len))).unwrap_or(&[])
    }
}

/// A table being built.
struct Build<'b> {
    slots: &'b mut [Slot],
    text: &'b mut [u8],
    count: usize,
    len: usize,
    mask: u64,
}

impl Build<'_> {
    /// The services, in the text of the list that the body of a 404 ends with. Returns its place.
    fn services(&mut self, names: &Names<'_>) -> Result<Range<usize>, BuildError> {
        let start = self.put(TAIL_START).start;
        for (index, service) in names.services.iter().enumerate() {
            if !name::is_service(service) {
                return Err(BuildError::Service(index));
            }
            self.put(if index == 0 { b"\"" } else { b",\"" });
            let text = self.put(service.as_bytes());
            self.put(b"\"");
            self.label(text, Kind::Service).map_err(|_| BuildError::SameService(index))?;
        }
        let end = self.put(b"]}").end;
        Ok(start..end)
    }

    fn default_labels(&mut self, names: &Names<'_>) -> Result<(), BuildError> {
        for (index, label) in names.default_labels.iter().enumerate() {
            if !name::is_label(label) {
                return Err(BuildError::DefaultLabel(index));
            }
            let text = self.put(label.as_bytes());
            self.label(text, Kind::DefaultLabel).map_err(|kind| match kind {
                Kind::Service | Kind::PathService => BuildError::DefaultLabelIsService(index),
                Kind::DefaultLabel | Kind::Empty | Kind::Zone | Kind::LiteralZone => {
                    BuildError::SameDefaultLabel(index)
                }
            })?;
        }
        Ok(())
    }

    fn default_service(&self, names: &Names<'_>) -> Result<ServiceId, BuildError> {
        let name = names.default_service.as_bytes();
        match self.find(name, hash::of(name)) {
            Some(index) if index < names.services.len() => {
                u16::try_from(index).map(ServiceId).map_err(|_| BuildError::ServiceCount)
            }
            Some(_) | None => Err(BuildError::DefaultService),
        }
    }

    fn path_services(&mut self, names: &Names<'_>) -> Result<(), BuildError> {
        let services = names.services.len();
        let PathServices::Listed(listed) = names.path_services else {
            let all = self.slots.iter_mut().take(services);
            all.for_each(|slot| slot.kind = Kind::PathService);
            return Ok(());
        };
        for (position, name) in listed.iter().enumerate() {
            let name = name.as_bytes();
            let index = self.find(name, hash::of(name)).filter(|index| *index < services);
            let slot = index.and_then(|index| self.slots.get_mut(index));
            slot.ok_or(BuildError::PathService(position))?.kind = Kind::PathService;
        }
        Ok(())
    }

    /// The zones, longest first. Returns where they are and which one is the first of the names.
    fn zones(&mut self, names: &Names<'_>) -> Result<(Range<usize>, usize), BuildError> {
        let start = self.count;
        let mut home = None;
        // At most 16: picking the longest one that is left, each time, needs no memory.
        let mut last: Option<(usize, usize)> = None;
        for _ in names.zones {
            let candidates = names.zones.iter().map(|zone| zone.len()).enumerate();
            let left = candidates.filter(|(index, len)| {
                last.is_none_or(|(last, last_len)| {
                    *len < last_len || (*len == last_len && *index > last)
                })
            });
            let next = left.max_by_key(|(index, len)| (*len, core::cmp::Reverse(*index)));
            let Some((index, len)) = next else { break };
            last = Some((index, len));
            let slot = self.zone(names, index)?;
            if index == 0 {
                home = Some(slot);
            }
        }
        Ok((start..self.count, home.ok_or(BuildError::ZoneCount)?))
    }

    fn zone(&mut self, names: &Names<'_>, index: usize) -> Result<usize, BuildError> {
        let zone = names.zones.get(index).copied().unwrap_or_default();
        if !name::is_zone(zone) {
            return Err(BuildError::Zone(index));
        }
        if names.zones.iter().take(index).any(|other| *other == zone) {
            return Err(BuildError::SameZone(index));
        }
        let kind = match authority::kind_of(zone.as_bytes()) {
            HostKind::Name => Kind::Zone,
            HostKind::V4 | HostKind::V6 => Kind::LiteralZone,
        };
        let text = self.put(zone.as_bytes());
        Ok(self.entry(text, 0, kind))
    }

    /// Adds an entry that labels are looked up in. The kind of the one of that name is the error.
    fn label(&mut self, text: Range<usize>, kind: Kind) -> Result<(), Kind> {
        let name = self.text.get(text.clone()).unwrap_or(&[]);
        let hash = hash::of(name);
        if let Some(same) = self.find(name, hash).and_then(|index| self.slots.get(index)) {
            return Err(same.kind);
        }
        let index = self.entry(text, hash, kind);
        let link = u16::try_from(index).map_or(Link::NONE, Link);
        let bucket = bucket(hash, self.mask);
        let Some(bucket) = self.slots.get_mut(bucket) else { return Ok(()) };
        let next = core::mem::replace(&mut bucket.head, link);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.next = next;
        }
        Ok(())
    }

    fn entry(&mut self, text: Range<usize>, hash: u64, kind: Kind) -> usize {
        let index = self.count;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.hash = hash;
            slot.start = u32::try_from(text.start).unwrap_or(u32::MAX);
            slot.len = u8::try_from(text.len()).unwrap_or(u8::MAX);
            slot.kind = kind;
        }
        self.count = index.saturating_add(1);
        index
    }

    fn find(&self, name: &[u8], hash: u64) -> Option<usize> {
        let mut link = self.slots.get(bucket(hash, self.mask))?.head;
        while link != Link::NONE {
            let slot = self.slots.get(usize::from(link.0))?;
            if slot.hash == hash && slot.text(self.text) == name {
                return Some(usize::from(link.0));
            }
            link = slot.next;
        }
        None
    }

    /// Adds text and returns its place. There is room: the storage was checked.
    fn put(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.len;
        let end = start.saturating_add(bytes.len());
        if let Some(room) = self.text.get_mut(start..end) {
            room.copy_from_slice(bytes);
        }
        self.len = end;
        start..end
    }
}

/// The slot at which the chain of a hash begins. The upper half of a hash is the better one.
fn bucket(hash: u64, mask: u64) -> usize {
    usize::try_from((hash >> 32) & mask).unwrap_or(0)
}

fn check_counts(names: &Names<'_>) -> Result<(), BuildError> {
    if !(1..=SERVICE_COUNT_MAX).contains(&names.services.len()) {
        return Err(BuildError::ServiceCount);
    }
    if names.default_labels.len() > SERVICE_COUNT_MAX {
        return Err(BuildError::DefaultLabelCount);
    }
    if !(1..=ZONE_COUNT_MAX).contains(&names.zones.len()) {
        return Err(BuildError::ZoneCount);
    }
    Ok(())
}

fn check_storage(names: &Names<'_>, slots: usize, text: usize) -> Result<(), BuildError> {
    let need = names.slot_count();
    if slots < need {
        return Err(BuildError::Slots { need });
    }
    let need = names.text_len();
    if text < need {
        return Err(BuildError::Text { need });
    }
    Ok(())
}

/// Why a table could not be built. The number is the position in its list, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BuildError {
    /// No zone, or more than [`ZONE_COUNT_MAX`].
    ZoneCount,
    /// No service, or more than [`SERVICE_COUNT_MAX`].
    ServiceCount,
    /// More than [`SERVICE_COUNT_MAX`] default labels.
    DefaultLabelCount,
    /// This zone is not allowed as one.
    Zone(usize),
    /// This zone came before.
    SameZone(usize),
    /// This service's name is not allowed as one.
    Service(usize),
    /// This service came before.
    SameService(usize),
    /// The default service is no service.
    DefaultService,
    /// This default label is no label.
    DefaultLabel(usize),
    /// This default label came before.
    SameDefaultLabel(usize),
    /// This default label is a service, which would win.
    DefaultLabelIsService(usize),
    /// This path service is no service.
    PathService(usize),
    /// The path prefix is not allowed as one.
    PathPrefix,
    /// There are not enough slots.
    Slots {
        /// How many it takes.
        need: usize,
    },
    /// There is not enough room for the text.
    Text {
        /// How many bytes it takes.
        need: usize,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZoneCount => f.write_str("there must be 1 to 16 zones"),
            Self::ServiceCount => f.write_str("there must be 1 to 4096 services"),
            Self::DefaultLabelCount => f.write_str("there are more than 4096 default labels"),
            Self::Zone(index) => write!(f, "zone {index} is not allowed as one"),
            Self::SameZone(index) => write!(f, "zone {index} came before"),
            Self::Service(index) => write!(f, "service {index} has a name that is not allowed"),
            Self::SameService(index) => write!(f, "service {index} came before"),
            Self::DefaultService => f.write_str("the default service is no service"),
            Self::DefaultLabel(index) => write!(f, "default label {index} is no label"),
            Self::SameDefaultLabel(index) => write!(f, "default label {index} came before"),
            Self::DefaultLabelIsService(index) => write!(f, "default label {index} is a service"),
            Self::PathService(index) => write!(f, "path service {index} is no service"),
            Self::PathPrefix => f.write_str("the path prefix is not allowed as one"),
            Self::Slots { need } => write!(f, "the table needs {need} slots"),
            Self::Text { need } => write!(f, "the table needs {need} bytes of text"),
        }
    }
}

impl core::error::Error for BuildError {}

#[cfg(test)]
mod tests;
