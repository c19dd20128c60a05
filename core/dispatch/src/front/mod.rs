//! The client's side of a call: one connection's requests are routed, answered here or handed over,
//! and responses are written.
//!
//! A front composes [`forebay_core_http1`] and [`forebay_core_route`]. It knows no worker: what it
//! hands over is a service, a message and spans of a body; what it is given back are the parts of a
//! response, or the row of the error table to answer with.

mod answer;
mod remembered;
mod response;
mod site;

pub use response::Written;
pub use site::{Site, Templates};

use core::ops::Range;

use forebay_core_http1::{
    After, Config, Connection, Event as Http, FieldSlot, Framing, Head, HeadFacts, PeerError,
};
use forebay_core_route::{Decision, Host, HostBuf, NormalPath, ServiceId, Slot, authority};
use forebay_core_time::Instant;

use crate::message::{self, CallMessage};
use remembered::{Remembered, Verdict};

/// Bytes of an error answer beyond its body: status line and fields.
const ANSWER_HEAD_LEN: usize = 512;

/// One client connection.
#[derive(Debug)]
pub struct Front {
    http: Connection,
    call: CallState,
    /// The end of the request's body was told together with its trailers.
    has_ended: bool,
    remembered: Option<Remembered>,
    /// Bytes that the last head and what it led to take.
    memory_len: usize,
}

/// Where the running call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallState {
    /// There is none.
    None,
    /// It was handed over, and no response head came yet.
    Waiting,
    /// The response head was written.
    Responding,
}

/// Memory that a call to [`Front::handle_bytes`] works in.
#[derive(Debug)]
pub struct Work<'w> {
    /// What will be sent next; answers are appended by writing to its start.
    pub out: &'w mut [u8],
    /// Room for one call's message or one long answer: [`Front::scratch_len`] bytes.
    pub scratch: &'w mut [u8],
    /// What the shell lends the connection to remember its last head in, the same at every call;
    /// empty to remember nothing. See [`Front::memory_len`].
    pub memory: &'w mut [u8],
}

/// What a call carries beside the request itself.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The client's address, `ip:port`.
    pub peer: &'a str,
    /// The request's id, 16 random bytes.
    pub request_id: [u8; 16],
}

/// What became of some input.
#[derive(Debug)]
pub struct Step<'i> {
    /// Bytes of the input that are done with.
    pub used: usize,
    /// What they led to. While there is something, offer the rest of the input.
    pub event: Option<Event<'i>>,
}

/// What a client's bytes led to.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a shell has to do each of them")]
pub enum Event<'i> {
    /// The gateway answered by itself.
    Answered(Place),
    /// A call has to be handed to a home.
    Call(Call),
    /// Bytes of the request's body: always the last bytes of `input[..used]`, and never empty.
    Body(&'i [u8]),
    /// The end of the request's body; its trailers, encoded, are so many bytes of the scratch, none
    /// if there are none.
    End {
        /// Bytes of the scratch.
        trailers_len: usize,
    },
    /// The client broke a rule or is gone: the error answer, perhaps empty, and then the end. No
    /// input is taken any more.
    Refused {
        /// The answer.
        place: Place,
        /// A call was running and has to be given up.
        gone: bool,
        /// The rule.
        error: PeerError,
    },
}

/// Where written bytes lie.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two places")]
pub enum Place {
    /// So many at the start of `out`.
    Out(usize),
    /// In the scratch, since `out` was too small.
    Scratch(Range<usize>),
}

/// A request to be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Where to.
    pub service: ServiceId,
    /// Its message is the first so many bytes of the scratch.
    pub message_len: usize,
    /// How the body follows.
    pub framing: Framing,
    /// Whether the method may be repeated: GET, HEAD, OPTIONS, PUT, DELETE.
    pub idempotent: bool,
}

impl Front {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(now: Instant, config: Config) -> Self {
        Self {
            http: Connection::new(now, config),
            call: CallState::None,
            has_ended: false,
            remembered: None,
            memory_len: 0,
        }
    }

    /// Bytes that the scratch must have: for a message, or a body and its answer, of the largest
    /// request that the limits allow.
    #[must_use]
    pub fn scratch_len<S: AsRef<[Slot]>, T: AsRef<[u8]>>(
        config: &Config,
        site: &Site<'_, S, T>,
    ) -> usize {
        // A field takes up to ten bytes more in a message than between CRLFs; a path may be there
        // twice; in an error body each of its bytes may need an escape.
        let fields = usize::from(config.field_count).saturating_mul(16);
        let head = config.head_len_max().saturating_mul(3).saturating_add(fields);
        let list = site.routes.services_tail().len().saturating_mul(2);
        head.saturating_add(list).saturating_add(ANSWER_HEAD_LEN.saturating_mul(4))
    }

    /// Takes bytes from the client, up to one event.
    ///
    /// `input` begins with what earlier calls left; what is not used of a head or of trailers has
    /// to be offered again with more behind it ([`Config::head_len_max`] bounds it).
    ///
    /// # Bound
    /// One head, or one part of a body.
    pub fn handle_bytes<'i, S, T>(
        &mut self,
        now: Instant,
        input: &'i [u8],
        fields: &mut [FieldSlot],
        site: &Site<'_, S, T>,
        (circumstances, work): (&Circumstances<'_>, &mut Work<'_>),
    ) -> Step<'i>
    where
        S: AsRef<[Slot]>,
        T: AsRef<[u8]>,
    {
        if let Some(step) = self.handle_same_head(now, input, site, circumstances, work) {
            return step;
        }
        // Looked at where it is: a head is large.
        let step = self.http.handle_bytes(now, input, fields);
        let step = match &step {
            Ok(step) => step,
            Err(error) => {
                return Step { used: 0, event: Some(self.refuse(*error, site.date, work.out)) };
            }
        };
        let used = step.used;
        let event = match &step.event {
            None => None,
            Some(Http::Request(head)) => {
                let bytes = input.get(..used).unwrap_or_default();
                Some(self.handle_request(now, head, bytes, site, (circumstances, work)))
            }
            Some(Http::Body(bytes)) => Some(Event::Body(bytes)),
            Some(Http::Trailers(trailers)) => {
                let trailers_len = {
                    let fields = trailers.clone().map(|(name, value)| (name.as_bytes(), value));
                    message::encode_trailers(fields, work.scratch).unwrap_or(0)
                };
                self.has_ended = true;
                Some(Event::End { trailers_len })
            }
            // Told with the trailers.
            Some(Http::RequestEnd) if core::mem::take(&mut self.has_ended) => None,
            Some(Http::RequestEnd) => Some(Event::End { trailers_len: 0 }),
        };
        Step { used, event }
    }

    /// The client ended its direction, behind all bytes that were or will be offered. Offer the
    /// rest of the input afterwards, even if that is nothing.
    pub fn handle_eof(&mut self, now: Instant) {
        self.http.handle_eof(now);
    }

    /// The gateway is stopping: the running or next answer is the connection's last.
    pub fn handle_stop(&mut self) {
        self.http.end_after_answer();
    }

    /// Acts on a deadline that has passed. Early or repeated calls are harmless.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        date: &[u8; 29],
        out: &mut [u8],
    ) -> Option<Event<'static>> {
        self.http.handle_timeout(now).err().map(|error| self.refuse(error, date, out))
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Ask again after every call.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.http.poll_timeout()
    }

    /// Whether bytes would be taken now. While not, leave them with the kernel.
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        self.http.wants_read()
    }

    /// Whether nothing of a request has come: an empty input leads to nothing then.
    #[must_use]
    pub const fn awaits_request(&self) -> bool {
        self.http.awaits_request()
    }

    /// Whether a request's body is still to be read.
    #[must_use]
    pub const fn is_reading_body(&self) -> bool {
        !self.http.request_is_complete()
    }

    /// Whether a call is running.
    #[must_use]
    pub const fn has_call(&self) -> bool {
        match self.call {
            CallState::None => false,
            CallState::Waiting | CallState::Responding => true,
        }
    }

    /// Whether a whole request was handed over and no byte of its response came yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.call == CallState::Waiting && !self.is_reading_body()
    }

    /// Everything that was written has been sent; says how the connection goes on.
    pub fn handle_written(&mut self, now: Instant) -> After {
        self.http.handle_written(now)
    }

    /// The write side was shut down, as [`After::Linger`] asks.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.http.handle_shutdown(now);
    }

    /// Whether the socket can be closed now.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.http.is_closed()
    }

    /// Bytes of memory that the last head with what it led to takes, or would have taken if less
    /// was lent: what to lend for the next one. 0 before the first.
    #[must_use]
    pub const fn memory_len(&self) -> usize {
        self.memory_len
    }

    /// Forgets the last head: the memory is taken back, or others will be lent.
    pub fn forget(&mut self) {
        self.remembered = None;
    }

    fn handle_request<S, T>(
        &mut self,
        now: Instant,
        head: &Head<'_, '_>,
        bytes: &[u8],
        site: &Site<'_, S, T>,
        (circumstances, work): (&Circumstances<'_>, &mut Work<'_>),
    ) -> Event<'static>
    where
        S: AsRef<[Slot]>,
        T: AsRef<[u8]>,
    {
        self.has_ended = false;
        let mut buf: HostBuf = [0; _];
        let (host, path) = match place(head, site, &mut buf) {
            Ok(found) => found,
            Err(error) => {
                self.http.refuse(error);
                return self.refuse(error, site.date, work.out);
            }
        };
        let verdict = decide(head, &host, &path, site);
        let payload_len = match verdict {
            Verdict::Call { service, .. } => {
                encode(head, &path, service, site, (circumstances, work.scratch))
            }
            Verdict::Configuration | Verdict::NotFound | Verdict::NotDeployed(_) => {
                answer::body(verdict, &host, &path, site)
                    .and_then(|body| body.emit(work.scratch).ok())
            }
        };
        let Some(payload_len) = payload_len else {
            return self.break_off();
        };
        let payload = work.scratch.get(..payload_len).unwrap_or_default();
        self.memory_len = bytes.len().saturating_add(payload_len);
        self.remembered = Remembered::keep(
            *head.facts(),
            verdict,
            site.generation,
            [bytes, payload],
            work.memory,
        );
        self.follow(now, verdict, head.facts(), payload_len, (site, work))
    }

    /// The same head again: what it leads to is known.
    fn handle_same_head<'i, S, T>(
        &mut self,
        now: Instant,
        input: &[u8],
        site: &Site<'_, S, T>,
        circumstances: &Circumstances<'_>,
        work: &mut Work<'_>,
    ) -> Option<Step<'i>>
    where
        S: AsRef<[Slot]>,
        T: AsRef<[u8]>,
    {
        let last = self.remembered.filter(|last| last.generation == site.generation)?;
        let used = self.http.handle_same_head(now, input, last.head(work.memory), &last.facts)?;
        let payload = last.payload(work.memory);
        work.scratch.get_mut(..payload.len())?.copy_from_slice(payload);
        let payload_len = payload.len();
        if let Verdict::Call { .. } = last.verdict {
            // The id is the message's last member.
            let message = work.scratch.get_mut(..payload_len)?;
            *message.last_chunk_mut()? = circumstances.request_id;
        }
        let event = self.follow(now, last.verdict, &last.facts, payload_len, (site, work));
        Some(Step { used, event: Some(event) })
    }

    /// Does what a verdict says; its payload is the first `payload_len` bytes of the scratch.
    fn follow<S, T>(
        &mut self,
        now: Instant,
        verdict: Verdict,
        facts: &HeadFacts,
        payload_len: usize,
        (site, work): (&Site<'_, S, T>, &mut Work<'_>),
    ) -> Event<'static> {
        let template = match verdict {
            Verdict::Call { service, idempotent } => {
                self.call = CallState::Waiting;
                return Event::Call(Call {
                    service,
                    message_len: payload_len,
                    framing: facts.framing(),
                    idempotent,
                });
            }
            Verdict::Configuration => &site.templates.configuration,
            Verdict::NotFound | Verdict::NotDeployed(_) => &site.templates.not_found,
        };
        if facts.has_body() {
            self.http.discard_body(now);
        }
        match self.write_prepared(template, payload_len, work) {
            Some(place) => Event::Answered(place),
            None => self.break_off(),
        }
    }
}

/// Where a request goes: its host as it is compared, and its path in normal form.
fn place<'h, 'i, S, T>(
    head: &Head<'_, 'i>,
    site: &'h Site<'_, S, T>,
    buf: &'h mut HostBuf,
) -> Result<(Host<'h>, NormalPath<'i>), PeerError>
where
    S: AsRef<[Slot]>,
    T: AsRef<[u8]>,
{
    let path = NormalPath::parse(head.target().path_bytes()).map_err(|_| PeerError::Target)?;
    let host = match head.authority() {
        Some(authority) => {
            authority::parse(authority, buf).map_err(|_| PeerError::HostSyntax)?.host
        }
        // HTTP/1.0 may leave it out.
        None => site.routes.home(),
    };
    Ok((host, path))
}

/// Writes the call's message.
fn encode<S, T>(
    head: &Head<'_, '_>,
    path: &NormalPath<'_>,
    service: ServiceId,
    site: &Site<'_, S, T>,
    (circumstances, out): (&Circumstances<'_>, &mut [u8]),
) -> Option<usize>
where
    S: AsRef<[Slot]>,
    T: AsRef<[u8]>,
{
    let message = CallMessage {
        method: head.method(),
        target: head.target().raw(),
        authority: head.authority().unwrap_or(site.routes.home().as_bytes()),
        scheme: "http",
        service: core::str::from_utf8(site.routes.service_name(service)).ok()?,
        environment: site.environment,
        peer: circumstances.peer,
        request_id: circumstances.request_id,
    };
    let fields = head.forwarded_fields();
    message.encode(path.pieces(), fields, out).ok()
}

fn decide<S, T>(
    head: &Head<'_, '_>,
    host: &Host<'_>,
    path: &NormalPath<'_>,
    site: &Site<'_, S, T>,
) -> Verdict
where
    S: AsRef<[Slot]>,
    T: AsRef<[u8]>,
{
    if !site.has_namespace {
        return Verdict::Configuration;
    }
    let service = match site.routes.decide(host, path) {
        Decision::Subdomain(service) | Decision::Path(service) | Decision::Default(service) => {
            service
        }
        Decision::None => return Verdict::NotFound,
    };
    if !site.deployed.get(usize::from(service.index())).is_some_and(|deployed| *deployed) {
        return Verdict::NotDeployed(service);
    }
    let idempotent = matches!(head.method(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE");
    Verdict::Call { service, idempotent }
}
