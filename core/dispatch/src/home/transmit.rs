//! Frames that go to an instance.

use core::time::Duration;

use forebay_core_procwire::RequestId;
use forebay_core_time::Instant;

use super::call::{Call, Download, PARTS, Stage, Upload};
use super::event::{Body, Payload, Transmit};
use super::instance::Connection;
use super::requests::For;
use super::{Home, Storage};
use crate::InstanceId;
use crate::message::{CallFrame, SLOT_LEN, Written, write_abort, write_auth, write_grant};

/// Characters of a token (procwire section 2.8).
const TOKEN_LEN: u32 = 64;

impl<S: Storage> Home<S> {
    /// The next frame to write to an instance. Its own bytes are written to `slot`.
    ///
    /// # Bound
    /// One step for each call that ended after it had asked to transmit; one in practice.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        instance: InstanceId,
        slot: &mut [u8; SLOT_LEN],
    ) -> Option<Transmit> {
        let index = self.place(instance)?;
        let peer = self.instances.at_mut(index)?;
        if peer.connection != Connection::Open {
            return None;
        }
        if core::mem::take(&mut peer.todo.auth) {
            return Some(self.hand_out(index, write_auth(slot, TOKEN_LEN), Payload::Token));
        }
        while let Some(call) = self.instances.at(index)?.outbox.first() {
            self.instances.at_mut(index)?.outbox.remove(&mut self.calls, call, Call::turn);
            if let Some((written, payload)) = self.frame_of(now, index, call, slot) {
                return Some(self.hand_out(index, written, payload));
            }
        }
        None
    }

    /// The kernel took at least the first byte of so many frames more, in the order in which they
    /// were handed out. What was not reported when the connection breaks counts as unsent.
    pub fn handle_sent(&mut self, instance: InstanceId, frames: u32) {
        if let Some(instance) = self.instances.get_mut(instance.0) {
            instance.sent = instance.sent.saturating_add(frames.into());
            debug_assert!(instance.sent <= instance.frames, "more frames sent than handed out");
        }
    }

    fn frame_of(
        &mut self,
        now: Instant,
        instance: u32,
        index: u32,
        slot: &mut [u8; SLOT_LEN],
    ) -> Option<(Written, Payload)> {
        let call = self.calls.at_mut(index)?;
        match call.stage {
            Stage::Assigned => self.call_frame(now, instance, index, slot),
            Stage::Sent | Stage::Responding | Stage::Trailed => {
                let bytes = core::mem::take(&mut call.download.grant);
                let request = call.request?;
                let method = self.instances.at(instance)?.features?.grant?;
                let written = write_grant(slot, method, request, bytes);
                (bytes > 0).then_some((written, Payload::None))
            }
            Stage::Ended { abort } => {
                call.stage = Stage::Ended { abort: None };
                self.free(index);
                abort.map(|request| (write_abort(slot, request), Payload::None))
            }
            Stage::Waiting | Stage::Gathering => None,
        }
    }

    /// The call itself. With its frame the worker knows of it, and its body may follow.
    fn call_frame(
        &mut self,
        now: Instant,
        instance: u32,
        index: u32,
        slot: &mut [u8; SLOT_LEN],
    ) -> Option<(Written, Payload)> {
        let request = self.take_request(instance, For { call: index, part: None, len: 0 })?;
        let id = self.call_id(index)?;
        let peer = self.instances.at(instance)?;
        let (features, frame) = (peer.features?, peer.frames);
        let call = self.calls.at_mut(index)?;
        let config = &self.workers.at(call.worker)?.config;
        let window = features.grant.map_or(0, |_| config.window);
        let frame_head = CallFrame {
            method: features.http,
            request,
            message: call.message_len,
            deadline_ms: millis(config.request_timeout),
            window,
            body: call.body,
        };
        call.stage = Stage::Sent;
        call.since = now;
        call.request = Some(request);
        call.frame = frame;
        call.upload = Upload::new(config.window);
        call.download = match features.grant {
            Some(_) => Download::granted(config.window, config.chunk),
            None => Download::shared(config.window),
        };
        let inline = match call.body {
            Body::Inline(len) => len,
            Body::None | Body::Streamed(_) => 0,
        };
        if matches!(call.body, Body::Streamed(_)) {
            call.upload.grant_bytes = config.window;
            call.upload.grant_parts = u8::try_from(PARTS).unwrap_or(u8::MAX);
            self.tell_call(index, |todo| todo.read_body = true);
        }
        Some((frame_head.write(slot), Payload::Call { call: id, inline }))
    }

    pub(super) fn take_request(&mut self, instance: u32, what: For) -> Option<RequestId> {
        let mut ids = self.instances.at(instance)?.ids;
        let request = ids.insert(self.requests_of(instance), what);
        self.instances.at_mut(instance)?.ids = ids;
        debug_assert!(request.is_some(), "choice and credit leave a place for every request");
        request
    }

    /// Counts a frame that goes to the shell.
    pub(super) fn hand_out(&mut self, index: u32, written: Written, payload: Payload) -> Transmit {
        if let Some(instance) = self.instances.at_mut(index) {
            instance.frames = instance.frames.saturating_add(1);
        }
        Transmit { head: written.head, len: written.len, payload }
    }
}

/// Milliseconds, at least one unless there are none at all.
fn millis(time: Duration) -> u32 {
    let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    if time.is_zero() { 0 } else { millis.max(1) }
}
