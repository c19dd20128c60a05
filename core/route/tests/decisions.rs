//! Decisions: the vectors that need no request parser, and the properties that any table has.

use std::collections::HashMap;

use forebay_core_route::{
    AuthorityError, Decision, MultiLevel, Names, NormalPath, PathServices, ServiceId, Slot, Table,
    authority, path,
};
use proptest::prelude::*;

const VECTORS: &str = include_str!("../../../tests/vectors/route/decisions.tsv");

/// The services of the built-in configuration.
const SERVICES: [&str; 8] =
    ["gateway", "db", "auth", "schedule", "webhooks", "email", "mcp", "queue"];

const SHIPPED: Names<'_> = Names {
    zones: &["do"],
    services: &SERVICES,
    default_service: "gateway",
    default_labels: &["api"],
    path_prefix: "/api/",
    path_services: PathServices::Listed(&["db", "auth", "schedule"]),
    multi_level: MultiLevel::Leftmost,
};

type HeapTable = Table<Box<[Slot]>, Box<[u8]>>;

fn table(names: &Names<'_>) -> HeapTable {
    let slots = vec![Slot::default(); names.slot_count()].into();
    Table::build(names, slots, vec![0; names.text_len()].into()).unwrap()
}

/// The service and the rule, as the vectors write it.
fn decide(table: &HeapTable, host: &str, target: &str) -> Result<String, AuthorityError> {
    let mut buf = [0; _];
    let host = authority::parse(host.as_bytes(), &mut buf)?.host;
    let path = NormalPath::parse(path::before_query(target.as_bytes())).unwrap();
    let decision = table.decide(&host, &path);
    let service = decision.service().map(|id| table.service_name(id).to_vec());
    let service = service.map_or("404".into(), |name| String::from_utf8(name).unwrap());
    Ok(format!("{service} {}", decision.rule()))
}

/// Vectors about the form of the target and about what is deployed are the gateway's: it runs all.
#[test]
fn vectors() {
    let zone = |zone| {
        let zones: &'static [&str] = match zone {
            "[::1]" => &["do", "[::1]"],
            _ => &["do", "127.0.0.1"],
        };
        Names { zones, ..SHIPPED }
    };
    let mut count = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [number, _, target, host, setup, expected] = columns[..] else {
            panic!("not a vector: {line}")
        };
        let names = match setup.split_once('=').map_or((setup, ""), |(name, value)| (name, value)) {
            ("-", _) => SHIPPED,
            ("single", _) => Names { multi_level: MultiLevel::Single, ..SHIPPED },
            ("all", _) => Names { path_services: PathServices::All, ..SHIPPED },
            ("zone", value) => zone(value),
            _ => continue,
        };
        let (host, target) = split(target).unwrap_or((host, target));
        let result = decide(&table(&names), host, target);
        match result {
            Ok(decision) if expected != "400" => assert_eq!(decision, expected, "{number}"),
            // A target that no request may have: not for this crate to say.
            Ok(_) if (61..=75).contains(&number.parse().unwrap_or(0)) => continue,
            Ok(decision) => panic!("{number}: {decision} instead of a refusal"),
            Err(_) => assert_eq!(expected, "400", "{number}"),
        }
        count += 1;
    }
    assert!(count >= 70, "{count} vectors");
}

/// The authority of an absolute target, and the rest.
fn split(target: &str) -> Option<(&str, &str)> {
    let (_, rest) = target.split_once("://")?;
    Some(rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}

#[test]
fn zones_that_are_nested_match_longest_first() {
    let names = Names { zones: &["do", "eu.do"], ..SHIPPED };
    let table = table(&names);
    assert_eq!(decide(&table, "eu.do", "/").unwrap(), "gateway default");
    assert_eq!(decide(&table, "db.eu.do", "/").unwrap(), "db subdomain");
    let single = self::table(&Names { multi_level: MultiLevel::Single, ..names });
    assert_eq!(decide(&single, "db.eu.do", "/").unwrap(), "db subdomain");
    assert_eq!(decide(&single, "db.us.do", "/").unwrap(), "404 none");
    assert_eq!(decide(&single, "db.us.do", "/api/db/").unwrap(), "db path");
}

#[test]
fn nothing_is_below_an_address() {
    let address = table(&Names { zones: &["127.0.0.1", "do"], ..SHIPPED });
    assert_eq!(decide(&address, "127.0.0.1", "/").unwrap(), "gateway default");
    assert_eq!(decide(&address, "db.127.0.0.1", "/").unwrap(), "404 none");
    // 0.1 is a name, and 10.0.0.1 an address that only ends like it.
    let table = table(&Names { zones: &["0.1"], ..SHIPPED });
    assert_eq!(decide(&table, "10.0.0.1", "/api/db/").unwrap(), "404 none");
    assert_eq!(decide(&table, "db.0.1", "/").unwrap(), "db subdomain");
}

#[test]
fn prefixes_of_other_depths() {
    for (prefix, path, expected) in [
        ("/", "/db", "db path"),
        ("/", "/x/../db/y", "db path"),
        ("/", "/x/db", "gateway default"),
        ("/v1/api/", "/v1/api/db", "db path"),
        ("/v1/api/", "/v1/./api/db/x", "db path"),
        ("/v1/api/", "/v1/api/x/..", "gateway default"),
        ("/v1/api/", "/v2/./api/db", "gateway default"),
        ("/v1/api/", "/v1/.", "gateway default"),
    ] {
        let table = table(&Names { path_prefix: prefix, ..SHIPPED });
        assert_eq!(decide(&table, "do", path).unwrap(), expected, "{prefix} {path}");
    }
}

/// The rules as the table of precedence has them, with strings and a map.
fn model(names: &Names<'_>, host: &str, path: &str) -> Decision {
    let ids: HashMap<&str, usize> = names.services.iter().copied().zip(0..).collect();
    let table = table(names);
    let all: Vec<ServiceId> = table.services().map(|(id, _)| id).collect();
    let id = |name: &str| ids.get(name).map(|index| all[*index]);
    let below = |zone: &str| host.strip_suffix(zone).and_then(|rest| rest.strip_suffix('.'));
    let mut zones = names.zones.to_vec();
    zones.sort_by_key(|zone| core::cmp::Reverse(zone.len()));
    let Some(zone) = zones.iter().find(|zone| host == **zone || below(zone).is_some()) else {
        return Decision::None;
    };
    let labels: Vec<&str> =
        below(zone).map(|labels| labels.split('.').collect()).unwrap_or_default();
    let usable = names.multi_level == MultiLevel::Leftmost || labels.len() == 1;
    let label = labels.first().copied().filter(|_| usable);
    if let Some(id) = label.and_then(id) {
        return Decision::Subdomain(id);
    }
    let segment = path.strip_prefix(names.path_prefix).and_then(|rest| rest.split('/').next());
    let listed = |name: &&str| match names.path_services {
        PathServices::All => true,
        PathServices::Listed(listed) => listed.contains(name),
    };
    if let Some(id) = segment.filter(listed).and_then(id) {
        return Decision::Path(id);
    }
    let default =
        labels.is_empty() || label.is_some_and(|label| names.default_labels.contains(&label));
    if default { Decision::Default(id(names.default_service).unwrap()) } else { Decision::None }
}

proptest! {
    /// First match wins, whatever the host and the path.
    #[test]
    fn agrees_with_the_rules_written_down(
        labels in prop::collection::vec(prop::sample::select(vec!["db", "api", "eu", "do", "x"]), 1..5),
        segments in prop::collection::vec(prop::sample::select(vec!["db", "api", "email", "", "x"]), 1..5),
        single in any::<bool>(),
        all in any::<bool>(),
    ) {
        let names = Names {
            zones: &["do", "eu.do", "x"],
            multi_level: if single { MultiLevel::Single } else { MultiLevel::Leftmost },
            path_services: if all { PathServices::All } else { SHIPPED.path_services },
            ..SHIPPED
        };
        let (host, target) = (labels.join("."), format!("/{}", segments.join("/")));
        let mut buf = [0; _];
        let parsed = authority::parse(host.as_bytes(), &mut buf).unwrap().host;
        let path = NormalPath::parse(target.as_bytes()).unwrap();
        prop_assert_eq!(table(&names).decide(&parsed, &path), model(&names, &host, &target));
    }

    /// The port, the case, a trailing dot and the query are no part of a decision, and dot segments
    /// none but by the path that they lead to.
    #[test]
    fn depends_on_nothing_but_host_and_normal_path(
        host in "(db|api|x|eu\\.db|db\\.eu)\\.(do|example)",
        path in "(/(api|db|auth|x|)){1,4}",
        port in any::<u16>(),
        query in "(\\?[!-~]{0,20})?",
    ) {
        let table = table(&SHIPPED);
        let plain = decide(&table, &host, &path);
        let dressed = format!("{}.:{port}", host.to_ascii_uppercase());
        prop_assert_eq!(&plain, &decide(&table, &dressed, &format!("{path}{query}")));
        prop_assert_eq!(&plain, &decide(&table, &host, &format!("/y/%2E./.{path}{query}")));
    }

    #[test]
    fn no_bytes_make_it_panic(
        host in prop::collection::vec(any::<u8>(), 0..80),
        target in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let table = table(&SHIPPED);
        let mut buf = [0; _];
        if let (Ok(authority), Ok(path)) =
            (authority::parse(&host, &mut buf), NormalPath::parse(&target))
        {
            let decision = table.decide(&authority.host, &path);
            let mut body = [0; 2048];
            let _ = table.not_found(&authority.host, &path).emit(&mut body);
            prop_assert_eq!(decision, table.decide(&authority.host, &path));
        }
    }
}
