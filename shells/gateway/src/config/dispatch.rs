//! Zones, services, and the rules between them.

use core::ops::RangeInclusive;

use forebay_core_route::name::{self, SERVICE_COUNT_MAX, ZONE_COUNT_MAX};
use forebay_core_route::{BuildError, MultiLevel, Names, PathServices, Slot, Table};

use super::DispatchConfig;
use super::reader::{Item, Section};

const SERVICE_FORM: &str = "a lower-case letter, then at most 62 lower-case letters, digits and \
                            hyphens, no hyphen at the end";
const ZONE_FORM: &str = "a host name or an IP address (IPv6 in brackets and its shortest form) in \
                         lower case, without a dot at the end";
const LABEL_FORM: &str = "one label of a host name in lower case";
const PREFIX_FORM: &str =
    "a path that begins and ends with /, without %, dot segments and empty segments";

const SERVICES: [&str; 8] =
    ["gateway", "db", "auth", "schedule", "webhooks", "email", "mcp", "queue"];

/// The routes of a configuration, in memory of their own.
pub type RouteTable = Table<Box<[Slot]>, Box<[u8]>>;

impl DispatchConfig {
    /// The table that decisions are made from.
    ///
    /// # Errors
    /// [`BuildError`] if a name is not allowed; never for a configuration that was parsed.
    pub fn routes(&self) -> Result<RouteTable, BuildError> {
        let zones = as_strs(&self.zones);
        let services = as_strs(&self.services);
        let default_labels = as_strs(&self.default_labels);
        let path_services = self.path_services.as_deref().map(as_strs);
        let names = Names {
            zones: &zones,
            services: &services,
            default_service: &self.default_service,
            default_labels: &default_labels,
            path_prefix: &self.path_prefix,
            path_services: match &path_services {
                Some(listed) => PathServices::Listed(listed),
                None => PathServices::All,
            },
            multi_level: match self.single_level {
                true => MultiLevel::Single,
                false => MultiLevel::Leftmost,
            },
        };
        let slots = vec![Slot::default(); names.slot_count()].into();
        Table::build(&names, slots, vec![0; names.text_len()].into())
    }
}

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

pub(super) fn read(section: &Section<'_, '_>) -> DispatchConfig {
    let services = section.read("services", owned(&SERVICES), |item| {
        names(item, SERVICE_FORM, 1..=SERVICE_COUNT_MAX, name::is_service)
    });
    let config = DispatchConfig {
        zones: section.read("zones", owned(&["do"]), |item| {
            names(item, ZONE_FORM, 1..=ZONE_COUNT_MAX, name::is_zone)
        }),
        default_service: default_service(section, &services),
        default_labels: section.read("default_labels", default_labels(&services), |item| {
            default_labels_of(item, &services)
        }),
        path_prefix: section.read("path_prefix", "/api/".to_owned(), |item| {
            let prefix = item.text(PREFIX_FORM)?;
            if name::is_prefix(prefix) { Some(prefix.to_owned()) } else { item.refuse(PREFIX_FORM) }
        }),
        path_services: path_services(section, &services),
        single_level: section.read("multi_level", false, |item| {
            item.choice(&[("leftmost", false), ("single", true)])
        }),
        expose_errors: section.read("expose_errors", true, |item| item.bool()),
        services,
    };
    section.finish();
    config
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A list of names without repetition, as long as `count` allows.
fn names(
    item: &Item<'_, '_>,
    form: &str,
    count: RangeInclusive<usize>,
    check: impl Fn(&str) -> bool,
) -> Option<Vec<String>> {
    let elements = item.elements(&format!("an array, each {form}"))?;
    if !count.contains(&elements.len()) {
        let remark = format!("with {} elements", elements.len());
        let allowed = format!("{} to {} elements", count.start(), count.end());
        return item.refuse_since(&remark, &allowed);
    }
    let texts = item.texts(form, check)?;
    Some(texts.into_iter().map(|(text, _)| text).collect())
}

/// The default service. Without the key it is `gateway`, which then has to be a service.
fn default_service(section: &Section<'_, '_>, services: &[String]) -> String {
    const ALLOWED: &str = "one of dispatch.services";
    let is_service = |name: &str| services.iter().any(|service| service == name);
    match section.item("default_service") {
        Some(item) => match item.text(ALLOWED) {
            Some(name) if is_service(name) => name.to_owned(),
            Some(_) => item.refuse(ALLOWED).unwrap_or_default(),
            None => String::new(),
        },
        None => {
            if !is_service("gateway") {
                let key = format!("{}.default_service", section.path());
                let found = "nothing, which means \"gateway\"";
                section.report().error(section.span(), &key, found, ALLOWED);
            }
            "gateway".to_owned()
        }
    }
}

/// `api`, unless that is a service.
fn default_labels(services: &[String]) -> Vec<String> {
    if services.iter().any(|service| service == "api") { vec![] } else { owned(&["api"]) }
}

fn default_labels_of(item: &Item<'_, '_>, services: &[String]) -> Option<Vec<String>> {
    let labels = item.texts(LABEL_FORM, name::is_label)?;
    if labels.len() > SERVICE_COUNT_MAX {
        let remark = format!("with {} elements", labels.len());
        return item.refuse_since(&remark, &format!("at most {SERVICE_COUNT_MAX} elements"));
    }
    for (label, element) in &labels {
        if services.contains(label) {
            let remark = "which is a service: its own rule would always win";
            element.refuse_since::<()>(remark, "a label that is none of dispatch.services");
        }
    }
    Some(labels.into_iter().map(|(label, _)| label).collect())
}

/// The services by path; `None` for all of them. Without the key, those of the three that are
/// services.
fn path_services(section: &Section<'_, '_>, services: &[String]) -> Option<Vec<String>> {
    const ALLOWED: &str = "\"all\", or an array, each one of dispatch.services";
    let is_service = |name: &str| services.iter().any(|service| service == name);
    let Some(item) = section.item("path_services") else {
        let shipped = ["db", "auth", "schedule"].into_iter().filter(|name| is_service(name));
        return Some(shipped.map(str::to_owned).collect());
    };
    if item.is_text("all") {
        return None;
    }
    if !item.is_array() {
        item.refuse::<()>(ALLOWED);
        return Some(vec![]);
    }
    let listed = item.texts("one of dispatch.services", is_service).unwrap_or_default();
    Some(listed.into_iter().map(|(name, _)| name).collect())
}
