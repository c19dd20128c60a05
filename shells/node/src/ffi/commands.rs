//! Commands on their way from JavaScript.
//!
//! A record is a row of 32-bit words in the machine's order, then bytes, padded to a whole word:
//!
//! ```text
//!  1 | flags << 8, slot, generation, client, headers timeout, body timeout, credit, ends of
//!    method, path, host and upgrade, length of head, body kind, body low, body high, length of
//!    server name (2^32 - 1: none); head, server name, body
//!  2 chunk: slot, generation, length, bytes     3 chunk: slot, generation, index of body
//!  4 body end, 6 pause, 7 resume, 8 abort, 14 go: slot, generation
//!  5 credit: slot, generation, bytes
//!  9 open: client, number of options           10 pipelining: client, depth
//! 11 close, 12 destroy: client
//! 13 answer: client, number, length, JSON: `{ addresses, socket, h2 }`, or null
//! ```
//!
//! Flags: the fields of `RequestFlags` in their order, bits 0 to 6 and 16; 7: bits 8 to 15 are the
//! type of service.
//!
//! Body kinds: 0 none, 1 empty, 2 bytes behind the head (low: their length), 3 body number low, 4 a
//! stream, 5 a stream of low + 2^32 * high bytes.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::sockets::Sockets;
use crate::engine::{
    Answer, Body, ClientId, ClientOptions, Command, Request, RequestFlags, RequestHead, RequestId,
};

/// The commands are not as described: JavaScript's side has a bug.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Where the record starts.
    at: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed command at byte {}", self.at)
    }
}

/// Decodes a whole batch.
///
/// # Errors
/// When one record is malformed: nothing of the batch takes effect.
pub(super) fn decode(
    packed: &[u8],
    bodies: Vec<Bytes>,
    options: &[Option<Arc<ClientOptions>>],
    sockets: &mut Sockets,
) -> Result<Vec<Command>, Malformed> {
    let mut reader = Reader { packed, at: 0, bodies, sockets };
    let mut commands = Vec::with_capacity(packed.len() / 192 + 1);
    while reader.at < packed.len() {
        let at = reader.at;
        commands.push(command(&mut reader, options).ok_or(Malformed { at })?);
    }
    Ok(commands)
}

fn command(reader: &mut Reader<'_>, options: &[Option<Arc<ClientOptions>>]) -> Option<Command> {
    let first = reader.word()?;
    Some(match first & 0xff {
        1 => Command::Dispatch(Box::new(request(reader, first >> 8)?)),
        2 => {
            let id = reader.id()?;
            let len = reader.word()? as usize;
            let chunk = Bytes::copy_from_slice(reader.bytes(len)?);
            reader.align();
            Command::BodyChunk { id, chunk }
        }
        3 => Command::BodyChunk { id: reader.id()?, chunk: reader.body()? },
        4 => Command::BodyEnd { id: reader.id()? },
        5 => Command::Credit { id: reader.id()?, bytes: reader.word()? },
        6 => Command::Pause { id: reader.id()? },
        7 => Command::Resume { id: reader.id()? },
        8 => Command::Abort { id: reader.id()? },
        14 => Command::Go { id: reader.id()? },
        9 => {
            let client = ClientId(reader.word()?);
            let options = options.get(reader.word()? as usize)?.clone()?;
            Command::Open { client, options }
        }
        10 => Command::Pipelining { client: ClientId(reader.word()?), depth: reader.word()? },
        11 => Command::Close { client: ClientId(reader.word()?) },
        12 => Command::Destroy { client: ClientId(reader.word()?) },
        13 => {
            let [client, number, len] = reader.words()?;
            let said = serde_json::from_slice::<Option<Said>>(reader.bytes(len as usize)?).ok()?;
            reader.align();
            let answer = said.map(|said| said.with(reader.sockets));
            Command::Answer { client: ClientId(client), number, answer }
        }
        _ => return None,
    })
}

fn request(reader: &mut Reader<'_>, flags: u32) -> Option<Request> {
    let id = reader.id()?;
    let [client, headers_timeout_ms, body_timeout_ms, credit] = reader.words()?;
    let ends: [u32; 4] = reader.words()?;
    let [head_len, body_kind, low, high, servername_len] = reader.words()?;
    let head = RequestHead::new(reader.bytes(head_len as usize)?.into(), ends)?;
    let servername = match servername_len {
        u32::MAX => None,
        len => Some(core::str::from_utf8(reader.bytes(len as usize)?).ok()?.into()),
    };
    let body = match body_kind {
        0 => Body::None,
        1 => Body::Empty,
        2 => Body::Whole(Bytes::copy_from_slice(reader.bytes(low as usize)?)),
        3 => Body::Whole(reader.bodies.get_mut(low as usize).map(core::mem::take)?),
        4 => Body::Stream { length: None },
        5 => Body::Stream { length: Some(u64::from(high) << 32 | u64::from(low)) },
        _ => return None,
    };
    reader.align();
    let type_of_service = (flags & 1 << 7 != 0).then_some((flags >> 8) as u8);
    let (client, flags) = (ClientId(client), request_flags(flags));
    Some(Request {
        id,
        client,
        head,
        body,
        flags,
        type_of_service,
        headers_timeout_ms,
        body_timeout_ms,
        credit,
        servername,
    })
}

fn request_flags(bits: u32) -> RequestFlags {
    let is = |bit: u32| bits & 1 << bit != 0;
    RequestFlags {
        idempotent: is(0),
        blocking: is(1),
        reset: is(2),
        connect: is(3),
        head: is(4),
        expect_continue: is(5),
        no_h2: is(6),
        started: is(16),
    }
}

struct Reader<'a> {
    packed: &'a [u8],
    at: usize,
    bodies: Vec<Bytes>,
    sockets: &'a mut Sockets,
}

/// What the caller's functions said.
#[derive(Deserialize)]
struct Said {
    addresses: Vec<IpAddr>,
    socket: Option<i32>,
    h2: bool,
}

impl Said {
    #[cfg(unix)]
    fn with(self, sockets: &mut Sockets) -> Answer {
        let Self { addresses, socket, h2 } = self;
        Answer { addresses, h2, socket: socket.and_then(|number| sockets.take(number)) }
    }

    #[cfg(not(unix))]
    fn with(self, _: &mut Sockets) -> Answer {
        Answer { addresses: self.addresses, h2: self.h2 && self.socket.is_some() }
    }
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> Option<u32> {
        let bytes = self.packed.get(self.at..)?.first_chunk()?;
        self.at += 4;
        Some(u32::from_ne_bytes(*bytes))
    }

    fn words<const N: usize>(&mut self) -> Option<[u32; N]> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.word()?;
        }
        Some(words)
    }

    fn id(&mut self) -> Option<RequestId> {
        let [slot, generation] = self.words()?;
        Some(RequestId { slot, generation })
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.packed.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(bytes)
    }

    fn body(&mut self) -> Option<Bytes> {
        let index = self.word()? as usize;
        self.bodies.get_mut(index).map(core::mem::take)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(4);
    }
}
