//! The connections of clients: what fronts want, and what they are given.

use forebay_core_dispatch::front::{Call, Circumstances, Event as FrontEvent, Place, Site, Work};
use forebay_core_dispatch::home::{Body, NewCall, Part, Payload};
use forebay_core_dispatch::message::SLOT_LEN;
use forebay_core_dispatch::{CallId, Refusal};
use forebay_core_http1::{After, FieldSlot, Framing};
use forebay_core_time::Instant;

use super::{CALLS, Client, DATE, Gateway, Running, Upload};

impl Gateway {
    pub(super) fn client_turn(&mut self, now: Instant, index: usize) -> bool {
        let client = &mut self.clients[index];
        if client.is_over {
            return false;
        }
        if client.link.up.is_broken() || client.link.down.is_broken() {
            self.lose(now, index);
            return true;
        }
        let mut moved = false;
        if client.front.poll_timeout().is_some_and(|at| at.is_reached(now)) {
            let mut out = vec![0; 2048];
            let event = client.front.handle_timeout(now, DATE, &mut out);
            client.owes_word = true;
            if let Some(event) = event {
                self.refused(now, index, event, &out);
            }
            moved = true;
        }
        moved |= self.client_write(now, index);
        let client = &mut self.clients[index];
        if client.front.wants_read() && !client.is_held() {
            let bytes = client.link.up.read(&mut self.random);
            moved |= !bytes.is_empty();
            client.input.extend(bytes);
        }
        let client = &mut self.clients[index];
        if client.link.up.is_at_end() && !client.knows_end {
            client.knows_end = true;
            client.owes_word = true;
            client.front.handle_eof(now);
            moved = true;
        }
        self.pump(now, index);
        moved
    }

    pub(super) fn client_write(&mut self, now: Instant, index: usize) -> bool {
        let client = &mut self.clients[index];
        let Some((bytes, call)) = client.out.front_mut() else { return self.word(now, index) };
        let taken = client.link.down.write(bytes, &mut self.random);
        bytes.drain(..taken);
        let call = *call;
        if bytes.is_empty() {
            client.out.pop_front();
        }
        if let Some(call) = call.filter(|_| taken > 0) {
            self.home.handle_drained(now, call, taken as u64);
            self.act(now);
        }
        taken > 0 || self.word(now, index)
    }

    /// Everything was sent: how does the connection go on?
    pub(super) fn word(&mut self, now: Instant, index: usize) -> bool {
        let client = &mut self.clients[index];
        if client.front.is_closed() && client.out.is_empty() {
            self.lose(now, index);
            return true;
        }
        if !client.out.is_empty() || !core::mem::take(&mut client.owes_word) {
            return false;
        }
        match client.front.handle_written(now) {
            After::Open => {}
            After::Linger => {
                client.link.down.end();
                client.front.handle_shutdown(now);
            }
            After::Close => self.lose(now, index),
            After::Switched => panic!("nobody asked for another protocol"),
        }
        true
    }

    /// The connection is gone.
    pub(super) fn lose(&mut self, now: Instant, index: usize) {
        let client = &mut self.clients[index];
        client.is_over = true;
        client.link.up.break_off();
        client.link.down.end();
        self.drop_call(now, index);
    }

    pub(super) fn drop_call(&mut self, now: Instant, index: usize) {
        if let Some(running) = self.clients[index].call.take() {
            self.home.handle_gone(now, running.id);
            self.forget(running.id);
            self.act(now);
        }
    }

    pub(super) fn pump(&mut self, now: Instant, index: usize) {
        while !self.clients[index].is_over && !self.clients[index].is_held() {
            if !self.offer(now, index) {
                break;
            }
        }
    }

    /// Offers the input to the front and does what it led to.
    pub(super) fn offer(&mut self, now: Instant, index: usize) -> bool {
        let mut out = vec![0; 4096];
        let input = core::mem::take(&mut self.clients[index].input);
        let mut fields = [const { FieldSlot::uninit() }; 96];
        let mut request_id = [0; 16];
        self.random.fill(&mut request_id);
        let circumstances = Circumstances { peer: "127.0.0.1:50000", request_id };
        let lends = self.random.chance(100);
        let client = &mut self.clients[index];
        if lends && client.memory.len() < client.front.memory_len() {
            client.front.forget();
            client.memory = vec![0; client.front.memory_len()];
        }
        let mut memory = core::mem::take(&mut client.memory);
        let mut scratch = core::mem::take(&mut self.scratch);
        let site = Site {
            routes: &self.routes,
            deployed: &[false, true],
            environment: "production",
            has_namespace: true,
            expose_errors: true,
            generation: 1,
            date: DATE,
            templates: &self.templates,
        };
        let mut work = Work { out: &mut out, scratch: &mut scratch, memory: &mut memory };
        let step =
            client.front.handle_bytes(now, &input, &mut fields, &site, (&circumstances, &mut work));
        client.memory = memory;
        self.scratch = scratch;
        let (used, more) = (step.used, step.event.is_some());
        let event = step.event;
        match event {
            None => {}
            Some(FrontEvent::Answered(place)) => self.answered(index, &place, &out),
            Some(FrontEvent::Call(call)) => {
                let rest = &input[used..];
                self.hand_over(now, index, &call, rest);
            }
            Some(FrontEvent::Body(bytes)) => self.part(now, index, bytes),
            Some(FrontEvent::End { trailers_len }) => self.part_end(now, index, trailers_len),
            Some(refused @ FrontEvent::Refused { .. }) => {
                // The same error comes back at every later offer.
                let client = &mut self.clients[index];
                client.input = input[used..].to_vec();
                if !core::mem::replace(&mut client.is_refused, true) {
                    self.refused(now, index, refused, &out);
                }
                return false;
            }
        }
        let client = &mut self.clients[index];
        client.input = input[used..].to_vec();
        // What was read of a body that nobody wants may end the connection.
        client.owes_word |= used > 0;
        more
    }

    pub(super) fn answered(&mut self, index: usize, place: &Place, out: &[u8]) {
        let bytes = match place {
            Place::Out(len) => out[..*len].to_vec(),
            Place::Scratch(range) => self.scratch[range.clone()].to_vec(),
        };
        let client = &mut self.clients[index];
        client.push(bytes, None);
        client.owes_word = true;
    }

    pub(super) fn refused(
        &mut self,
        now: Instant,
        index: usize,
        event: FrontEvent<'_>,
        out: &[u8],
    ) {
        let FrontEvent::Refused { place, gone, .. } = event else { return };
        self.answered(index, &place, out);
        assert_eq!(gone, self.clients[index].call.is_some(), "the front knows of its call");
        self.drop_call(now, index);
    }

    pub(super) fn hand_over(&mut self, now: Instant, index: usize, call: &Call, rest: &[u8]) {
        let client = &mut self.clients[index];
        let message = self.scratch[..call.message_len].to_vec();
        let (body, inline) = match call.framing {
            Framing::None | Framing::Length(0) => (Body::None, vec![]),
            Framing::Length(len) => {
                let fits = len <= self.config.inline_body.into();
                match rest.get(..usize::try_from(len).expect("short")).filter(|_| fits) {
                    Some(all) => {
                        client.front.grant_body(now, len);
                        (Body::Inline(len as u32), all.to_vec())
                    }
                    None => (Body::Streamed(Some(len)), vec![]),
                }
            }
            Framing::Chunked => (Body::Streamed(None), vec![]),
        };
        client.serial += 1;
        let new = NewCall {
            origin: (index as u64) << 32 | u64::from(client.serial),
            worker: self.worker,
            message_len: call.message_len as u32,
            body,
            idempotent: call.idempotent,
        };
        if self.home.call_count() as usize == self.home.call_capacity() {
            let room = CALLS - self.home.call_capacity();
            self.home.grow(room.min(2));
        }
        match self.home.handle_call(now, new) {
            Ok(id) => {
                let upload = match body {
                    Body::None | Body::Inline(_) => Upload::Done,
                    Body::Streamed(_) => Upload::Parts { bytes: 0, parts: 0, chunk: 0, granted: 0 },
                };
                let running = Running { id, upload, message, inline, trailers: None };
                assert!(client.call.replace(running).is_none(), "one call at a time");
            }
            Err(refusal) => self.refuse(now, index, refusal, b""),
        }
        self.act(now);
    }

    pub(super) fn part(&mut self, now: Instant, index: usize, data: &[u8]) {
        let Some(running) = &mut self.clients[index].call else { return };
        let len = data.len() as u64;
        match &mut running.upload {
            Upload::Parts { bytes, parts, granted, .. } => {
                *bytes -= len;
                *parts -= 1;
                *granted -= len;
                let id = running.id;
                self.send_part(now, id, data, false);
                self.grant(now, index);
            }
            Upload::Gathered { limit, bytes } => {
                bytes.extend_from_slice(data);
                if bytes.len() > *limit {
                    let mut out = vec![0; 2048];
                    let event = self.clients[index].front.handle_too_large(DATE, &mut out);
                    self.refused(now, index, event, &out);
                }
            }
            Upload::Done | Upload::Dropped | Upload::Ended { .. } => {}
        }
        self.act(now);
    }

    pub(super) fn part_end(&mut self, now: Instant, index: usize, trailers_len: usize) {
        let trailers = self.scratch[..trailers_len].to_vec();
        let Some(running) = &mut self.clients[index].call else { return };
        let id = running.id;
        match core::mem::replace(&mut running.upload, Upload::Done) {
            // Nothing was allowed yet: the worker is not known.
            Upload::Parts { chunk: 0, .. } => running.upload = Upload::Ended { trailers },
            Upload::Parts { .. } => self.send_end(now, id, &trailers),
            Upload::Gathered { bytes, .. } => {
                let len = bytes.len() as u32;
                running.inline = bytes;
                self.home.handle_gathered(now, id, len);
            }
            Upload::Done | Upload::Dropped | Upload::Ended { .. } => {}
        }
        self.act(now);
    }

    pub(super) fn send_end(&mut self, now: Instant, id: CallId, trailers: &[u8]) {
        if trailers.is_empty() {
            return self.send_part(now, id, &[], true);
        }
        let mut slot = [0; SLOT_LEN];
        let part = self.home.handle_trailers(now, id, trailers.len() as u32, &mut slot);
        self.write_part(part, &slot, trailers);
    }

    pub(super) fn send_part(&mut self, now: Instant, id: CallId, data: &[u8], last: bool) {
        let mut slot = [0; SLOT_LEN];
        let part = self.home.handle_body(now, id, data.len() as u32, last, &mut slot);
        self.write_part(part, &slot, data);
    }

    pub(super) fn write_part(&mut self, part: Part, slot: &[u8; SLOT_LEN], data: &[u8]) {
        if let Part::Send { instance, transmit } = part {
            assert_eq!(transmit.payload, Payload::Part);
            let peer = self.instances.get_mut(&instance).expect("an instance that lives");
            assert!(peer.connected, "a part for a lost connection");
            peer.out.push_back([&slot[..transmit.len.into()], data].concat());
        }
    }

    /// Lets the front take as much as the worker may be sent.
    pub(super) fn grant(&mut self, now: Instant, index: usize) {
        let client = &mut self.clients[index];
        let Some(Running { upload: Upload::Parts { bytes, parts, chunk, granted }, .. }) =
            &mut client.call
        else {
            return;
        };
        let more = (*bytes).min(*chunk);
        if *granted == 0 && *parts > 0 && more > 0 {
            *granted = more;
            client.front.grant_body(now, more);
            client.write_continue();
        }
    }

    pub(super) fn refuse(&mut self, now: Instant, index: usize, refusal: Refusal, detail: &[u8]) {
        let mut out = vec![0; 2048];
        let client = &mut self.clients[index];
        client.call = None;
        let site = Site {
            routes: &self.routes,
            deployed: &[false, true],
            environment: "production",
            has_namespace: true,
            expose_errors: true,
            generation: 1,
            date: DATE,
            templates: &self.templates,
        };
        let mut work = Work { out: &mut out, scratch: &mut self.scratch, memory: &mut [] };
        let place = client.front.handle_refusal(now, refusal, (b"db", detail), &site, &mut work);
        client.owes_word = true;
        if let Some(place) = place {
            self.answered(index, &place, &out);
        }
    }

    pub(super) fn read_body(
        &mut self,
        now: Instant,
        (origin, call): (u64, CallId),
        (more, more_parts, limit): (u32, u8, u32),
    ) {
        let index = self.client_of(origin, call);
        let running = self.clients[index].call.as_mut().expect("checked");
        if let Upload::Parts { bytes, parts, chunk, .. } = &mut running.upload {
            *bytes += u64::from(more);
            *parts += u32::from(more_parts);
            *chunk = limit.into();
            assert!(*bytes <= self.config.window.into() && *parts <= 8, "more than a window");
        }
        if let Upload::Ended { trailers } = &mut running.upload {
            let trailers = core::mem::take(trailers);
            running.upload = Upload::Done;
            self.send_end(now, call, &trailers);
        }
        self.grant(now, index);
    }

    pub(super) fn gather(&mut self, now: Instant, index: usize, limit: usize) {
        let client = &mut self.clients[index];
        let running = client.call.as_mut().expect("checked");
        if let Upload::Ended { .. } = running.upload {
            running.upload = Upload::Done;
            self.home.handle_gathered(now, running.id, 0);
            return;
        }
        running.upload = Upload::Gathered { limit, bytes: Vec::new() };
        client.front.grant_body(now, limit as u64 + 1);
        client.write_continue();
    }

    pub(super) fn broken(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let running = client.call.take().expect("checked");
        client.front.break_response();
        client.owes_word = true;
        self.forget(running.id);
    }
}

impl Client {
    pub(super) fn push(&mut self, bytes: Vec<u8>, call: Option<CallId>) {
        if !bytes.is_empty() {
            self.out.push_back((bytes, call));
        }
    }

    /// Whether what comes next must wait for the client or for the worker.
    pub(super) fn is_held(&self) -> bool {
        let upload = self.call.as_ref().map(|running| &running.upload);
        let busy = matches!(upload, Some(Upload::Parts { parts: 0, granted: 1.., .. }));
        busy || self.out.len() > 4
    }

    pub(super) fn write_continue(&mut self) {
        let mut out = [0; 32];
        if self.front.continue_is_due() {
            let len = self.front.write_continue(&mut out).expect("room");
            self.push(out[..len].to_vec(), None);
        }
    }
}
