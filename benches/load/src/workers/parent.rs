//! A native parent: one thread that spins, no more of the protocol than a load needs.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use load::worker::{FLAGS, HEADER_LEN, RESULT, payload_len};

const CHUNK: u8 = 0x0B;
const END: u8 = 0x1B;

/// How long the worker may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest payload of which every byte is compared; of longer ones the length is.
const COMPARED_LEN_MAX: usize = 64 * 1024;

/// The parent's end of the data connection.
pub struct Parent {
    socket: UnixStream,
    init: String,
    input: Vec<u8>,
    /// Bytes of `input` that wait for the rest of their frame.
    len: usize,
    batch: Batch,
}

/// Requests that are sent again and again.
#[derive(Default)]
struct Batch {
    method: String,
    payload: Vec<u8>,
    depth: usize,
    bytes: Vec<u8>,
}

impl Parent {
    /// Connects to where `$init` says.
    pub fn connect(init: &str) -> Result<Self, String> {
        let path = between(init, "\"pipe\":\"", "\"").ok_or_else(|| format!("no $init: {init}"))?;
        let socket = UnixStream::connect(path).map_err(|error| format!("{path}: {error}"))?;
        socket.set_nonblocking(true).map_err(|error| error.to_string())?;
        let (init, input) = (init.to_owned(), vec![0; 1 << 18]);
        Ok(Self { socket, init, input, len: 0, batch: Batch::default() })
    }

    /// Sends `depth` requests of `len` bytes at once and takes their answers; returns how long
    /// that took.
    pub fn echo(&mut self, method: &str, len: usize, depth: usize) -> Result<Duration, String> {
        if !self.batch.is_of(method, len, depth) {
            self.batch = self.new_batch(method, len, depth)?;
        }
        let batch = std::mem::take(&mut self.batch);
        let start = Instant::now();
        let mut missing = depth;
        self.exchange(&batch.bytes, |frame| {
            let (header, payload) = frame.split_at(HEADER_LEN);
            let right = header[FLAGS] == RESULT && payload_len(header) == batch.payload.len();
            if !right || !batch.is_known(header) {
                return Err(format!("another answer: {header:?}"));
            }
            if batch.payload.len() <= COMPARED_LEN_MAX && *payload != *batch.payload {
                return Err("other bytes than were sent".to_owned());
            }
            missing -= 1;
            Ok(missing == 0)
        })?;
        self.batch = batch;
        Ok(start.elapsed())
    }

    /// Has the worker send so many chunks of `len` bytes; `seen` is told how many have come.
    pub fn stream(
        &mut self,
        count: usize,
        len: usize,
        mut seen: impl FnMut(usize),
    ) -> Result<(), String> {
        let id = self.method("flood")?;
        let number = |n: usize| u32::try_from(n).unwrap_or(0).to_be_bytes();
        let arguments = [&[0x92, 0xCE], &number(count)[..], &[0xCE], &number(len)].concat();
        let request = frame(id, 1, &arguments);
        let mut chunks = 0;
        self.exchange(&request, |frame| match frame[FLAGS] {
            CHUNK if payload_len(frame) >= len => {
                chunks += 1;
                seen(1);
                Ok(false)
            }
            END if chunks == count => Ok(true),
            flags => Err(format!("flags {flags:#x} after {chunks} chunks")),
        })
    }

    fn new_batch(&self, method: &str, len: usize, depth: usize) -> Result<Batch, String> {
        let id = self.method(method)?;
        let mut payload = bin_head(len);
        payload.extend((payload.len()..len).map(|n| n.to_le_bytes()[0]));
        let requests = (1..).take(depth).flat_map(|request| frame(id, request, &payload));
        Ok(Batch { bytes: requests.collect(), method: method.to_owned(), payload, depth })
    }

    fn method(&self, name: &str) -> Result<u16, String> {
        let id = between(&self.init, &format!("\"{name}\":{{\"id\":"), ",");
        let id = id.and_then(|id| id.parse().ok());
        id.ok_or_else(|| format!("the worker has no {name}: {}", self.init))
    }

    /// Writes `output` and hands whole frames to `take` until it says that all have come. Of a
    /// frame that is long only the header is handed over, once all of it has come.
    fn exchange(
        &mut self,
        output: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<bool, String>,
    ) -> Result<(), String> {
        let (mut written, mut long, mut last) = (0, None, Instant::now());
        loop {
            let moved = self.write(output, &mut written)? | self.read()?;
            if !moved {
                if last.elapsed() > PATIENCE {
                    return Err("the worker is silent".to_owned());
                }
                continue;
            }
            last = Instant::now();
            if self.take_frames(&mut long, &mut take)? {
                return Ok(());
            }
        }
    }

    fn write(&mut self, output: &[u8], written: &mut usize) -> Result<bool, String> {
        if *written == output.len() {
            return Ok(false);
        }
        match self.socket.write(&output[*written..]) {
            Ok(len) => {
                *written += len;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(format!("send: {error}")),
        }
    }

    fn read(&mut self) -> Result<bool, String> {
        match self.socket.read(&mut self.input[self.len..]) {
            Ok(0) => Err("the worker closed the connection".to_owned()),
            Ok(len) => {
                self.len += len;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(format!("receive: {error}")),
        }
    }

    fn take_frames(
        &mut self,
        long: &mut Option<Long>,
        mut take: impl FnMut(&[u8]) -> Result<bool, String>,
    ) -> Result<bool, String> {
        let (mut at, mut done) = (0, false);
        while at < self.len {
            let rest = &self.input[at..self.len];
            if let Some(Long { header, left }) = long {
                let passed = rest.len().min(*left);
                *left -= passed;
                at += passed;
                if *left == 0 {
                    done = take(header)?;
                    *long = None;
                }
                continue;
            }
            let Some(header) = rest.first_chunk::<HEADER_LEN>() else { break };
            let len = payload_len(header);
            if len > COMPARED_LEN_MAX {
                *long = Some(Long { header: *header, left: len });
                at += HEADER_LEN;
                continue;
            }
            let Some(frame) = rest.get(..HEADER_LEN + len) else { break };
            done = take(frame)?;
            at += frame.len();
        }
        self.input.copy_within(at..self.len, 0);
        self.len -= at;
        Ok(done)
    }
}

/// A frame whose payload is passed over.
struct Long {
    header: [u8; HEADER_LEN],
    left: usize,
}

impl Batch {
    fn is_of(&self, method: &str, len: usize, depth: usize) -> bool {
        (self.method.as_str(), self.payload.len(), self.depth) == (method, len, depth)
    }

    /// Whether the header's request is one of ours.
    fn is_known(&self, header: &[u8]) -> bool {
        let request = header.get(3..7).and_then(|bytes| bytes.try_into().ok());
        let request = request.map_or(0, u32::from_be_bytes) as usize;
        (1..=self.depth).contains(&request)
    }
}

/// The shortest head of a MessagePack bin of `len` bytes in all; raw methods do not look into it.
fn bin_head(len: usize) -> Vec<u8> {
    match u16::try_from(len.saturating_sub(3)) {
        Ok(data) => [&[0xC5], &data.to_be_bytes()[..]].concat(),
        Err(_) => {
            let data = u32::try_from(len.saturating_sub(5)).unwrap_or(0);
            [&[0xC6], &data.to_be_bytes()[..]].concat()
        }
    }
}

fn frame(method: u16, request: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or(0);
    let (method, request, len) = (method.to_be_bytes(), request.to_be_bytes(), len.to_be_bytes());
    [&method[..], &[0], &request, &len, payload].concat()
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let rest = text.split_once(before)?.1;
    Some(rest.split_once(after)?.0)
}
