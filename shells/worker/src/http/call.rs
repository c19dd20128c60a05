//! One HTTP call: its handler, the parts of its body, the room for its response.

use core::fmt;
use core::future::{Future, poll_fn};
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use forebay_core_procwire::ResponseType;
use forebay_core_procwire::child::Reply;

use crate::answer::Answer;
use crate::client::Client;
use crate::connection::{Call, Owned};
use crate::context::{Ack, CancellationToken, RequestContext, Streamed};
use crate::error::{Error, Failure};
use crate::handler::{self, At, Ended, Handler, Kind, Place, Reporter, Running, Start};
use crate::http::body::Body;
use crate::http::open::{OpenCall, OpenCalls};
use crate::http::request::HttpRequest;
use crate::http::response::{HttpHead, HttpResponse, Trailers};
use crate::http::wire::{self, BodyForm};
use crate::payload::Incoming;

/// Longest body part in bytes; also the longest body that travels with its head.
const PART_LEN_MAX: usize = 64 * 1024;

/// What an `http` handler may return: an [`HttpResponse`], `()` when it answered through its
/// context, or a `Result` of one of them.
pub trait IntoHttpAnswer: Send {
    /// The response that is still to be sent.
    ///
    /// # Errors
    /// The failure that the gateway turns into a 500.
    fn into_http_answer(self) -> Result<Option<HttpResponse>, Failure>;
}

impl IntoHttpAnswer for HttpResponse {
    fn into_http_answer(self) -> Result<Option<HttpResponse>, Failure> {
        Ok(Some(self))
    }
}

impl IntoHttpAnswer for HttpHead {
    fn into_http_answer(self) -> Result<Option<HttpResponse>, Failure> {
        Ok(Some(self.into()))
    }
}

/// `None` when the answer went through the context.
impl IntoHttpAnswer for Option<HttpResponse> {
    fn into_http_answer(self) -> Result<Option<HttpResponse>, Failure> {
        Ok(self)
    }
}

impl IntoHttpAnswer for () {
    fn into_http_answer(self) -> Result<Option<HttpResponse>, Failure> {
        Ok(None)
    }
}

impl<A: IntoHttpAnswer, E: Into<Failure> + Send> IntoHttpAnswer for Result<A, E> {
    fn into_http_answer(self) -> Result<Option<HttpResponse>, Failure> {
        self.map_err(Into::into)?.into_http_answer()
    }
}

/// The answering side of an HTTP request. Clones are the same request.
#[derive(Clone)]
pub struct HttpContext {
    context: RequestContext<Streamed>,
    open: Arc<OpenCall>,
    /// The request's method is HEAD: no body goes out.
    head_only: bool,
}

impl HttpContext {
    /// Sends a whole response.
    ///
    /// # Errors
    /// As [`RequestContext::respond`](crate::RequestContext::respond).
    pub async fn respond(&self, response: HttpResponse) -> Result<(), Error> {
        let (head, body) = match self.whole(response) {
            Ok(answer) => {
                self.context.room().await;
                return self.context.call().send_answer(answer);
            }
            Err(parts) => parts,
        };
        let mut writer = self.start(head).await?;
        writer.write(body).await?;
        writer.finish().await
    }

    /// A response as one answer, if it and its window are such that it can be.
    fn whole(&self, response: HttpResponse) -> Result<Answer, (HttpHead, Bytes)> {
        let HttpResponse { head, body } = response;
        let head = if has_body(head.status()) { head.with_length(body.len()) } else { head };
        let body = if self.head_only || !has_body(head.status()) { Bytes::new() } else { body };
        if body.len() > PART_LEN_MAX || !self.open.download.spend_all(body.len()) {
            return Err((head, body));
        }
        let payload = Owned::encode(|out| {
            wire::encode_head(head.status(), head.fields(), &body, out);
        });
        Ok(Answer { reply: Reply::Chunk, payload, ends: true })
    }

    /// Sends an informational answer of status 103, before the response itself.
    ///
    /// # Errors
    /// As [`respond`](Self::respond).
    pub async fn early_hints(&self, hints: HttpHead) -> Result<(), Error> {
        self.context.room().await;
        self.send(|out| wire::encode_head(103, hints.fields(), &Bytes::new(), out))
    }

    /// Sends a head; the body follows through the writer.
    ///
    /// # Errors
    /// As [`respond`](Self::respond).
    pub async fn start(&self, head: HttpHead) -> Result<BodyWriter, Error> {
        self.context.room().await;
        self.open.expect_grants();
        self.send(|out| wire::encode_head(head.status(), head.fields(), &Bytes::new(), out))?;
        let discard = self.head_only || !has_body(head.status());
        Ok(BodyWriter { http: self.clone(), discard })
    }

    /// Answers with a failure; the gateway turns it into a 500, or closes the connection when the
    /// head is out already.
    ///
    /// # Errors
    /// As [`respond`](Self::respond).
    pub async fn fail(&self, failure: impl Into<Failure> + Send) -> Result<(), Error> {
        self.context.fail(failure).await
    }

    /// Whether the client, or the gateway, gave the request up.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.context.is_aborted()
    }

    /// A token that says when [`is_aborted`](Self::is_aborted) becomes true.
    #[must_use]
    pub fn cancellation_token(&self) -> CancellationToken {
        self.context.cancellation_token()
    }

    /// The worker that the request came to.
    #[must_use]
    pub fn client(&self) -> Client {
        self.context.client()
    }

    fn send(&self, encode: impl FnOnce(&mut crate::connection::Outgoing<'_>)) -> Result<(), Error> {
        self.context.call().send_now(Reply::Chunk, |out| {
            encode(out);
            Ok(())
        })
    }

    fn send_end(&self) -> Result<(), Error> {
        self.context.call().send_now(Reply::End, |_| Ok(()))
    }
}

impl fmt::Debug for HttpContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpContext").field(&self.context).finish()
    }
}

/// Writes a response's body. Dropping it before [`finish`](Self::finish) breaks the response off.
#[derive(Debug)]
pub struct BodyWriter {
    http: HttpContext,
    /// No body goes out with this head.
    discard: bool,
}

impl BodyWriter {
    /// Writes bytes of the body. Waits, without a limit in time, while the client does not take
    /// what it has been sent.
    ///
    /// # Errors
    /// [`Error::Aborted`] when the client is gone; [`Error::Closed`].
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), Error> {
        let mut bytes: Bytes = bytes.into();
        if self.discard {
            return Ok(());
        }
        while !bytes.is_empty() {
            let want = bytes.len().min(PART_LEN_MAX);
            let len = poll_fn(|cx| self.poll_window(want, cx)).await?;
            self.http.context.room().await;
            let part = bytes.split_to(len);
            self.http.send(|out| wire::encode_part(&part, out))?;
        }
        Ok(())
    }

    /// Ends the response.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn finish(self) -> Result<(), Error> {
        self.http.context.end().await
    }

    /// Ends the response with fields behind its body.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn finish_with(self, trailers: Trailers) -> Result<(), Error> {
        self.http.context.room().await;
        if !self.discard {
            self.http.send(|out| wire::encode_trailers(&trailers.fields, out))?;
        }
        self.http.send_end()
    }

    /// How many bytes of `want` may go out now, at least one.
    fn poll_window(&self, want: usize, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        if self.http.context.call().poll_aborted(cx).is_ready() {
            return Poll::Ready(Err(Error::Aborted));
        }
        self.http.open.download.poll_spend(want, cx).map(Ok)
    }
}

/// Whether a response of this status has a body (RFC 9110 section 6.4.1).
fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// The three methods that serve HTTP requests, in the order of their ids.
pub(crate) fn methods<F, Fut>(handler: F) -> [(&'static str, Handler); 3]
where
    F: Fn(HttpRequest, HttpContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoHttpAnswer> + Send + 'static,
{
    let open = OpenCalls::default();
    let (parts, grants) = (open.clone(), open.clone());
    let method = |response, counted, start| Handler { kind: Kind { response, counted }, start };
    let take_part =
        move |call, payload: Incoming<'_>, at: At<'_>| take_part(&parts, call, payload, at);
    let take_grant =
        move |call, payload: Incoming<'_>, at: At<'_>| take_grant(&grants, call, payload, at);
    [
        ("http", method(ResponseType::Stream, true, serve(handler, open))),
        ("http.body", method(ResponseType::Ack, false, Box::new(take_part))),
        ("http.grant", method(ResponseType::None, false, Box::new(take_grant))),
    ]
}

fn serve<F, Fut>(handler: F, open: OpenCalls) -> Start
where
    F: Fn(HttpRequest, HttpContext) -> Fut + Send + 'static,
    Fut: Future<Output: IntoHttpAnswer> + Send + 'static,
{
    let mut place = Place::new();
    Box::new(move |call: Arc<Call>, payload: Incoming<'_>, at: At<'_>| {
        let message = match wire::parse_call(payload.into_bytes()) {
            Ok(message) => message,
            Err(error) => return handler::reject(call, &error.to_string(), at),
        };
        let head_only = message.head.is_head();
        let (open, body) = match message.body {
            BodyForm::None => (open.add(&call, message.window), Body::empty()),
            BodyForm::Inline(bytes) => (open.add(&call, message.window), Body::whole(bytes)),
            BodyForm::Follows { len } => {
                let open = open.add(&call, message.window);
                open.expect_parts(&call);
                (Arc::clone(&open), Body::parts(open, len))
            }
        };
        let http = HttpContext { context: RequestContext::new(call), open, head_only };
        let future = {
            let reporter = Reporter(http.context.call());
            let future = handler(HttpRequest::new(message.head, body), http.clone());
            reporter.dismiss();
            future
        };
        place.run(run(future, http), at)
    })
}

/// Runs a handler to its end and sends what it returned.
async fn run<Fut>(future: Fut, http: HttpContext) -> Ended
where
    Fut: Future<Output: IntoHttpAnswer> + Send,
{
    let reporter = Reporter(http.context.call());
    let ready = match future.await.into_http_answer() {
        Ok(Some(response)) if http.context.is_full() => Err(response),
        Ok(Some(response)) => {
            http.whole(response).map(Some).map_err(|(head, body)| HttpResponse { head, body })
        }
        Ok(None) => Ok(None),
        Err(failure) => Ok(Some(Answer::failure(failure))),
    };
    let answer = match ready {
        Ok(answer) => answer,
        Err(response) => {
            // Apart, so that answers at once do not carry the room for it around.
            Box::pin(send(response, &http)).await;
            None
        }
    };
    reporter.dismiss();
    Ended { call: http.context.into_call(), answer }
}

/// Sends what takes time.
async fn send(response: HttpResponse, http: &HttpContext) {
    if let Err(error) = http.respond(response).await {
        // What the handler sent before stands; then there is nothing to add.
        let _ = http.context.fail(error).await;
    }
}

fn take_part(
    open: &OpenCalls,
    call: Arc<Call>,
    payload: Incoming<'_>,
    at: At<'_>,
) -> Option<Running> {
    let part = match wire::parse_part(payload) {
        Ok(part) => part,
        Err(error) => return handler::reject(call, &error.to_string(), at),
    };
    let Some(target) = open.find(part.request) else {
        return handler::reject(call, "no such call, or its body is not wanted", at);
    };
    target.upload.receive(part, RequestContext::<Ack>::new(call));
    None
}

fn take_grant(
    open: &OpenCalls,
    call: Arc<Call>,
    payload: Incoming<'_>,
    at: At<'_>,
) -> Option<Running> {
    match wire::parse_grant(payload) {
        Ok((request, amount)) => {
            // A grant for a call that has ended is normal.
            if let Some(target) = open.find(request) {
                target.download.grant(amount);
            }
            at.end(Ended { call, answer: None });
            None
        }
        Err(error) => handler::reject(call, &error.to_string(), at),
    }
}
