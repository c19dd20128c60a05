//! Procwire frames out of chunks of 64 KiB, as they come from a Unix socket.

use std::hint::black_box;

use bytes::BytesMut;
use forebay_core_frame::{Decoder, Event, FrameBuf};
use forebay_core_procwire::{Flags, HEADER_LEN, Header, MaxPayload, RequestId, WireId};
use tokio_util::codec::{Decoder as _, LengthDelimitedCodec};

use super::Case;

/// A large payload, in bytes.
pub const LARGE: usize = 10_000_000;

const CHUNK_LEN: usize = 64 * 1024;

/// An endless row of frames with rotating ids, and the next chunk of it.
struct Chunks {
    period: Vec<u8>,
    /// Where in the period the next chunk begins.
    at: usize,
    chunk: Vec<u8>,
}

impl Chunks {
    fn new(payload_len: usize) -> Self {
        let count = if payload_len == LARGE { 1 } else { 64 };
        let mut period = Vec::new();
        for index in 0..count {
            let header = Header {
                id: WireId::new(1 + index as u16 % 3).expect("not 0"),
                flags: Flags::new(0x03).expect("a response"),
                request: RequestId::new(1 + index),
                payload_len: payload_len as u32,
            };
            period.extend_from_slice(&header.emit());
            period.extend(std::iter::repeat_n(index as u8, payload_len));
        }
        Self { period, at: 0, chunk: vec![0; CHUNK_LEN] }
    }

    /// Copies the next chunk into the receive buffer, as the kernel would.
    fn receive(&mut self) -> &[u8] {
        let mut filled = 0;
        while filled < CHUNK_LEN {
            let len = (CHUNK_LEN - filled).min(self.period.len() - self.at);
            self.chunk[filled..filled + len].copy_from_slice(&self.period[self.at..self.at + len]);
            filled += len;
            self.at = (self.at + len) % self.period.len();
        }
        &self.chunk
    }
}

/// What a session does with a frame at least: it looks at both ids and has the payload at hand.
#[derive(Default)]
struct Taken(u64);

impl Taken {
    fn take(&mut self, id: u16, request: u32, payload: &[u8]) {
        self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(id) ^ u64::from(request));
        black_box(payload);
    }
}

/// How many chunks make one batch: a large payload needs many.
fn chunk_count(payload_len: usize) -> usize {
    (payload_len + HEADER_LEN).div_ceil(CHUNK_LEN)
}

/// The peer, as it is used with a stream: chunks are read into its buffer, frames come out.
pub struct TokioUtil {
    codec: LengthDelimitedCodec,
    chunks: Chunks,
    buffer: BytesMut,
    payload_len: usize,
    taken: Taken,
}

impl TokioUtil {
    pub fn new(payload_len: usize) -> Self {
        let codec = LengthDelimitedCodec::builder()
            .length_field_offset(7)
            .length_field_length(4)
            .length_adjustment(HEADER_LEN as isize)
            .num_skip(0)
            .max_frame_length(1 << 30)
            .new_codec();
        let buffer = BytesMut::with_capacity(CHUNK_LEN);
        Self {
            codec,
            chunks: Chunks::new(payload_len),
            buffer,
            payload_len,
            taken: Taken::default(),
        }
    }
}

impl Case for TokioUtil {
    fn prepare(&mut self) {
        if self.payload_len != LARGE {
            self.buffer.extend_from_slice(self.chunks.receive());
        }
    }

    fn run(&mut self) -> usize {
        let mut count = 0;
        while self.payload_len == LARGE && count == 0 {
            self.buffer.extend_from_slice(self.chunks.receive());
            count += self.decode();
        }
        count + self.decode()
    }
}

impl TokioUtil {
    fn decode(&mut self) -> usize {
        let mut count = 0;
        while let Some(frame) = self.codec.decode(&mut self.buffer).expect("valid frames") {
            let [i0, i1, _, r0, r1, r2, r3, ..] = frame[..] else { panic!("whole frames") };
            let (id, request) = ([i0, i1], [r0, r1, r2, r3]);
            let payload = &frame[HEADER_LEN..];
            self.taken.take(u16::from_be_bytes(id), u32::from_be_bytes(request), payload);
            count += 1;
        }
        count
    }
}

/// Ours: frames are walked where they were received; a small one that is cut is gathered.
pub struct Forebay {
    decoder: Decoder<Header>,
    gather: FrameBuf<Vec<u8>>,
    chunks: Chunks,
    payload_len: usize,
    taken: Taken,
}

fn request_of(header: &Header) -> u32 {
    header.request.map_or(0, RequestId::value)
}

impl Forebay {
    pub fn new(payload_len: usize) -> Self {
        Self {
            decoder: Decoder::new(MaxPayload::DEFAULT),
            gather: FrameBuf::new(vec![0; 2048]),
            chunks: Chunks::new(payload_len),
            payload_len,
            taken: Taken::default(),
        }
    }

    fn walk(&mut self) -> usize {
        let (mut input, mut count) = (self.chunks.chunk.as_slice(), 0);
        loop {
            let step = self.decoder.decode(input).expect("valid frames");
            let Some(event) = step.event else { return count };
            if let Ok(Some(frame)) = self.gather.handle_event(event) {
                self.taken.take(frame.header.id.value(), request_of(&frame.header), frame.payload);
                count += 1;
            }
            input = &input[step.used..];
        }
    }

    /// A large payload goes on part by part; no byte of it is copied.
    fn pass(&mut self) -> usize {
        let (mut input, mut count) = (self.chunks.chunk.as_slice(), 0);
        loop {
            let step = self.decoder.decode(input).expect("valid frames");
            match step.event {
                None => return count,
                Some(Event::Part { bytes, last, .. }) => {
                    assert!(self.chunks.chunk.as_ptr_range().contains(&bytes.as_ptr()));
                    black_box(bytes);
                    count += usize::from(last);
                }
                Some(Event::Start { header } | Event::Frame { header, .. }) => {
                    black_box(header);
                }
            }
            input = &input[step.used..];
        }
    }
}

impl Case for Forebay {
    fn prepare(&mut self) {
        if self.payload_len != LARGE {
            self.chunks.receive();
        }
    }

    fn run(&mut self) -> usize {
        if self.payload_len != LARGE {
            return self.walk();
        }
        // The chunks' arrival is counted for the peer too.
        let mut count = 0;
        for _ in 0..chunk_count(LARGE) {
            self.chunks.receive();
            count += self.pass();
        }
        count.max(1)
    }
}
