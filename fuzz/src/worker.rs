//! A worker with a handler of every kind, and a parent that keeps to nothing.

use core::time::Duration;
use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use arbitrary::Arbitrary;
use forebay_core_procwire::{HEADER_LEN, Header, MaxPayload, RequestId, ToParent};
use forebay_worker::{
    Accepted, Builder, Bytes, Client, Failure, HttpResponse, Raw, RawChunks, Reply, Value, fuzzing,
};
use tokio::sync::Notify;

/// Requests at a time.
const MAX_CONCURRENCY: usize = 8;

/// Longest payload that the worker takes.
const MAX_PAYLOAD: u32 = 1 << 20;

/// How long anything may take before the worker counts as stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// One thing that the parent, or the program of the worker, does.
#[derive(Debug, Arbitrary)]
pub enum Op<'i> {
    /// A frame whose length is right.
    Frame { method: u8, flags: u8, request: u8, payload: &'i [u8] },
    /// A request in order.
    Request { method: u8, request: u8, payload: &'i [u8] },
    /// Bytes that may be anything.
    Bytes(&'i [u8]),
    /// A request of this id is given up.
    Abort(u8),
    /// The parent reads so many bytes at most.
    Read(u16),
    /// The worker runs for so many turns.
    Turns(u8),
    /// Handlers that wait go on.
    Release,
    /// The worker emits an event.
    Emit(u8),
    /// The worker takes no more requests.
    Drain,
}

/// Runs a worker through `ops`, then ends the connection; it must keep the protocol and end.
///
/// # Panics
/// When it does not.
pub fn run(ops: &[Op<'_>]) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let (ours, theirs) = UnixStream::pair().expect("sockets are free");
        ours.set_nonblocking(true).expect("it is a socket");
        let release = Arc::new(Notify::new());
        let (client, serve) = fuzzing::connected(worker(&release), theirs).expect("watched");
        let serving = tokio::spawn(serve);
        let mut parent = Parent { socket: ours, sent: Vec::new(), received: Vec::new() };
        for op in ops {
            parent.apply(op, &client, &release).await;
        }
        parent.read_to_end().await;
        tokio::time::timeout(PATIENCE, serving).await.expect("it ends").expect("it does not panic");
        parent.check();
    });
}

fn worker(release: &Arc<Notify>) -> Builder {
    let release = Arc::clone(release);
    Client::builder()
        .handle("echo", |input: Value, _| async move { Reply(input) })
        .handle("echo_raw", |input: Raw, _| async move { Reply(input) })
        .handle("pieces", |Raw(input): Raw, _| async move {
            Reply(RawChunks(vec![input.clone(), Bytes::from(vec![1; 9000]), input]))
        })
        .handle("typed", |(a, b): (i32, Option<String>), _| async move {
            b.map(|b| Reply((a, b))).ok_or(Failure::text("nothing"))
        })
        .handle("forget", |_: Raw, _| async move {})
        .handle("twice", |input: Value, context| async move {
            let _ = context.respond(&input).await;
            assert!(context.respond(&input).await.is_err());
        })
        .handle("park", move |_: Raw, context| {
            let release = Arc::clone(&release);
            async move {
                let given_up = context.cancellation_token();
                tokio::select! {
                    () = release.notified() => Ok(Reply(1)),
                    () = given_up.cancelled() => Err(Failure::text("given up")),
                }
            }
        })
        .stream("flood", |chunks: u16, context| async move {
            for n in 0..chunks {
                context.chunk(&Raw(Bytes::from(vec![2; usize::from(n % 7) * 2000]))).await?;
            }
            context.end().await
        })
        .ack("ack", |_: Value, _| async move { Accepted })
        .none("note", |input: Value, context| async move {
            let _ = context.emit("event", &input).await;
        })
        .http(|request, _| async move {
            let body = request.body.collect(1 << 16).await?;
            Ok::<_, Failure>(HttpResponse::new(200).body(body))
        })
        .event("event")
        .max_concurrency(MAX_CONCURRENCY)
        .max_request_bytes(1 << 18)
        .max_payload_size(MAX_PAYLOAD)
}

struct Parent {
    socket: UnixStream,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Parent {
    async fn apply(&mut self, op: &Op<'_>, client: &Client, release: &Notify) {
        match *op {
            Op::Frame { method, flags, request, payload } => {
                self.send(&frame(method.into(), flags, request.into(), payload)).await;
            }
            Op::Request { method, request, payload } => {
                let method = u16::from(method % 16);
                self.send(&frame(method, 0, request.into(), payload)).await;
            }
            Op::Bytes(bytes) => self.send(bytes).await,
            Op::Abort(request) => self.send(&frame(0xFFFF, 0, request.into(), &[])).await,
            Op::Read(len) => {
                self.read(len.into());
            }
            Op::Turns(count) => turns(count).await,
            Op::Release => release.notify_waiters(),
            Op::Emit(n) => {
                let client = client.clone();
                tokio::spawn(async move { client.emit("event", &vec![n; 3000]).await });
            }
            Op::Drain => client.shutdown(),
        }
    }

    /// As much as the worker takes; it may have closed.
    async fn send(&mut self, mut bytes: &[u8]) {
        for _ in 0..3 {
            let Ok(len) = self.socket.write(bytes) else { return turns(1).await };
            self.sent.extend_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            if bytes.is_empty() {
                return;
            }
            turns(1).await;
        }
    }

    fn read(&mut self, len: usize) -> bool {
        let start = self.received.len();
        self.received.resize(start + len, 0);
        let read = self.socket.read(&mut self.received[start..]);
        self.received.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(len) => len > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    async fn read_to_end(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        let end = async {
            while self.read(1 << 16) {
                turns(1).await;
            }
        };
        tokio::time::timeout(PATIENCE, end).await.expect("the worker closes the connection");
    }

    /// What came is frames of a worker, and no request got more final frames than it was sent.
    fn check(&self) {
        let mut open: HashMap<RequestId, i64> = HashMap::new();
        frames(&self.sent, |header| {
            if let Some(request) = header.request {
                *open.entry(request).or_default() += 1;
            }
        });
        frames(&self.received, |header| match ToParent::of(&header) {
            ToParent::Event(_) => assert_eq!(header.id.value(), 1, "{header:?}"),
            ToParent::Response { request, kind } => {
                assert_eq!(header.flags, kind.flags(), "{header:?}");
                let left = open.entry(request).or_default();
                assert!(*left > 0, "one answer too many: {header:?}");
                *left -= i64::from(kind.is_final());
            }
            ToParent::Ignored => panic!("no worker sends {header:?}"),
        });
    }
}

/// The headers of whole frames, up to the first that is none.
fn frames(mut bytes: &[u8], mut see: impl FnMut(Header)) {
    let max = MaxPayload::new(MAX_PAYLOAD);
    while let Some((head, rest)) = bytes.split_first_chunk::<HEADER_LEN>() {
        let Ok(header) = Header::parse(*head, max) else { return };
        see(header);
        let len = usize::try_from(header.payload_len).expect("below 2^31");
        let Some(rest) = rest.get(len..) else { return };
        bytes = rest;
    }
}

fn frame(method: u16, flags: u8, request: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a fuzzer's input is short");
    let (method, request, len) = (method.to_be_bytes(), request.to_be_bytes(), len.to_be_bytes());
    [&method[..], &[flags], &request, &len, payload].concat()
}

async fn turns(count: u8) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}
