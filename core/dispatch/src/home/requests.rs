//! Request ids that await an answer, of one instance.

use forebay_core_procwire::RequestId;

/// A place for a request that awaits an answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request {
    /// 0 while the place is free.
    id: u32,
    /// The place of the call.
    call: u32,
    /// 0 for the call itself, else a part of its body.
    part: u8,
    /// Bytes of the part.
    len: u32,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct For {
    pub(super) call: u32,
    pub(super) part: Option<u8>,
    pub(super) len: u32,
}

/// The next id to try. Ids go up and never repeat while in use: a late answer finds nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    next: RequestId,
}

#[cfg(test)]
impl Request {
    pub(super) const fn is_free(&self) -> bool {
        self.id == 0
    }
}

impl Ids {
    pub(super) const fn new() -> Self {
        Self { next: RequestId::FIRST }
    }

    /// Takes a place, whose number is the id modulo the number of places.
    ///
    /// # Bound
    /// One step for each place that is taken; one in practice.
    pub(super) fn insert(&mut self, places: &mut [Request], what: For) -> Option<RequestId> {
        for _ in 0..places.len() {
            let id = self.next;
            self.next = id.next();
            let place = place_mut(places, id)?;
            if place.id == 0 {
                let part = what.part.map_or(0, |part| part.saturating_add(1));
                *place = Request { id: id.value(), call: what.call, part, len: what.len };
                return Some(id);
            }
        }
        None
    }
}

pub(super) fn find(places: &mut [Request], id: RequestId) -> Option<For> {
    let place = place_mut(places, id).filter(|place| place.id == id.value())?;
    let part = place.part.checked_sub(1);
    Some(For { call: place.call, part, len: place.len })
}

pub(super) fn remove(places: &mut [Request], id: RequestId) {
    if let Some(place) = place_mut(places, id).filter(|place| place.id == id.value()) {
        *place = Request::default();
    }
}

fn place_mut(places: &mut [Request], id: RequestId) -> Option<&mut Request> {
    let count = u32::try_from(places.len()).ok()?;
    let index = id.value().checked_rem(count)?;
    places.get_mut(usize::try_from(index).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: For = For { call: 7, part: None, len: 0 };

    #[test]
    fn an_id_is_found_until_it_is_removed() {
        let mut places = [Request::default(); 3];
        let mut ids = Ids::new();
        let part = For { call: 7, part: Some(2), len: 9 };
        let one = ids.insert(&mut places, CALL).unwrap();
        let two = ids.insert(&mut places, part).unwrap();
        assert_eq!(find(&mut places, one), Some(CALL));
        assert_eq!(find(&mut places, two), Some(part));
        remove(&mut places, one);
        assert_eq!(find(&mut places, one), None);
    }

    #[test]
    fn full_places_refuse_and_taken_ones_are_skipped() {
        let mut places = [Request::default(); 2];
        let mut ids = Ids::new();
        let one = ids.insert(&mut places, CALL).unwrap();
        let two = ids.insert(&mut places, CALL).unwrap();
        assert_eq!(ids.insert(&mut places, CALL), None);
        remove(&mut places, two);
        for _ in 0..3 {
            let id = ids.insert(&mut places, CALL).unwrap();
            assert_eq!(id.value() % 2, two.value() % 2, "beside the one that stays");
            remove(&mut places, id);
        }
        assert_eq!(find(&mut places, one), Some(CALL));
    }

    #[test]
    fn ids_wrap_past_zero() {
        let mut places = [Request::default(); 4];
        let mut ids = Ids { next: RequestId::new(u32::MAX).unwrap() };
        let last = ids.insert(&mut places, CALL).unwrap();
        let first = ids.insert(&mut places, CALL).unwrap();
        assert_eq!((last.value(), first.value()), (u32::MAX, 1));
    }
}
