//! A client of the gateway: what it asks, how badly it behaves, and what it must get.

use core::time::Duration;
use std::collections::VecDeque;

use forebay_core_time::Instant;
use forebay_tests::random::Random;

use crate::pipe::{Pipe, body, cut, pattern};
use crate::response::{Read, Reader, Response};

/// Both directions of a client's connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Names the patterns of both bodies.
    name: u64,
    is_head: bool,
    is_old: bool,
    host: &'static str,
    /// What the worker is to do, and with how many bytes in how large pieces.
    action: &'static str,
    answer_len: u64,
    piece_len: u64,
    body_len: u64,
    framing: Framing,
    expects: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    None,
    Length,
    Chunked,
    /// What no server takes.
    Broken,
}

#[derive(Debug)]
pub(crate) struct Client {
    random: Random,
    asks: VecDeque<Ask>,
    /// Asked and not answered.
    open: VecDeque<Ask>,
    to_send: VecDeque<u8>,
    /// A body that is held back until 100 (Continue), or until this instant.
    held: Option<(Vec<u8>, Instant)>,
    reader: Reader,
    pipelines: bool,
    /// How many steps it lives, if it vanishes.
    vanishes_in: Option<u64>,
    /// It says that it will send no more as soon as it has asked everything.
    half_closes: bool,
    reads_again: Instant,
    reads_every: Duration,
    is_over: bool,
    calm: bool,
    /// An answer said that the connection ends with it.
    was_told: bool,
    /// The status of every answer, 0 for a request that got none.
    pub(crate) outcomes: Vec<u16>,
}

/// What workers do in a world where nothing goes wrong.
const CALM: [&str; 4] = ["echo", "stream", "early", "none"];
const WILD: [&str; 14] = [
    "echo", "stream", "early", "none", "stream", "echo", "error", "hang", "exit", "bad", "refuse",
    "flood", "break", "drop",
];

impl Client {
    pub(crate) fn new(mut random: Random, name: u64, calm: bool) -> Self {
        let count = 1 + random.below(8);
        let asks = (0..count).map(|n| Ask::random(&mut random, name * 100 + n, calm)).collect();
        Self {
            asks,
            open: VecDeque::new(),
            to_send: VecDeque::new(),
            held: None,
            reader: Reader::default(),
            pipelines: random.chance(300),
            vanishes_in: (!calm && random.chance(200)).then(|| random.below(300)),
            half_closes: !calm && random.chance(200),
            reads_again: Instant::ZERO,
            reads_every: Duration::from_millis(match random.below(10) {
                0 if !calm => 2500 + random.below(3000),
                0..3 => random.below(400),
                _ => 0,
            }),
            is_over: false,
            calm,
            was_told: false,
            outcomes: Vec::new(),
            random,
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether it has got, or lost, everything that it will ask.
    pub(crate) fn is_done(&self) -> bool {
        self.is_over || (self.asks.is_empty() && self.open.is_empty())
    }

    /// When it wants to go on by itself.
    pub(crate) fn wakes(&self) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        let reads = (!self.reads_every.is_zero()).then_some(self.reads_again);
        let held = self.held.as_ref().map(|(_, until)| *until);
        reads.into_iter().chain(held).min()
    }

    /// Does one thing, if there is one to do.
    pub(crate) fn step(&mut self, now: Instant, link: &mut Link) -> bool {
        if self.is_over {
            return false;
        }
        if let Some(left) = &mut self.vanishes_in {
            *left = left.saturating_sub(1);
            if *left == 0 {
                link.up.break_off();
                link.down.break_off();
                self.finish();
                return true;
            }
        }
        self.read(now, link) || self.write(now, link)
    }

    fn write(&mut self, now: Instant, link: &mut Link) -> bool {
        if self.held.as_ref().is_some_and(|(_, until)| until.is_reached(now)) {
            self.release();
        }
        if !self.to_send.is_empty() {
            let len = cut(self.to_send.len(), &mut self.random);
            let taken = link.up.write(&self.to_send.make_contiguous()[..len], &mut self.random);
            self.to_send.drain(..taken);
            return taken > 0;
        }
        let may_ask = self.held.is_none() && (self.open.is_empty() || self.pipelines);
        if may_ask && let Some(ask) = self.asks.pop_front() {
            let (head, body) = ask.wire();
            self.to_send.extend(head);
            if ask.expects {
                self.held = Some((body, now.saturating_add(Duration::from_secs(2))));
            } else {
                self.to_send.extend(body);
            }
            self.open.push_back(ask);
            return true;
        }
        let has_asked = self.asks.is_empty() && self.held.is_none();
        if has_asked && (self.half_closes || self.open.is_empty()) {
            self.half_closes = false;
            link.up.end();
        }
        false
    }

    fn release(&mut self) {
        if let Some((body, _)) = self.held.take() {
            self.to_send.extend(body);
        }
    }

    fn read(&mut self, now: Instant, link: &mut Link) -> bool {
        if now < self.reads_again {
            return false;
        }
        self.reads_again = now.saturating_add(self.reads_every);
        let bytes = link.down.read(&mut self.random);
        self.reader.push(&bytes);
        while let Some(read) = self.reader.next(self.open.front().is_some_and(|ask| ask.is_head)) {
            match read {
                Read::Interim(status) => {
                    assert!(!self.open.is_empty(), "{status} without a request");
                    self.release();
                }
                Read::Response(response) => self.answered(&response),
            }
        }
        if let (Some(current), Some(ask)) = (self.reader.current(), self.open.front()) {
            ask.check(current, false);
        }
        if link.down.is_at_end() {
            if let Some(response) = self.reader.end() {
                let ask = self.open.pop_front().expect("an answer to a request");
                ask.check(&response, false);
                self.was_told = true;
                self.outcomes.push(response.status);
            }
            let lost = !self.open.is_empty() && !self.was_told;
            assert!(!(self.calm && lost), "closed without an answer: {self:#?}");
            self.finish();
            link.up.break_off();
            return true;
        }
        !bytes.is_empty()
    }

    fn finish(&mut self) {
        self.is_over = true;
        self.outcomes.extend(self.open.iter().map(|_| 0));
    }

    fn answered(&mut self, response: &Response) {
        let ask = self.open.pop_front().expect("an answer to a request");
        ask.check(response, true);
        if self.open.is_empty() {
            // A final answer says that nobody waits for the body.
            self.held = None;
        }
        self.outcomes.push(response.status);
        // Behind an answer that did not wait for the body the connection may end.
        self.was_told |= response.closes || (ask.action == "early" && ask.framing != Framing::None);
        if self.calm {
            assert!(matches!(response.status, 200 | 204 | 413), "{ask:?} got {response:?}");
        }
        if response.closes {
            assert!(!self.reader.is_inside(), "bytes behind the last answer");
        }
    }
}

impl Ask {
    fn random(random: &mut Random, name: u64, calm: bool) -> Self {
        let actions: &[_] = if calm { &CALM } else { &WILD };
        let sizes = [0, 1, 60, 300, 2000, 10_000];
        let body_len = if random.chance(500) { 0 } else { sizes[random.index(6)] };
        let framing = match random.below(if calm { 2 } else { 40 }) {
            39 => Framing::Broken,
            _ if body_len == 0 && random.chance(700) => Framing::None,
            n if n % 2 == 0 => Framing::Length,
            _ => Framing::Chunked,
        };
        let is_old = framing != Framing::Chunked && random.chance(80);
        Self {
            name,
            is_head: random.chance(100),
            is_old,
            host: if !calm && random.chance(60) { "elsewhere.invalid" } else { "db.do" },
            action: actions[random.index(actions.len())],
            answer_len: sizes[random.index(6)],
            piece_len: 1 + random.below(300),
            body_len: if framing == Framing::None { 0 } else { body_len },
            framing,
            expects: !is_old && framing != Framing::None && random.chance(150),
        }
    }

    fn wire(&self) -> (Vec<u8>, Vec<u8>) {
        let Self { name, action, answer_len, piece_len, host, body_len, .. } = self;
        let method = if self.is_head { "HEAD" } else { "PUT" };
        let version = if self.is_old { "1.0" } else { "1.1" };
        let mut head = format!(
            "{method} /{name}/{action}/{answer_len}/{piece_len} HTTP/{version}\r\nHost: {host}\r\n"
        );
        if self.is_old {
            head += "Connection: keep-alive\r\n";
        }
        if self.expects {
            head += "Expect: 100-continue\r\n";
        }
        let bytes = body(*name, 0, *body_len);
        let body = match self.framing {
            Framing::None => Vec::new(),
            Framing::Length => {
                head += &format!("Content-Length: {body_len}\r\n");
                bytes
            }
            Framing::Broken => {
                head += &format!("Content-Length: +{body_len}\r\n");
                bytes
            }
            Framing::Chunked => {
                head += "Transfer-Encoding: chunked\r\n";
                let step = usize::try_from(*piece_len).expect("short");
                let mut out = Vec::new();
                for chunk in bytes.chunks(step) {
                    out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                    out.extend(chunk);
                    out.extend(b"\r\n");
                }
                out.extend(if name % 2 == 0 {
                    &b"0\r\n\r\n"[..]
                } else {
                    b"0\r\nX-End: y\r\n\r\n"
                });
                out
            }
        };
        head += "\r\n";
        (head.into_bytes(), body)
    }

    /// Bytes delivered are a prefix of bytes sent; of a complete answer, all of them.
    fn check(&self, response: &Response, is_complete: bool) {
        assert!((200..600).contains(&response.status), "status {}", response.status);
        let Some(of) = response.fields.iter().find(|(name, _)| name == "x-name") else { return };
        assert_eq!(of.1, self.name.to_string(), "the answer to another request");
        let got = response.body.len() as u64;
        assert!(got <= self.answer_len, "more than the worker sent");
        let is_prefix = (0..).zip(&response.body).all(|(at, byte)| *byte == pattern(self.name, at));
        assert!(is_prefix, "other bytes than the worker sent");
        if is_complete && !self.is_head && response.status == 200 && self.action != "break" {
            assert_eq!(got, self.answer_len, "{} bytes short", self.answer_len - got);
        }
    }
}
