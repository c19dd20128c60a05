//! Calls whose body still comes or whose response waits for room, by request id.

use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use bytes::{Bytes, BytesMut};
use forebay_core_flow::Credit;
use forebay_core_procwire::child::Reply;

use crate::connection::{Abort, Call, locked};
use crate::context::{Ack, RequestContext};
use crate::error::Failure;
use crate::http::body::BodyError;
use crate::http::wire::Part;

/// Bytes of one body that may wait to be taken. A gateway's window is far below.
const WAITING_LEN_MAX: usize = 16 << 20;

/// Longest part in bytes that may be acknowledged before it is taken. A client that sends byte by
/// byte would otherwise keep a request open for each of them.
const SMALL_LEN_MAX: usize = 4096;

/// Bytes of one body that are acknowledged and not taken, at most.
const SMALL_TOTAL_MAX: usize = 32 * 1024;

/// The calls of one worker that parts and grants can be for.
#[derive(Clone, Default)]
pub(crate) struct OpenCalls {
    calls: Arc<Mutex<HashMap<u32, Weak<OpenCall>>>>,
}

/// One call's two directions. Found, once something is expected for it, as long as somebody reads
/// the body or answers.
pub(crate) struct OpenCall {
    pub(crate) upload: Upload,
    pub(crate) download: Download,
    /// Given up; nobody asks but a reader of parts.
    abort: OnceLock<Arc<Abort>>,
    request: u32,
    is_listed: AtomicBool,
    calls: OpenCalls,
}

impl OpenCalls {
    /// A call whose response may be `window` bytes ahead; 0 is no window at all.
    pub(crate) fn add(&self, call: &Call, window: u64) -> Arc<OpenCall> {
        let credit = (window > 0).then(|| Credit::new(window));
        Arc::new(OpenCall {
            upload: Upload::default(),
            download: Download { state: Mutex::new(Room { credit, waker: None }) },
            abort: OnceLock::new(),
            request: call.request_id(),
            is_listed: AtomicBool::new(false),
            calls: self.clone(),
        })
    }

    pub(crate) fn find(&self, request: u32) -> Option<Arc<OpenCall>> {
        locked(&self.calls).get(&request).and_then(Weak::upgrade)
    }
}

impl OpenCall {
    /// The body comes in parts.
    pub(crate) fn expect_parts(self: &Arc<Self>, call: &Call) {
        self.abort.get_or_init(|| call.watch());
        self.list();
    }

    /// More of the response may follow than there is room for.
    pub(crate) fn expect_grants(self: &Arc<Self>) {
        self.list();
    }

    fn list(self: &Arc<Self>) {
        if !self.is_listed.swap(true, Ordering::Relaxed) {
            locked(&self.calls.calls).insert(self.request, Arc::downgrade(self));
        }
    }

    /// The next part of the body, which counts as taken with it.
    pub(crate) fn poll_part(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let aborted = self.abort.get().is_some_and(|abort| abort.poll(cx).is_ready());
        self.upload.poll_part(cx, aborted)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !*self.is_listed.get_mut() {
            return;
        }
        let mut calls = locked(&self.calls.calls);
        // An id may be in use again by now.
        if calls.get(&self.request).is_some_and(|open| open.strong_count() == 0) {
            calls.remove(&self.request);
        }
    }
}

/// A request body on its way in.
#[derive(Default)]
pub(crate) struct Upload {
    state: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    /// Not taken yet, by offset.
    waiting: BTreeMap<u64, Waiting>,
    waiting_len: usize,
    /// Bytes of those that are acknowledged already.
    small_len: usize,
    /// Bytes taken.
    offset: u64,
    progress: Progress,
    trailers: Vec<(String, Bytes)>,
    waker: Option<Waker>,
}

/// A part that nobody has taken yet.
struct Waiting {
    part: Part,
    /// What to acknowledge it by, unless that is done.
    context: Option<RequestContext<Ack>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Open,
    /// The last part was taken.
    Ended,
    /// Nobody wants more.
    Refused,
    /// Parts do not fit together.
    Broken,
}

impl Upload {
    /// A part came. It is refused when nobody wants it or when it does not fit.
    pub(crate) fn receive(&self, part: Part, context: RequestContext<Ack>) {
        let mut state = locked(&self.state);
        if state.progress != Progress::Open {
            drop(state);
            return refuse(&context);
        }
        let waker = state.waker.take();
        let mut refused = Vec::new();
        let mut taken = None;
        if !state.fits(&part) {
            state.progress = Progress::Broken;
            refused = state.drain();
            refused.push(context);
        } else if state.is_small(&part) {
            state.append(part);
            taken = Some(context);
        } else {
            state.waiting_len += part.data.len();
            state.waiting.insert(part.offset, Waiting { part, context: Some(context) });
        }
        drop(state);
        refused.iter().for_each(refuse);
        taken.iter().for_each(acknowledge);
        waker.into_iter().for_each(Waker::wake);
    }

    /// No more of the body is wanted.
    pub(crate) fn refuse(&self) {
        let mut state = locked(&self.state);
        if state.progress == Progress::Open {
            state.progress = Progress::Refused;
        }
        let refused = state.drain();
        drop(state);
        refused.iter().for_each(refuse);
    }

    pub(crate) fn trailers(&self) -> Vec<(String, Bytes)> {
        locked(&self.state).trailers.clone()
    }

    fn poll_part(
        &self,
        cx: &mut Context<'_>,
        aborted: bool,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut state = locked(&self.state);
        match state.progress {
            Progress::Ended => return Poll::Ready(None),
            Progress::Broken | Progress::Refused => {
                return Poll::Ready(Some(Err(BodyError::Broken)));
            }
            Progress::Open if aborted => return Poll::Ready(Some(Err(BodyError::Aborted))),
            Progress::Open => {}
        }
        let offset = state.offset;
        let Some(Waiting { part, context }) = state.waiting.remove(&offset) else {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.waiting_len -= part.data.len();
        if context.is_none() {
            state.small_len -= part.data.len();
        }
        state.offset += u64::try_from(part.data.len()).unwrap_or(0);
        if part.last {
            state.progress = Progress::Ended;
            state.trailers = part.trailers;
        }
        drop(state);
        context.iter().for_each(acknowledge);
        Poll::Ready(if part.data.is_empty() { None } else { Some(Ok(part.data)) })
    }
}

impl Parts {
    /// Whether the part overlaps none that came, lies before no end, and there is room for it.
    fn fits(&self, part: &Part) -> bool {
        let end = end_of(part);
        let before = self.waiting.range(..=part.offset).next_back();
        let after_before = before.is_none_or(|(offset, waiting)| {
            *offset < part.offset && end_of(&waiting.part) <= part.offset && !waiting.part.last
        });
        let before_after = self.waiting.range(part.offset..).next().is_none_or(|(o, _)| end <= *o);
        let room = self.waiting_len.saturating_add(part.data.len()) <= WAITING_LEN_MAX;
        part.offset >= self.offset && after_before && before_after && room
    }

    /// Whether the part may be acknowledged before it is taken.
    fn is_small(&self, part: &Part) -> bool {
        let len = part.data.len();
        len <= SMALL_LEN_MAX && self.small_len + len <= SMALL_TOTAL_MAX && !part.last
    }

    /// Keeps a small part, in one piece with the one before it if that is small too.
    fn append(&mut self, part: Part) {
        self.waiting_len += part.data.len();
        self.small_len += part.data.len();
        if let Some(mut last) = self.waiting.last_entry()
            && last.get().context.is_none()
            && end_of(&last.get().part) == part.offset
        {
            let data = &mut last.get_mut().part.data;
            let mut joined = BytesMut::from(core::mem::take(data));
            joined.extend_from_slice(&part.data);
            *data = joined.freeze();
            return;
        }
        self.waiting.insert(part.offset, Waiting { part, context: None });
    }

    fn drain(&mut self) -> Vec<RequestContext<Ack>> {
        self.waiting_len = 0;
        self.small_len = 0;
        let waiting = core::mem::take(&mut self.waiting).into_values();
        waiting.filter_map(|waiting| waiting.context).collect()
    }
}

/// The offset behind a part.
fn end_of(part: &Part) -> u64 {
    part.offset.saturating_add(u64::try_from(part.data.len()).unwrap_or(u64::MAX))
}

/// Tells the gateway that a part was taken: by nil, and beyond the bound on what waits to be
/// written, since a window of parts is bound enough.
fn acknowledge(context: &RequestContext<Ack>) {
    // If it cannot be sent, the connection is gone.
    let _ = context.call().send_now(Reply::Ack, |out| crate::codec::to_writer(&(), out.inline()));
}

/// Tells the gateway that no more of this body is wanted.
fn refuse(context: &RequestContext<Ack>) {
    let _ = context.call().fail_now(&Failure::text("no more of the body is wanted"));
}

/// Room for a response on its way out.
pub(crate) struct Download {
    state: Mutex<Room>,
}

struct Room {
    /// `None`: the gateway keeps no window.
    credit: Option<Credit>,
    waker: Option<Waker>,
}

impl Download {
    /// The gateway made room for more.
    pub(crate) fn grant(&self, amount: u64) {
        let mut room = locked(&self.state);
        if let Some(credit) = &mut room.credit {
            // A sum beyond 64 bits is no bound any more; what there was stays.
            let _ = credit.grant(amount);
        }
        let waker = room.waker.take();
        drop(room);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Spends `len`, or nothing when there is less.
    pub(crate) fn spend_all(&self, len: usize) -> bool {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        match &mut locked(&self.state).credit {
            Some(credit) => credit.spend(len).is_ok(),
            None => true,
        }
    }

    /// Spends up to `want`, at least one byte.
    pub(crate) fn poll_spend(&self, want: usize, cx: &mut Context<'_>) -> Poll<usize> {
        let mut room = locked(&self.state);
        let Some(credit) = &mut room.credit else { return Poll::Ready(want) };
        let spent = credit.spend_up_to(u64::try_from(want).unwrap_or(u64::MAX));
        if spent > 0 {
            return Poll::Ready(usize::try_from(spent).unwrap_or(want));
        }
        room.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
