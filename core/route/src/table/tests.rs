//! Building a table, and what it refuses.

use super::*;
use std::string::String;
use std::vec;
use std::vec::Vec;

const NAMES: Names<'_> = Names {
    zones: &["do", "eu.do", "127.0.0.1"],
    services: &["gateway", "db", "auth"],
    default_service: "gateway",
    default_labels: &["api"],
    path_prefix: "/api/",
    path_services: PathServices::Listed(&["db"]),
    multi_level: MultiLevel::Leftmost,
};

fn build(names: &Names<'_>) -> Result<Table<Vec<Slot>, Vec<u8>>, BuildError> {
    let slots = vec![Slot::default(); names.slot_count()];
    Table::build(names, slots, vec![0; names.text_len()])
}

#[test]
fn keeps_the_services_in_their_order() {
    let table = build(&NAMES).unwrap();
    let names: Vec<&[u8]> = table.services().map(|(_, name)| name).collect();
    assert_eq!(names, [&b"gateway"[..], b"db", b"auth"]);
    for (id, name) in table.services() {
        assert_eq!(table.service(name), Some(id));
        assert_eq!(table.service_name(id), name);
    }
    assert_eq!(table.service(b"api"), None, "a label is no service");
    assert_eq!(table.service(b"do"), None);
    assert_eq!(table.service_name(ServiceId(3)), b"");
    assert_eq!(table.services_tail(), br#"","available_services":["gateway","db","auth"]}"#);
    assert_eq!(table.home().as_bytes(), b"do");
}

#[test]
fn the_home_zone_is_the_first_one_and_may_be_an_address() {
    let table = build(&Names { zones: &["[::1]", "localhost"], ..NAMES }).unwrap();
    assert_eq!((table.home().as_bytes(), table.home().kind()), (&b"[::1]"[..], HostKind::V6));
    let table = build(&Names { zones: &["a", "127.0.0.1"], ..NAMES }).unwrap();
    assert_eq!((table.home().as_bytes(), table.home().kind()), (&b"a"[..], HostKind::Name));
}

#[test]
fn text_fits_exactly_and_one_byte_less_is_an_error() {
    let need = NAMES.text_len();
    let mut slots = [Slot::default(); 8];
    assert!(Table::build(&NAMES, slots, vec![0; need]).is_ok());
    let error = Table::build(&NAMES, slots, vec![0; need - 1]).unwrap_err();
    assert_eq!(error, BuildError::Text { need });
    let need = NAMES.slot_count();
    let error = Table::build(&NAMES, &mut slots[..need - 1], [0; 256]).unwrap_err();
    assert_eq!(error, BuildError::Slots { need });
}

#[test]
fn names_the_first_mistake() {
    let long = ["a"; 17];
    let cases = [
        (Names { zones: &[], ..NAMES }, BuildError::ZoneCount),
        (Names { zones: &long, ..NAMES }, BuildError::ZoneCount),
        (Names { zones: &["do", "DO"], ..NAMES }, BuildError::Zone(1)),
        (Names { zones: &["do", "a", "do"], ..NAMES }, BuildError::SameZone(2)),
        (Names { services: &[], ..NAMES }, BuildError::ServiceCount),
        (Names { services: &["gateway", "1"], ..NAMES }, BuildError::Service(1)),
        (Names { services: &["gateway", "db", "db"], ..NAMES }, BuildError::SameService(2)),
        (Names { default_service: "api", ..NAMES }, BuildError::DefaultService),
        (Names { default_service: "x", ..NAMES }, BuildError::DefaultService),
        (Names { default_labels: &["a.b"], ..NAMES }, BuildError::DefaultLabel(0)),
        (Names { default_labels: &["api", "api"], ..NAMES }, BuildError::SameDefaultLabel(1)),
        (Names { default_labels: &["api", "db"], ..NAMES }, BuildError::DefaultLabelIsService(1)),
        (
            Names { path_services: PathServices::Listed(&["db", "api"]), ..NAMES },
            BuildError::PathService(1),
        ),
        (Names { path_prefix: "api/", ..NAMES }, BuildError::PathPrefix),
    ];
    for (names, error) in cases {
        assert_eq!(build(&names).err(), Some(error));
    }
}

#[test]
fn holds_4096_services_and_no_more() {
    let names: Vec<String> = (0..4097).map(|index| std::format!("service-{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let zones: Vec<String> = (0..16).map(|index| std::format!("zone{index}")).collect();
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    let full = Names {
        zones: &zones,
        services: &names[..4096],
        default_service: "service-0",
        path_services: PathServices::All,
        ..NAMES
    };
    let table = build(&full).unwrap();
    for (id, name) in table.services() {
        assert_eq!(table.service(name), Some(id));
    }
    assert_eq!(table.service(b"service-4096"), None);
    assert_eq!(build(&Names { services: &names, ..full }).err(), Some(BuildError::ServiceCount));
}

#[test]
fn errors_read_as_sentences() {
    assert_eq!(std::format!("{}", BuildError::SameZone(2)), "zone 2 came before");
}
