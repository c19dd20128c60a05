//! The answer's side of a call: what the worker or the gateway says, written to the client.

use std::sync::Arc;

use forebay_core_dispatch::Refusal;
use forebay_core_dispatch::front::Work;
use forebay_core_dispatch::message::{Fields, Head};
use forebay_core_http1::UsageError;
use forebay_reactor::{Piece, PoolClass};

use super::request::RequestBody;
use super::{Client, ROOM};
use crate::shard::io::Io;
use crate::shard::mail::ToClient;
use crate::shard::outbox::slice;
use crate::shard::post::Post;

/// Room for the longest head of a response.
const HEAD_ROOM: usize = 40 * 1024;

impl Client {
    /// Whether the call of this serial number is running.
    pub(in crate::shard) fn has_call(&self, serial: u32) -> bool {
        self.call.as_ref().is_some_and(|call| call.serial == serial)
    }

    /// A letter about the running call.
    pub(in crate::shard) fn handle_letter(
        &mut self,
        io: &mut Io,
        post: &mut Post,
        letter: ToClient,
    ) {
        self.active = io.now;
        let Some(call) = &mut self.call else { return };
        match letter {
            ToClient::Accepted { call: id, .. } => call.id = Some(id),
            ToClient::Refused { service, refusal, detail } => {
                self.call = None;
                self.refuse(io, service, refusal, detail.as_slice());
            }
            ToClient::ReadBody { bytes: more, parts: more_parts, chunk: limit } => {
                call.allow(more, more_parts, limit);
                call.tell_end(post);
                self.grant(io);
            }
            ToClient::Gather { limit } => self.gather(io, post, limit),
            ToClient::DiscardBody => {
                call.body = RequestBody::Dropped;
                self.front.discard_body(io.now);
            }
            ToClient::Informational { status, fields } => {
                let head = Head { status, fields: Fields::from_bytes(fields.as_slice()) };
                let out = self.outbox.room(&mut io.reactor, HEAD_ROOM);
                if let Ok(len) = self.front.write_informational(&head, out) {
                    self.outbox.commit(len);
                }
            }
            ToClient::Head { status, fields, length } => {
                let head = Head { status, fields: Fields::from_bytes(fields.as_slice()) };
                self.write_head(io, post, &head, length);
            }
            ToClient::Part { part } => self.write_part(io, post, part),
            ToClient::Trailers { trailers } => call.trailers = Some(trailers),
            ToClient::End => {
                let trailers = call.trailers.take();
                self.write_end(io, trailers.as_ref());
            }
            ToClient::Broken => {
                self.call = None;
                self.front.break_response();
                self.owes_word = true;
            }
        }
        self.pump(io, post);
    }

    pub(super) fn refuse(&mut self, io: &mut Io, service: u16, refusal: Refusal, detail: &[u8]) {
        let shared = Arc::clone(&io.scene.shared);
        let service = shared.service_name(service).as_bytes();
        let site = io.scene.site();
        tell_log(refusal, service, detail);
        let out = self.outbox.room(&mut io.reactor, ROOM);
        let mut work = Work { out, scratch: &mut io.scratch, memory: &mut [] };
        let place = self.front.handle_refusal(io.now, refusal, (service, detail), &site, &mut work);
        self.owes_word = true;
        if let Some(place) = place {
            self.written(io, &place);
        }
    }

    pub(super) fn write_head(
        &mut self,
        io: &mut Io,
        post: &mut Post,
        head: &Head<'_>,
        length: Option<u64>,
    ) {
        let mut room = ROOM;
        loop {
            let out = self.outbox.room(&mut io.reactor, room);
            match self.front.write_head(head, length, io.scene.date(), out) {
                Ok(len) => return self.outbox.commit(len),
                Err(UsageError::NoRoom) if room < HEAD_ROOM => room = HEAD_ROOM,
                Err(_) => {
                    let service = self.call.as_ref().map_or(0, |call| call.service);
                    self.drop_call(post);
                    return self.refuse(io, service, Refusal::InvalidResponse, b"");
                }
            }
        }
    }

    pub(super) fn write_part(&mut self, io: &mut Io, post: &mut Post, part: Piece) {
        let out = self.outbox.room(&mut io.reactor, ROOM);
        let Ok(written) = self.front.write_part(part.len(), out) else { return };
        self.outbox.commit(written.len);
        let part = if written.full { slice(&part, 0..written.take) } else { part };
        if !part.is_empty() {
            self.outbox.push_payload(&mut io.reactor, part);
        }
        if written.full {
            self.drop_call(post);
            self.write_end(io, None);
        }
    }

    pub(super) fn write_end(&mut self, io: &mut Io, trailers: Option<&Piece>) {
        let trailers = trailers.map(|trailers| Fields::from_bytes(trailers.as_slice()));
        let room = if trailers.is_some() { HEAD_ROOM } else { ROOM };
        let out = self.outbox.room(&mut io.reactor, room);
        match self.front.write_end(trailers, out) {
            Ok(len) => self.outbox.commit(len),
            Err(_) => self.front.break_response(),
        }
        self.call = None;
        self.class = PoolClass::Small;
        self.outbox.forget_payload();
        self.owes_word = true;
    }
}

/// What clients may not be told is in the log.
fn tell_log(refusal: Refusal, service: &[u8], detail: &[u8]) {
    let (service, detail) = (String::from_utf8_lossy(service), String::from_utf8_lossy(detail));
    match refusal {
        Refusal::WorkerError
        | Refusal::Exited
        | Refusal::FailedToStart
        | Refusal::InvalidResponse => {
            tracing::error!(%service, cause = ?refusal, "Dispatch error: {detail}")
        }
        Refusal::Timeout => tracing::warn!(%service, "no answer in time"),
        Refusal::NotDeployed
        | Refusal::QueueFull
        | Refusal::QueueTimeout
        | Refusal::CircuitOpen { .. }
        | Refusal::Capacity
        | Refusal::Stopping => tracing::debug!(%service, cause = ?refusal, "refused"),
    }
}
