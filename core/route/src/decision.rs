//! The decision: which service a host and a path lead to.

use crate::authority::Host;
use crate::hash;
use crate::path::NormalPath;
use crate::table::{Kind, MultiLevel, ServiceId, Slot, Table};

/// Which rule matched, first match wins, and the service it leads to.
///
/// Exhaustive on purpose: a new rule has to be thought about wherever one is explained or counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The host lies below a zone and its leftmost label is a service.
    Subdomain(ServiceId),
    /// The path has a service behind the prefix.
    Path(ServiceId),
    /// The host is a zone itself, or its leftmost label means the default service.
    Default(ServiceId),
    /// No rule matched.
    None,
}

impl Decision {
    /// The service, if a rule matched.
    #[must_use]
    pub const fn service(self) -> Option<ServiceId> {
        match self {
            Self::Subdomain(service) | Self::Path(service) | Self::Default(service) => {
                Some(service)
            }
            Self::None => None,
        }
    }

    /// The name of the rule in metrics, logs and explanations.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Subdomain(_) => "subdomain",
            Self::Path(_) => "path",
            Self::Default(_) => "default",
            Self::None => "none",
        }
    }
}

impl<S: AsRef<[Slot]>, T: AsRef<[u8]>> Table<S, T> {
    /// Which service a request for `path` at `host` goes to. Nothing else decides.
    ///
    /// # Bound
    /// One comparison per zone of a fitting length, two look-ups of a name, and for a path with
    /// dot segments one pass over it.
    #[must_use]
    pub fn decide(&self, host: &Host<'_>, path: &NormalPath<'_>) -> Decision {
        let Some(below) = self.below_zone(host) else {
            return Decision::None;
        };
        let mut default = below.is_none();
        let one_label = below == Some(host.label().len());
        let looks = match self.multi_level() {
            MultiLevel::Leftmost => below.is_some(),
            MultiLevel::Single => one_label,
        };
        if looks {
            match self.find(host.label(), host.label_hash()) {
                Some((Kind::Service | Kind::PathService, id)) => return Decision::Subdomain(id),
                Some((Kind::DefaultLabel, _)) => default = true,
                Some((Kind::Empty | Kind::Zone | Kind::LiteralZone, _)) | None => {}
            }
        }
        if let Some(id) = self.path_service(path) {
            return Decision::Path(id);
        }
        if default { Decision::Default(self.default_service()) } else { Decision::None }
    }

    fn path_service(&self, path: &NormalPath<'_>) -> Option<ServiceId> {
        let (segment, hash) = match path.as_plain() {
            Some(plain) => {
                let rest = plain.strip_prefix(self.prefix())?;
                let (len, hash) = hash::of_segment(rest);
                (rest.get(..len)?, hash)
            }
            None => {
                let segment = self.dotted_segment(path)?;
                (segment, hash::of(segment))
            }
        };
        match self.find(segment, hash)? {
            (Kind::PathService, id) => Some(id),
            (
                Kind::Service | Kind::DefaultLabel | Kind::Empty | Kind::Zone | Kind::LiteralZone,
                _,
            ) => None,
        }
    }

    /// The segment behind the prefix, where the normal form is not in one piece.
    fn dotted_segment<'p>(&self, path: &NormalPath<'p>) -> Option<&'p [u8]> {
        let mut segments = path.segments();
        let inner = self.prefix().strip_prefix(b"/")?;
        let inner = inner.strip_suffix(b"/");
        let wanted = inner.into_iter().flat_map(|inner| inner.split(|&byte| byte == b'/'));
        for want in wanted {
            if segments.next()? != want {
                return None;
            }
        }
        segments.next()
    }
}
