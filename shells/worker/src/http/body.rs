//! The body of an HTTP request as a stream of parts.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::http::open::OpenCall;

/// A request body. A part counts as taken, and the client may send more, when it is returned
/// here; so a body that nobody reads holds at most one window of the gateway.
///
/// Dropping it before its end says that no more is wanted.
pub struct Body {
    source: Source,
    len: Option<u64>,
}

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// The client, or the gateway, gave the request up.
    Aborted,
    /// The parts did not fit together.
    Broken,
    /// [`Body::collect`] found more bytes than it was allowed to gather.
    TooLong,
}

enum Source {
    /// Nothing more.
    Empty,
    /// The whole body came with the head.
    Whole(Bytes),
    /// Parts come on their own.
    Parts(Arc<OpenCall>),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self { source: Source::Empty, len: Some(0) }
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        let len = u64::try_from(bytes.len()).ok();
        Self { source: Source::Whole(bytes), len }
    }

    pub(crate) fn parts(open: Arc<OpenCall>, len: Option<u64>) -> Self {
        Self { source: Source::Parts(open), len }
    }

    /// The length of the whole body in bytes, when the client told it before.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether it is known that there is no body.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == Some(0)
    }

    /// The next part, never empty; `None` at the end.
    ///
    /// # Errors
    /// See [`BodyError`]; after an error nothing more comes.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        core::future::poll_fn(|cx| self.poll_part(cx)).await
    }

    /// Gathers what is left.
    ///
    /// # Errors
    /// [`BodyError::TooLong`] beyond `limit` bytes, else as [`next`](Self::next).
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let Some(first) = self.next().await.transpose()? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await.transpose()? else {
            return if first.len() > limit { Err(BodyError::TooLong) } else { Ok(first) };
        };
        let mut whole = BytesMut::from(first);
        let mut part = Some(second);
        while let Some(bytes) = part {
            if bytes.len() > limit.saturating_sub(whole.len()) {
                return Err(BodyError::TooLong);
            }
            whole.extend_from_slice(&bytes);
            part = self.next().await.transpose()?;
        }
        Ok(whole.freeze())
    }

    /// The fields behind the body. Empty until [`next`](Self::next) returned `None`.
    #[must_use]
    pub fn trailers(&self) -> Vec<(String, Bytes)> {
        match &self.source {
            Source::Empty | Source::Whole(_) => Vec::new(),
            Source::Parts(open) => open.upload.trailers(),
        }
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &mut self.source {
            Source::Empty => Poll::Ready(None),
            Source::Whole(bytes) => {
                let bytes = core::mem::take(bytes);
                self.source = Source::Empty;
                Poll::Ready(if bytes.is_empty() { None } else { Some(Ok(bytes)) })
            }
            Source::Parts(open) => open.poll_part(cx),
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_part(cx)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        match &self.source {
            Source::Empty | Source::Whole(_) => {}
            Source::Parts(open) => open.upload.refuse(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aborted => "the request was given up before its body ended",
            Self::Broken => "the parts of the body do not fit together",
            Self::TooLong => "the body is longer than allowed",
        })
    }
}

impl core::error::Error for BodyError {}
