//! Answers that the gateway gives by itself.

use forebay_core_http1::{PeerError, ResponseHead, Template, UsageError};
use forebay_core_route::{ErrorBody, Host, NormalPath, Slot};
use forebay_core_time::Instant;

use super::remembered::Verdict;
use super::{CallState, Event, Front, Place, Site, Work};
use crate::refusal::{Detail, Refusal};

impl Front {
    /// The call failed before its response head: answers what `refusal` says. `detail` is the
    /// worker's own message, or the reason of a failed start.
    ///
    /// With `None` the connection is broken off, as after its head.
    pub fn handle_refusal<S, T>(
        &mut self,
        now: Instant,
        refusal: Refusal,
        (service, detail): (&[u8], &[u8]),
        site: &Site<'_, S, T>,
        work: &mut Work<'_>,
    ) -> Option<Place> {
        let body = refusal.body(Detail {
            service,
            environment: site.environment.as_bytes(),
            text: detail,
            expose: site.expose_errors,
        });
        self.call = CallState::None;
        let Ok(len) = body.emit(work.scratch) else {
            self.http.abort_response();
            return None;
        };
        self.http.discard_body(now);
        let place = match (&body, body.retry_after_s()) {
            (ErrorBody::Dispatch(_), None) => {
                self.write_prepared(&site.templates.internal, len, work)
            }
            (ErrorBody::Timeout { .. }, None) => {
                self.write_prepared(&site.templates.timeout, len, work)
            }
            _ => self.write_fields(&body, len, site.date, work),
        };
        if place.is_none() {
            self.http.abort_response();
        }
        place
    }

    /// The request's body does not fit where the worker would take it: 413.
    pub fn handle_too_large(&mut self, date: &[u8; 29], out: &mut [u8]) -> Event<'static> {
        self.http.refuse(PeerError::BodyLength);
        self.refuse(PeerError::BodyLength, date, out)
    }

    /// Writes an answer whose head is prepared and whose body is the start of the scratch.
    pub(super) fn write_prepared(
        &mut self,
        template: &Template,
        body_len: usize,
        work: &mut Work<'_>,
    ) -> Option<Place> {
        let (body, rest) = work.scratch.split_at_mut_checked(body_len)?;
        match self.http.write_answer(template, body, work.out) {
            Ok(len) => Some(Place::Out(len)),
            Err(UsageError::NoRoom) => {
                let len = self.http.write_answer(template, body, rest).ok()?;
                Some(Place::Scratch(body_len..body_len.saturating_add(len)))
            }
            Err(_) => None,
        }
    }

    /// Writes an answer with fields of its own, whose body is the start of the scratch.
    fn write_fields(
        &mut self,
        answer: &ErrorBody<'_>,
        body_len: usize,
        date: &[u8; 29],
        work: &mut Work<'_>,
    ) -> Option<Place> {
        let (body, rest) = work.scratch.split_at_mut_checked(body_len)?;
        let mut digits = [0; 10];
        let content_type: (&[u8], &[u8]) = (b"Content-Type", answer.content_type().as_bytes());
        let retry_after = answer
            .retry_after_s()
            .map(|seconds| (b"Retry-After".as_slice(), decimal(seconds, &mut digits)));
        let head = ResponseHead {
            status: answer.status(),
            length: u64::try_from(body_len).ok(),
            date,
            fields: [content_type].into_iter().chain(retry_after),
        };
        let head_len = self.http.write_head(&head, rest).ok()?;
        let length = u64::try_from(body_len).ok()?;
        let after_head = rest.get_mut(head_len..)?;
        let part = self.http.write_part(length, after_head).ok()?;
        let taken = usize::try_from(part.take).ok()?;
        let start = head_len.saturating_add(part.slot_len);
        let end = start.saturating_add(taken);
        rest.get_mut(start..end)?.copy_from_slice(body.get(..taken)?);
        let none = core::iter::empty::<(&[u8], &[u8])>();
        let tail = self.http.write_end(none, rest.get_mut(end..)?).ok()?;
        Some(Place::Scratch(body_len..body_len.saturating_add(end).saturating_add(tail)))
    }

    /// Writes the answer to what the client did wrong; the connection has taken note of it.
    pub(super) fn refuse(
        &mut self,
        error: PeerError,
        date: &[u8; 29],
        out: &mut [u8],
    ) -> Event<'static> {
        let gone = self.has_call();
        self.call = CallState::None;
        let len = if self.http.owes_refusal() {
            self.http.write_refusal(date, out).unwrap_or(0)
        } else {
            0
        };
        Event::Refused { place: Place::Out(len), gone, error }
    }

    /// What cannot happen unless the shell lends too little memory: nothing can be answered.
    #[cold]
    pub(super) fn break_off(&mut self) -> Event<'static> {
        self.http.abort_response();
        Event::Answered(Place::Out(0))
    }
}

/// The body of an answer that the gateway gives without a call.
pub(super) fn body<'b, S, T>(
    verdict: Verdict,
    host: &Host<'b>,
    path: &NormalPath<'b>,
    site: &Site<'b, S, T>,
) -> Option<ErrorBody<'b>>
where
    S: AsRef<[Slot]>,
    T: AsRef<[u8]>,
{
    match verdict {
        Verdict::Configuration => Some(ErrorBody::Configuration),
        Verdict::NotFound => Some(site.routes.not_found(host, path)),
        Verdict::NotDeployed(service) => Some(ErrorBody::ServiceNotDeployed {
            service: site.routes.service_name(service),
            environment: site.environment.as_bytes(),
        }),
        Verdict::Call { .. } => None,
    }
}

/// A number in decimal digits.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut start = digits.len();
    for (index, digit) in digits.iter_mut().enumerate().rev() {
        let rest = u8::try_from(number % 10).unwrap_or(0);
        *digit = b'0'.saturating_add(rest);
        number /= 10;
        start = index;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}
