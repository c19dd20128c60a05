//! Whatever clients ask for at once, and in whatever pieces it comes: each request has its own
//! answer, whole, and none waits for a loop that has forgotten it.

use std::io::Write;

use forebay_tests::gateway::Gateway;
use forebay_tests::http::Client;
use forebay_tests::random::Random;

use crate::{DEMO, Setup, on_each_backend};

/// Two workers, so that each core is the home of one. No ping wakes a loop that has gone to sleep
/// too early: what it forgot would then be missed for longer than a client waits.
const WORKERS: &str = "\
[namespaces.production.workers.gateway]
builtin = \"echo\"
ping_interval = \"1h\"
[namespaces.production.workers.db]
builtin = \"demo\"
ping_interval = \"1h\"
";
/// Around what the gateway gathers, puts inside a call, and keeps for a client (256 KiB) and for a
/// worker (1 MiB).
const LENS: [usize; 9] = [0, 1, 100, 4_096, 20_000, 66_000, 140_000, 300_000, 1_500_000];

/// One request, and what its answer must have for a body.
enum Ask {
    /// The body comes back.
    Echo { len: usize, chunked: bool },
    /// So many bytes of anything.
    Stream { chunks: usize, size: usize },
    /// What was uploaded is counted.
    Upload { len: usize },
}

impl Ask {
    fn any(random: &mut Random, host: &str) -> Self {
        if host == "gateway.do" {
            Self::Echo { len: *random.pick(&LENS), chunked: random.chance(300) }
        } else if random.chance(500) {
            let size = *random.pick(&[1, 1_000, 65_536, 300_000]);
            Self::Stream { chunks: *random.pick(&[0, 1, 3, 20]), size }
        } else {
            Self::Upload { len: *random.pick(&LENS) }
        }
    }

    fn bytes(&self, host: &str, body: &[u8]) -> Vec<u8> {
        let (method, target, framing, len) = match *self {
            Self::Echo { len, chunked: true } => ("POST", "/".to_owned(), None, len),
            Self::Echo { len, .. } => ("POST", "/".to_owned(), Some(len), len),
            Self::Upload { len } => ("POST", "/upload".to_owned(), Some(len), len),
            Self::Stream { chunks, size } => {
                ("GET", format!("/stream?chunks={chunks}&size={size}"), Some(0), 0)
            }
        };
        let framing = match framing {
            Some(len) => format!("Content-Length: {len}"),
            None => "Transfer-Encoding: chunked".to_owned(),
        };
        let mut bytes =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n\r\n").into_bytes();
        if matches!(self, Self::Echo { chunked: true, .. }) {
            for chunk in body[..len].chunks(30_000) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&body[..len]);
        }
        bytes
    }

    fn check(&self, answer: &forebay_tests::http::Answer, body: &[u8]) {
        assert_eq!(answer.status, 200);
        match *self {
            Self::Echo { len, .. } => assert!(answer.body == body[..len], "an echo of {len}"),
            Self::Stream { chunks, size } => assert_eq!(answer.body.len(), chunks * size),
            Self::Upload { len } => {
                let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
                assert_eq!(json["length"], len);
            }
        }
    }
}

/// One connection: requests behind each other, sent in pieces while the answers come.
fn converse(gateway: &Gateway, random: &mut Random, body: &[u8]) {
    let host = *random.pick(&["gateway.do", "db.do"]);
    let count = 1 + random.index(5);
    let asked: Vec<Ask> = (0..count).map(|_| Ask::any(random, host)).collect();
    let mut client = Client::connect(gateway.addr());
    let mut writer = client.stream().try_clone().expect("a second handle");
    let piece = *random.pick(&[7_000, 100_000, usize::MAX]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for ask in &asked {
                for piece in ask.bytes(host, body).chunks(piece) {
                    writer.write_all(piece).expect("the gateway takes the bytes");
                }
            }
        });
        for ask in &asked {
            ask.check(&client.answer(), body);
        }
    });
}

#[test]
fn any_mixture_of_requests_has_its_answers() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, workers: WORKERS, ..DEMO }.start();
        let mut body = vec![0; LENS[8]];
        Random::new(1).fill(&mut body);
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let (gateway, body) = (&gateway, &body);
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    (0..40).for_each(|_| converse(gateway, &mut random, body));
                });
            }
        });
    });
}
