//! The demo worker.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use forebay_worker::{
    BodyError, Builder, Client, Failure, HttpContext, HttpHead, HttpRequest, HttpResponse,
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

/// Bytes of one chunk of `/stream` at most.
const CHUNK_LEN_MAX: usize = 16 << 20;

const PAGE: &str = include_str!("demo.html");

pub(super) fn worker() -> Builder {
    let seen = Arc::new(Seen::default());
    Client::builder().http(move |request, context| {
        let call = Observed { seen: Arc::clone(&seen), context };
        async move { answer(request, &call).await }
    })
}

/// What the worker saw of its calls.
#[derive(Default)]
struct Seen {
    aborted: AtomicU64,
    hanging: AtomicU64,
}

/// A call that is counted when it ends.
struct Observed {
    seen: Arc<Seen>,
    context: HttpContext,
}

impl Drop for Observed {
    fn drop(&mut self) {
        if self.context.is_aborted() {
            self.seen.aborted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn answer(request: HttpRequest, call: &Observed) -> Result<Option<HttpResponse>, Failure> {
    let path = request.path().to_owned();
    match path.as_str() {
        "/" if wants_page(&request) => Ok(Some(page(&request))),
        "/health" => json(&Health { status: "ok", service: request.service() }),
        "/stream" => stream(&request, &call.context).await,
        "/error" => Err(Failure::text("the demo worker was asked to fail")),
        "/exit" => std::process::exit(3),
        "/hang" => hang(call).await,
        "/aborted" => json(&Counts {
            aborted: call.seen.aborted.load(Ordering::Relaxed),
            hanging: call.seen.hanging.load(Ordering::Relaxed),
        }),
        _ => echo(request).await,
    }
}

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    service: &'a str,
}

#[derive(Serialize)]
struct Counts {
    aborted: u64,
    hanging: u64,
}

/// What was received.
#[derive(Serialize)]
struct Echo {
    service: String,
    environment: String,
    method: String,
    target: String,
    path: String,
    authority: String,
    headers: Vec<(String, String)>,
    length: u64,
    blake3: String,
}

fn json<T: Serialize>(value: &T) -> Result<Option<HttpResponse>, Failure> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(Some(HttpResponse::json(200, text)))
}

/// A browser gets a page, everybody else the same JSON as on any other path.
fn wants_page(request: &HttpRequest) -> bool {
    let accept = request.field("accept").unwrap_or(b"");
    request.method() == "GET" && accept.windows(9).any(|part| part == b"text/html")
}

fn page(request: &HttpRequest) -> HttpResponse {
    let text = PAGE
        .replace("{service}", &escaped(request.service()))
        .replace("{environment}", &escaped(request.environment()))
        .replace("{authority}", &escaped(request.authority()));
    HttpResponse::html(200, text)
}

/// The authority comes from the client.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Takes the whole body, of any size, and says what came.
async fn echo(mut request: HttpRequest) -> Result<Option<HttpResponse>, Failure> {
    let slow = Query::of(&request).duration("slow", Duration::ZERO);
    let (length, blake3) = digest(&mut request, slow).await?;
    json(&Echo {
        service: request.service().to_owned(),
        environment: request.environment().to_owned(),
        method: request.method().to_owned(),
        target: request.target().to_owned(),
        path: request.path().to_owned(),
        authority: request.authority().to_owned(),
        headers: request
            .fields()
            .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
            .collect(),
        length,
        blake3,
    })
}

/// Length and BLAKE3 of the body. For the first `slow` it is read at one byte per microsecond.
async fn digest(request: &mut HttpRequest, slow: Duration) -> Result<(u64, String), BodyError> {
    let start = Instant::now();
    let mut hasher = blake3::Hasher::new();
    while let Some(part) = request.body.next().await.transpose()? {
        hasher.update(&part);
        if start.elapsed() < slow {
            sleep(Duration::from_micros(u64::try_from(part.len()).unwrap_or(0))).await;
        }
    }
    Ok((hasher.count(), hasher.finalize().to_hex().to_string()))
}

async fn stream(
    request: &HttpRequest,
    context: &HttpContext,
) -> Result<Option<HttpResponse>, Failure> {
    let query = Query::of(request);
    let (chunks, size) = (query.number("chunks", 10), query.number("size", 64));
    let delay = query.duration("delay", Duration::ZERO);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > CHUNK_LEN_MAX {
        return Ok(Some(HttpResponse::text(400, "size is 16777216 at most\n")));
    }
    let head = HttpHead::new(200).field("content-type", "text/plain; charset=utf-8");
    let mut body = context.start(head).await?;
    let chunk = Bytes::from(lines(size));
    for _ in 0..chunks {
        if !delay.is_zero() {
            tokio::select! {
                () = sleep(delay) => {}
                () = cancelled(context) => return Ok(None),
            }
        }
        body.write(chunk.clone()).await?;
    }
    body.finish().await?;
    Ok(None)
}

/// So many bytes of text, a line after every 64.
fn lines(len: usize) -> Vec<u8> {
    let line = b"abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEFGHIJKLMNOPQRSTUVWXY\n";
    line.iter().copied().cycle().take(len).collect()
}

async fn hang(call: &Observed) -> Result<Option<HttpResponse>, Failure> {
    call.seen.hanging.fetch_add(1, Ordering::Relaxed);
    cancelled(&call.context).await;
    call.seen.hanging.fetch_sub(1, Ordering::Relaxed);
    Ok(None)
}

async fn cancelled(context: &HttpContext) {
    context.cancellation_token().cancelled().await;
}

/// The parameters behind the `?`.
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn of(request: &'a HttpRequest) -> Self {
        Self(request.query().unwrap_or(""))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    fn number(&self, name: &str, default: u64) -> u64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// `50ms`, `10s`, or a number of milliseconds.
    fn duration(&self, name: &str, default: Duration) -> Duration {
        let Some(text) = self.text(name) else { return default };
        let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(millis), _) => millis.parse().map(Duration::from_millis),
            (None, Some(seconds)) => seconds.parse().map(Duration::from_secs),
            (None, None) => text.parse().map(Duration::from_millis),
        };
        parsed.unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let query = Query("delay=50ms&slow=10s&bare=7&odd=x");
        assert_eq!(query.duration("delay", Duration::ZERO), Duration::from_millis(50));
        assert_eq!(query.duration("slow", Duration::ZERO), Duration::from_secs(10));
        assert_eq!(query.duration("bare", Duration::ZERO), Duration::from_millis(7));
        assert_eq!(query.duration("odd", Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(query.number("missing", 3), 3);
    }

    /// The authority is whatever a client wrote into its Host field.
    #[test]
    fn nothing_of_a_request_becomes_markup() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;>&amp;");
    }
}
