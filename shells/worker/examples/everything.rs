//! A worker with every kind of method and every way to answer; the tests drive it.
//!
//! With `WORKER_THREADS` set it runs on that many threads, otherwise on one.

use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;

use forebay_worker::{
    Accepted, Builder, Bytes, Chunks, Client, Failure, HttpContext, HttpHead, HttpRequest,
    HttpResponse, Raw, RawChunks, Reply, Timestamp, Trailers, Value,
};
use serde::{Deserialize, Serialize};
use tokio::runtime;
use tokio::sync::Notify;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let threads = env::var("WORKER_THREADS").ok().and_then(|text| text.parse().ok());
    let mut runtime = match threads {
        Some(threads) => {
            let mut builder = runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
        None => runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(async {
        let client = worker().start().await?;
        assert!(env::var_os("PANIC").is_none(), "on demand, before there is a parent");
        if env::var_os("RETURN").is_none() {
            client.wait_for_shutdown().await;
        }
        Ok(())
    })
}

fn worker() -> Builder {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let mut builder = Client::builder()
        .event("progress")
        .event("raw_progress")
        .event("line\u{2028}and\u{2029}paragraph")
        .lossy_text(env::var_os("LOSSY_TEXT").is_some());
    if let Some(requests) = number("MAX_CONCURRENCY") {
        builder = builder.max_concurrency(requests);
    }
    if let Some(bytes) = number("MAX_REQUEST_BYTES") {
        builder = builder.max_request_bytes(bytes);
    }
    let parked = Arc::new(Parked::default());
    http(waiting(streams(acks(failures(results(builder)))), parked.clone()), parked)
}

#[derive(Debug, Deserialize, Serialize)]
struct Person {
    name: String,
    age: u8,
    height: f64,
    born: Timestamp,
    photo: Bytes,
    nick: Option<String>,
    tags: Vec<String>,
    scores: BTreeMap<u32, f32>,
}

fn results(builder: Builder) -> Builder {
    builder
        .handle("echo", |input: Value, _| async move { Reply(input) })
        .handle("echo_raw", |input: Raw, _| async move { Reply(input) })
        .handle("person", |person: Person, _| async move { Reply(person) })
        .handle("signed", |input: i64, _| async move { Reply(input) })
        .handle("unsigned", |input: u64, _| async move { Reply(input) })
        .handle("float", |input: f64, _| async move { Reply(input) })
        .handle("pieces", |Raw(input): Raw, _| async move {
            let half = input.len() / 2;
            Reply(RawChunks(vec![input.slice(..half), input.slice(half..)]))
        })
        .handle(
            "through_context",
            |input: Value, context| async move { context.respond(&input).await },
        )
        .handle("later", |millis: u64, context| async move {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                context.respond("later").await
            });
        })
        .handle("later_raw", |input: Raw, _| async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Reply(input)
        })
        .handle("null", |(): (), _| async move { Reply(()) })
}

fn failures(builder: Builder) -> Builder {
    builder
        .handle("fail", |text: String, _| async move { Err::<(), _>(Failure::text(text)) })
        .handle("fail_structured", |code: u32, _| async move {
            Failure::structured(&BTreeMap::from([
                ("code", Value::from(code)),
                ("message", "bad".into()),
            ]))
            .unwrap_or_else(Failure::from)
        })
        .handle("panic", |(): (), _| async move {
            if true {
                panic!("on demand");
            }
        })
        .handle("panic_at_once", |(): (), _| {
            assert!(env::args().count() > 100, "on demand, before there is a future");
            async {}
        })
        .handle("crash", |(): (), _| async move {
            if true {
                std::process::abort();
            }
        })
        .handle("forget", |(): (), _| async move {})
        .handle("twice", |(): (), context| async move {
            context.respond("first").await?;
            let second = context.respond("second").await;
            context.emit("progress", &second.map_err(|error| error.to_string())).await
        })
        .stream("fail_midway", |(): (), context| async move {
            context.chunk(&1).await?;
            Err::<(), _>(Failure::text("mid"))
        })
        .stream("panic_midway", |(): (), context| async move {
            let _ = context.chunk(&1).await;
            if true {
                panic!("on demand");
            }
        })
}

fn acks(builder: Builder) -> Builder {
    builder
        .ack("ack_empty", |_: Value, _| async move { Accepted })
        .ack("ack_data", |input: Value, _| async move { Reply(input) })
        .ack("ack_raw", |input: Raw, _| async move { Reply(input) })
        .ack("ack_late", |_: Value, context| async move {
            tokio::task::yield_now().await;
            context.ack_empty().await
        })
        .none("note", |input: Value, context| async move {
            // The event of this very name, if there is one.
            let event = match &input {
                Value::Text(name) if name.contains('\u{2028}') => name,
                _ => "progress",
            };
            let _ = context.emit(event, &input).await;
        })
        .none("note_raw", |input: Raw, context| async move {
            let _ = context.emit("raw_progress", &input).await;
        })
        .none("unknown_event", |(): (), context| async move {
            let outcome = context.emit("nothing", &()).await.map_err(|error| error.to_string());
            let _ = context.emit("progress", &outcome).await;
        })
}

fn streams(builder: Builder) -> Builder {
    builder
        .stream("count", |to: u64, context| async move {
            for n in 0..to {
                context.chunk(&n).await?;
            }
            context.end().await
        })
        .stream("counted", |to: u64, _| async move {
            let mut numbers = 0..to;
            Chunks(from_fn(move || numbers.next().map(Ok::<_, Failure>)))
        })
        .stream("flood", |(chunks, len): (u64, usize), context| async move {
            let chunk = Raw(Bytes::from(vec![b'x'; len]));
            for _ in 0..chunks {
                context.chunk(&chunk).await?;
            }
            context.end().await
        })
}

/// A stream that is never pending.
fn from_fn<T>(next: impl FnMut() -> Option<T>) -> impl futures_core::Stream<Item = T> {
    struct FromFn<F>(F);

    impl<F> Unpin for FromFn<F> {}

    impl<T, F: FnMut() -> Option<T>> futures_core::Stream for FromFn<F> {
        type Item = T;

        fn poll_next(
            self: core::pin::Pin<&mut Self>,
            _: &mut core::task::Context<'_>,
        ) -> core::task::Poll<Option<T>> {
            core::task::Poll::Ready((self.get_mut().0)())
        }
    }

    FromFn(next)
}

/// Requests that wait to be released or given up.
#[derive(Default)]
struct Parked {
    waiting: AtomicUsize,
    cancelled: AtomicUsize,
    release: Notify,
}

fn waiting(builder: Builder, parked: Arc<Parked>) -> Builder {
    let (releasing, counting, cancelled) = (parked.clone(), parked.clone(), parked.clone());
    builder
        .handle("park", move |(): (), context| {
            let parked = Arc::clone(&parked);
            async move {
                let token = context.cancellation_token();
                let mut released = pin!(parked.release.notified());
                released.as_mut().enable();
                parked.waiting.fetch_add(1, Ordering::Relaxed);
                let reply = tokio::select! {
                    () = token.cancelled() => {
                        parked.cancelled.fetch_add(1, Ordering::Relaxed);
                        "cancelled"
                    }
                    () = released => "released",
                };
                parked.waiting.fetch_sub(1, Ordering::Relaxed);
                Reply(reply)
            }
        })
        .handle("release", move |(): (), _| {
            releasing.release.notify_waiters();
            async { Reply(()) }
        })
        .handle("waiting", move |(): (), _| {
            let count = counting.waiting.load(Ordering::Relaxed);
            async move { Reply(count) }
        })
        .handle("cancelled", move |(): (), _| {
            let count = cancelled.cancelled.load(Ordering::Relaxed);
            async move { Reply(count) }
        })
        .handle("drain", |(): (), context| async move {
            context.client().shutdown();
            Reply(())
        })
        .handle("start_again", |(): (), _| async move {
            let started = Client::builder().start().await;
            Reply(started.map_or_else(|error| error.to_string(), |_| "started".to_owned()))
        })
        .handle("busy", |millis: u64, _| async move {
            std::thread::sleep(Duration::from_millis(millis));
            Reply(())
        })
}

fn http(builder: Builder, parked: Arc<Parked>) -> Builder {
    builder.http(move |request, context| {
        let parked = Arc::clone(&parked);
        async move {
            match request.path() {
                "/whole" => {
                    return Ok(Some(HttpResponse::text(200, request.target().to_owned())));
                }
                "/hints" => {
                    let hint = |link| HttpHead::new(103).field("link", link);
                    context.early_hints(hint("</a.css>")).await?;
                    context.early_hints(hint("</b.css>")).await?;
                    return Ok(Some(HttpResponse::text(200, "hinted".to_owned())));
                }
                "/fail" => return Err(Failure::text("no")),
                "/refuse" => {
                    drop(request);
                    return Ok(Some(HttpResponse::new(413)));
                }
                // The body is read when `release` is called.
                "/slow" => parked.release.notified().await,
                _ => {}
            }
            echo(request, context).await
        }
    })
}

async fn echo(
    mut request: HttpRequest,
    context: HttpContext,
) -> Result<Option<HttpResponse>, Failure> {
    let head = HttpHead::new(200).field("x-method", request.method());
    let mut writer = context.start(head).await?;
    while let Some(part) = request.body.next().await.transpose()? {
        writer.write(part).await?;
    }
    let trailers = Trailers::new().field("x-count", request.body.trailers().len().to_string());
    writer.finish_with(trailers).await?;
    Ok(None)
}
