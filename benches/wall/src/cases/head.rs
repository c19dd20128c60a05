//! From the bytes of a request head to the routing decision.

use std::hint::black_box;
use std::mem::MaybeUninit;

use forebay_core_http1::{Config, Connection, Event, FieldSlot, Head, HeadFacts, PeerError, Step};
use forebay_core_route::{NormalPath, authority};
use forebay_core_time::Instant;

use super::route::ServiceTable;
use super::{Case, inputs};

const FIELD_COUNT: usize = 96;
/// Connections of one batch: few enough to stay in the first-level caches, as the active ones do.
const BATCH: usize = 2 * inputs::COUNT;

/// The peer: httparse alone.
pub struct Httparse(Vec<Vec<u8>>);

impl Httparse {
    pub fn new(len: usize) -> Self {
        Self(inputs::heads(len))
    }
}

impl Case for Httparse {
    fn run(&mut self) -> usize {
        for index in 0..BATCH {
            let mut fields = [const { MaybeUninit::uninit() }; FIELD_COUNT];
            let mut request = httparse::Request::new(&mut []);
            let input = black_box(self.0[index % inputs::COUNT].as_slice());
            let status = request.parse_with_uninit_headers(input, &mut fields);
            assert!(status.is_ok_and(|status| status.is_complete()));
            black_box(&request);
        }
        BATCH
    }
}

/// Connections that wait for a request, new for each batch.
struct Connections(Vec<Connection>);

impl Connections {
    fn new() -> Self {
        Self(Vec::with_capacity(BATCH))
    }

    fn renew(&mut self) {
        self.0.clear();
        let fresh = || Connection::new(Instant::ZERO, Config::new());
        self.0.extend(std::iter::repeat_with(fresh).take(BATCH));
    }
}

/// The head that a call found, where it is: moving it would be part of the time.
fn head_of<'s, 'f, 'i>(step: &'s Result<Step<'f, 'i>, PeerError>) -> &'s Head<'f, 'i> {
    match step {
        Ok(Step { event: Some(Event::Request(head)), .. }) => head,
        _ => panic!("the heads are valid"),
    }
}

/// The head, checked and framed, as core/http1 gives it.
pub struct Parse {
    heads: Vec<Vec<u8>>,
    connections: Connections,
}

impl Parse {
    pub fn new(len: usize) -> Self {
        Self { heads: inputs::heads(len), connections: Connections::new() }
    }
}

impl Case for Parse {
    fn prepare(&mut self) {
        self.connections.renew();
    }

    fn run(&mut self) -> usize {
        let mut fields = [FieldSlot::uninit(); FIELD_COUNT];
        for (index, connection) in self.connections.0.iter_mut().enumerate() {
            let input = black_box(self.heads[index % inputs::COUNT].as_slice());
            let step = connection.handle_bytes(Instant::ZERO, input, &mut fields);
            black_box(head_of(&step));
        }
        BATCH
    }
}

/// The head, its host and path, and the decision.
pub struct Decide {
    heads: Vec<Vec<u8>>,
    connections: Connections,
    table: ServiceTable,
}

impl Decide {
    pub fn new(len: usize) -> Self {
        let (heads, connections) = (inputs::heads(len), Connections::new());
        Self { heads, connections, table: super::route::shipped_table() }
    }
}

impl Case for Decide {
    fn prepare(&mut self) {
        self.connections.renew();
    }

    fn run(&mut self) -> usize {
        let mut fields = [FieldSlot::uninit(); FIELD_COUNT];
        for (index, connection) in self.connections.0.iter_mut().enumerate() {
            let input = black_box(self.heads[index % inputs::COUNT].as_slice());
            let step = connection.handle_bytes(Instant::ZERO, input, &mut fields);
            let head = head_of(&step);
            let mut buf = [0; 256];
            let host = head.authority().expect("every head has a host");
            let host = authority::parse(host, &mut buf).expect("valid").host;
            let path = NormalPath::parse(head.target().path_bytes()).expect("valid");
            black_box(self.table.decide(&host, &path));
            black_box(head);
        }
        BATCH
    }
}

/// A head that equals the connection's last one.
pub struct Same {
    heads: Vec<Vec<u8>>,
    last: Vec<(Vec<u8>, HeadFacts)>,
    connections: Connections,
}

impl Same {
    pub fn new(len: usize) -> Self {
        let heads = inputs::heads(len);
        let last = heads.iter().map(|head| (head.clone(), facts(head))).collect();
        Self { heads, last, connections: Connections::new() }
    }
}

fn facts(head: &[u8]) -> HeadFacts {
    let mut connection = Connection::new(Instant::ZERO, Config::new());
    let mut fields = [const { FieldSlot::uninit() }; FIELD_COUNT];
    let step = connection.handle_bytes(Instant::ZERO, head, &mut fields).expect("valid");
    let Some(Event::Request(head)) = step.event else { panic!("the heads are whole") };
    *head.facts()
}

impl Case for Same {
    fn prepare(&mut self) {
        self.connections.renew();
    }

    fn run(&mut self) -> usize {
        for (index, connection) in self.connections.0.iter_mut().enumerate() {
            let input = black_box(self.heads[index % inputs::COUNT].as_slice());
            let (last, facts) = &self.last[index % inputs::COUNT];
            let used = connection.handle_same_head(Instant::ZERO, input, last, facts);
            assert_eq!(black_box(used), Some(input.len()));
        }
        BATCH
    }
}
