//! Writing response heads.

use std::hint::black_box;

use forebay_core_http1::{Config, Connection, FieldSlot, ResponseHead, Template};
use forebay_core_time::Instant;

use super::{Case, inputs};

const BATCH: usize = 128;
const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const BODY: &[u8] = br#"{"error":"Service not found","message":"No worker found for unknown.do/test","available_services":["gateway","db","auth","schedule","webhooks","email","mcp","queue"]}"#;

/// Connections that owe an answer.
fn asked() -> Vec<Connection> {
    let head = &inputs::heads(inputs::SMALL)[0];
    let one = || {
        let mut connection = Connection::new(Instant::ZERO, Config::new());
        let mut fields = [const { FieldSlot::uninit() }; 16];
        connection.handle_bytes(Instant::ZERO, head, &mut fields).expect("valid");
        connection
    };
    std::iter::repeat_with(one).take(BATCH).collect()
}

/// A whole answer of the gateway's own: a prepared head and a body of 191 bytes.
pub struct Answer {
    connections: Vec<Connection>,
    template: Template,
}

impl Answer {
    pub fn new() -> Self {
        let mut template =
            Template::new(404, &[("Content-Type", "application/json")]).expect("a valid head");
        template.set_date(DATE);
        Self { connections: Vec::new(), template }
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}

impl Case for Answer {
    fn prepare(&mut self) {
        self.connections = asked();
    }

    fn run(&mut self) -> usize {
        let mut out = [0; 512];
        for connection in &mut self.connections {
            let len = connection.write_answer(&self.template, black_box(BODY), &mut out);
            black_box(&out[..len.expect("in order")]);
        }
        BATCH
    }
}

/// The head of a worker's answer: three fields, one of them the length.
#[derive(Default)]
pub struct Head {
    connections: Vec<Connection>,
}

impl Head {
    pub fn new() -> Self {
        Self::default()
    }
}

impl Case for Head {
    fn prepare(&mut self) {
        self.connections = asked();
    }

    fn run(&mut self) -> usize {
        let fields: [(&[u8], &[u8]); 3] = [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"1234"),
        ];
        let mut out = [0; 512];
        for connection in &mut self.connections {
            let fields = black_box(&fields).iter().copied();
            let head = ResponseHead { status: 200, length: None, date: DATE, fields };
            let len = connection.write_head(&head, &mut out);
            black_box(&out[..len.expect("in order")]);
        }
        BATCH
    }
}
