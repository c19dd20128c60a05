//! From the bytes of a head to the routing decision, and the answer that needs no worker.

use forebay_core_http1::{After, Config, Connection, Event, FieldSlot, ResponseHead, Template};
use forebay_core_route::{
    Decision, MultiLevel, Names, NormalPath, PathServices, Slot, Table, authority,
};
use forebay_core_time::Instant;
use forebay_tests::allocator::{Counts, count};

pub(crate) const DATE: &[u8; 29] = b"Sat, 21 Nov 2026 00:00:00 GMT";
const HEADS: [&[u8]; 3] = [
    b"GET /api/db/query?x=1 HTTP/1.1\r\nHost: API.do:8787\r\nAccept: */*\r\n\r\n",
    b"GET /a/./b/../c HTTP/1.1\r\nHost: auth.localhost\r\nUser-Agent: test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: nobody.example\r\nConnection: keep-alive\r\n\r\n",
];

pub(crate) fn table() -> Table<Vec<Slot>, Vec<u8>> {
    let names = Names {
        zones: &["do", "localhost"],
        services: &["gateway", "db", "auth"],
        default_service: "gateway",
        default_labels: &["api"],
        path_prefix: "/api/",
        path_services: PathServices::All,
        multi_level: MultiLevel::Leftmost,
    };
    let (slots, text) = (vec![Slot::default(); names.slot_count()], vec![0; names.text_len()]);
    Table::build(&names, slots, text).expect("the names are well-formed")
}

/// Reads one head and decides.
fn decide(
    connection: &mut Connection,
    now: Instant,
    input: &[u8],
    table: &Table<Vec<Slot>, Vec<u8>>,
) -> Decision {
    let mut fields = [const { FieldSlot::uninit() }; 32];
    let step = connection.handle_bytes(now, input, &mut fields).expect("a well-formed head");
    assert_eq!(step.used, input.len());
    let Some(Event::Request(head)) = step.event else { panic!("no request: {:?}", step.event) };
    let mut buf = [0; 256];
    let host = head.authority().expect("a Host field");
    let host = authority::parse(host, &mut buf).expect("a well-formed host").host;
    let raw = head.target().path();
    let path = NormalPath::parse(raw.as_bytes()).expect("a well-formed path");
    table.decide(&host, &path)
}

#[test]
fn a_head_is_read_routed_and_answered_without_allocating() {
    let table = table();
    let now = Instant::from_millis(1);
    let mut connection = Connection::new(now, Config::default());
    let template = Template::new(404, &[("content-type", "application/json")]).expect("a head");
    let mut out = [0; 1024];
    let mut services = [0_u32; 2];
    let ((), counts) = count(|| {
        for round in 0..300 {
            let decision = decide(&mut connection, now, HEADS[round % HEADS.len()], &table);
            let len = if decision.service().is_some() {
                services[0] += 1;
                answer(&mut connection, &mut out)
            } else {
                services[1] += 1;
                connection.write_answer(&template, b"{}", &mut out).expect("room")
            };
            assert!(out[..len].starts_with(b"HTTP/1.1 "));
            assert_eq!(connection.handle_written(now), After::Open);
        }
    });
    assert_eq!(services, [200, 100]);
    assert_eq!(counts, Counts::default());
}

/// An answer in two chunks.
fn answer(connection: &mut Connection, out: &mut [u8]) -> usize {
    let fields: [(&[u8], &[u8]); 1] = [(b"content-type", b"text/plain")];
    let head =
        ResponseHead { status: 200, length: None, date: DATE, fields: fields.iter().copied() };
    let len = connection.write_head(&head, out).expect("room");
    let mut slot = [0; 64];
    for _ in 0..2 {
        let part = connection.write_part(1000, &mut slot).expect("room");
        assert_eq!(part.take, 1000);
    }
    connection.write_end(core::iter::empty(), &mut slot).expect("room");
    len
}

#[test]
fn an_error_answer_does_not_allocate() {
    let now = Instant::from_millis(1);
    let mut out = [0; 2048];
    let (refused, counts) = count(|| {
        let mut connection = Connection::new(now, Config::default());
        let mut fields = [const { FieldSlot::uninit() }; 4];
        let error =
            connection.handle_bytes(now, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", &mut fields);
        error.is_err() && connection.write_refusal(DATE, &mut out).is_ok()
    });
    assert!(refused);
    assert_eq!(counts, Counts::default());
}
