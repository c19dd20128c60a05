//! Bodies in both directions: parts to the worker, drained bytes of the client, and what may be
//! underway of either.

use forebay_core_time::Instant;

use super::call::{Call, Flow, PARTS, Stage};
use super::event::{Part, Payload};
use super::instance::Todo;
use super::requests::{self, For};
use super::{Home, Storage};
use crate::CallId;
use crate::message::{PartFrame, SLOT_LEN};

/// A piece of a request's body.
#[derive(Debug, Clone, Copy)]
struct Piece {
    len: u32,
    last: bool,
    trailers: bool,
}

impl<S: Storage> Home<S> {
    /// A part of a request's body, within what [`Action::ReadBody`](super::Action::ReadBody)
    /// allowed; `last` if it is the end, and then it may be empty. The frame's own bytes are
    /// written to `slot`.
    pub fn handle_body(
        &mut self,
        now: Instant,
        call: CallId,
        len: u32,
        last: bool,
        slot: &mut [u8; SLOT_LEN],
    ) -> Part {
        let piece = Piece { len, last, trailers: false };
        self.send_part(now, call, piece, slot).unwrap_or(Part::Discard)
    }

    /// The end of a request's body with trailers, encoded as the front did, `len` bytes.
    pub fn handle_trailers(
        &mut self,
        now: Instant,
        call: CallId,
        len: u32,
        slot: &mut [u8; SLOT_LEN],
    ) -> Part {
        let piece = Piece { len, last: true, trailers: true };
        self.send_part(now, call, piece, slot).unwrap_or(Part::Discard)
    }

    fn send_part(
        &mut self,
        now: Instant,
        id: CallId,
        piece: Piece,
        slot: &mut [u8; SLOT_LEN],
    ) -> Option<Part> {
        let index = id.0.index;
        let call = self.calls.get_mut(id.0).filter(|call| call.is_uploading())?;
        if !matches!(call.stage, Stage::Sent | Stage::Responding | Stage::Trailed) {
            return None;
        }
        if piece.len == 0 && !piece.last {
            return None;
        }
        let (holder, request) = (call.instance, call.request?);
        let free = call.upload.parts.iter().position(Option::is_none);
        // The last place is for the end, which needs no credit.
        let number = free.filter(|number| *number < PARTS || piece.last)?;
        let method = self.instances.at(holder)?.features?.body?;
        let data_len = if piece.trailers { 0 } else { piece.len };
        let part = u8::try_from(number).ok()?;
        let what = For { call: index, part: Some(part), len: data_len };
        let own = self.take_request(holder, what)?;
        let call = self.calls.at_mut(index)?;
        if call.upload.parts_held() == 0 {
            // The worker had nothing to do: it is measured from here.
            call.since = now;
        }
        let taken = call.upload.window.handle_received(data_len.into());
        debug_assert!(taken.is_ok(), "more of a body than was allowed");
        *call.upload.parts.get_mut(number)? = Some(own);
        let frame = PartFrame {
            method,
            request: own,
            call: request,
            offset: call.upload.offset,
            last: piece.last,
            len: piece.len,
            trailers: piece.trailers,
        };
        call.upload.offset = call.upload.offset.saturating_add(data_len.into());
        call.upload.done = piece.last;
        self.arm_call(index);
        let transmit = self.hand_out(holder, frame.write(slot), Payload::Part);
        Some(Part::Send { instance: self.instance_id(holder)?, transmit })
    }

    /// The worker took a part, or wants no more of them.
    pub(super) fn handle_part_answer(
        &mut self,
        now: Instant,
        what: For,
        id: forebay_core_procwire::RequestId,
        refused: bool,
    ) {
        let Some(call) = self.calls.at_mut(what.call) else { return };
        let holder = call.instance;
        let upload = &mut call.upload;
        for part in upload.parts.iter_mut().filter(|part| **part == Some(id)) {
            *part = None;
        }
        call.since = now;
        if let Ok(Some(grant)) = upload.window.handle_drained(what.len.into()) {
            let grant = u32::try_from(grant).unwrap_or(u32::MAX);
            upload.grant_bytes = upload.grant_bytes.saturating_add(grant);
        }
        upload.grant_parts = upload.grant_parts.saturating_add(1);
        if refused && call.is_uploading() {
            call.upload.refused = true;
            self.tell_call(what.call, |todo| {
                todo.read_body = false;
                todo.discard = true;
            });
        } else if call.is_uploading() && call.upload.wants_grant() {
            self.tell_call(what.call, |todo| todo.read_body = true);
        }
        requests::remove(self.requests_of(holder), id);
        self.arm_call(what.call);
    }

    /// The client's connection took so many bytes of the response's body. Bytes of calls that are
    /// over may be reported as well.
    pub fn handle_drained(&mut self, now: Instant, call: CallId, bytes: u64) {
        let index = call.0.index;
        let Some(call) = self.calls.get_mut(call.0) else { return };
        let was_blocked = call.download.is_blocked();
        let held_up = call.download.holds_up();
        let holder = call.instance;
        let mut grant = false;
        match &mut call.download.flow {
            // More than was counted: a complete frame, which no window bounds.
            Flow::Granted(window) => {
                if let Ok(Some(bytes)) = window.handle_drained(bytes.min(window.held())) {
                    call.download.grant = call.download.grant.saturating_add(bytes);
                    grant = call.has_head();
                }
            }
            Flow::Shared(mark) => {
                let _ = mark.remove(bytes);
            }
        }
        if was_blocked {
            call.since = now;
        }
        let let_go = held_up && !call.download.holds_up();
        if grant && let Some(instance) = self.instances.at_mut(holder) {
            instance.outbox.push_back(&mut self.calls, index, Call::turn);
            self.tell_instance(holder, |todo| todo.write = true);
        }
        if let_go {
            self.let_go(holder);
        }
        if was_blocked {
            self.arm_call(index);
        }
    }

    /// Counts bytes of a response's body that go to the client. False: the worker had no right to
    /// send them.
    pub(super) fn count_body(
        &mut self,
        now: Instant,
        index: u32,
        len: usize,
        framed: bool,
    ) -> bool {
        let Some(call) = self.calls.at_mut(index) else { return true };
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        let holder = call.instance;
        call.since = now;
        match &mut call.download.flow {
            Flow::Granted(window) => framed || window.handle_received(len).is_ok(),
            Flow::Shared(mark) => {
                if mark.add(len).is_some() {
                    self.hold_up(now, index, holder);
                }
                true
            }
        }
    }

    /// A client is behind, and only stopping the whole connection keeps its bytes away.
    fn hold_up(&mut self, now: Instant, index: u32, holder: u32) {
        if let Some(instance) = self.instances.at_mut(holder) {
            instance.held_up = instance.held_up.saturating_add(1);
            if instance.held_up == 1 {
                self.tell_instance(holder, Todo::stop_reading);
            }
        }
        self.rearm_call(now, index);
    }
}

impl super::call::Upload {
    /// Whether it is worth telling the client's side.
    fn wants_grant(&self) -> bool {
        self.grant_bytes > 0 || usize::from(self.grant_parts) >= PARTS / 2
    }
}

impl Todo {
    /// Reading stops, unless the shell has not been told yet that it goes on.
    fn stop_reading(&mut self) {
        self.reading = if self.reading == Some(true) { None } else { Some(false) };
    }

    /// Reading goes on, unless the shell has not been told yet that it stopped.
    pub(super) fn resume(&mut self) {
        self.reading = if self.reading == Some(false) { None } else { Some(true) };
    }
}
