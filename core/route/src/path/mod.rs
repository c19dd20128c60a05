//! The path of a target, in the normal form that the decision is made on.
//!
//! The bytes that are forwarded never change; the normal form stands beside them.

use core::fmt;

use crate::TooSmall;
use crate::word;

/// Segments of a path at most, dot segments included.
pub const SEGMENT_COUNT_MAX: usize = 256;

/// A path with its dot segments removed (RFC 3986 section 5.2.4).
///
/// `%2e` and `%2E` count as a dot there, since common clients and workers resolve them. Nothing
/// else is decoded, no empty segment is merged, case stays. A path that had no dot segment is the
/// input itself; of another one only the positions of the segments that stay are remembered, so
/// that nothing is copied before somebody wants the whole.
#[derive(Debug, Clone, Copy)]
pub struct NormalPath<'p> {
    raw: &'p [u8],
    shape: Shape,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// The input is in normal form.
    Plain,
    Dotted(Dotted),
}

/// Which segments of a path stay.
#[derive(Debug, Clone, Copy)]
struct Dotted {
    /// One bit per segment that stays, by its index.
    kept: [u64; 4],
    /// The last segment was a dot segment, so the path ends in `/`.
    directory: bool,
    len: usize,
}

/// The bytes of a target before its first `?`: what [`NormalPath::parse`] takes.
#[must_use]
pub fn before_query(target: &[u8]) -> &[u8] {
    target.split(|&byte| byte == b'?').next().unwrap_or(target)
}

impl<'p> NormalPath<'p> {
    /// The normal form of `path`, which is a target up to its query: it begins with `/`, or is
    /// empty (then `/` is meant), or is `*`. Whether its bytes may stand in a target is not looked
    /// at here.
    ///
    /// # Errors
    /// [`PathError`], each of which a server answers with 400.
    ///
    /// # Bound
    /// Work is linear in the length.
    #[inline]
    pub fn parse(path: &'p [u8]) -> Result<Self, PathError> {
        // Every segment has its slash, so a short path cannot have too many.
        let short = path.len() <= SEGMENT_COUNT_MAX;
        if short && path.first() == Some(&b'/') && !has_dot(path) {
            return Ok(Self { raw: path, shape: Shape::Plain });
        }
        Self::parse_any(path)
    }

    fn parse_any(path: &'p [u8]) -> Result<Self, PathError> {
        match path {
            [] => return Ok(Self { raw: b"/", shape: Shape::Plain }),
            b"*" => return Ok(Self { raw: path, shape: Shape::Plain }),
            [b'/', ..] => {}
            [..] => return Err(PathError::NotAbsolute),
        }
        if path.len() <= SEGMENT_COUNT_MAX && !may_have_dot_segment(path) {
            return Ok(Self { raw: path, shape: Shape::Plain });
        }
        Self::parse_segments(path)
    }

    fn parse_segments(path: &'p [u8]) -> Result<Self, PathError> {
        let slashes = path.iter().filter(|&&byte| byte == b'/').count();
        if slashes > SEGMENT_COUNT_MAX {
            return Err(PathError::TooManySegments);
        }
        // From the end, each `..` takes away the next segment that would stay: no stack needed.
        let mut dotted = Dotted { kept: [0; 4], directory: false, len: 0 };
        let mut above = 0_usize;
        let mut removed = false;
        let segments = path.rsplit(|&byte| byte == b'/').take(slashes);
        for (from_end, segment) in segments.enumerate() {
            let index = slashes.saturating_sub(from_end).saturating_sub(1);
            match dots(segment) {
                0 if above > 0 => above = above.saturating_sub(1),
                0 => dotted.keep(index, segment.len()),
                count => {
                    removed = true;
                    dotted.directory |= from_end == 0;
                    above = above.saturating_add(usize::from(count == 2));
                }
            }
        }
        dotted.len = dotted.len.saturating_add(usize::from(dotted.directory));
        let shape = if removed { Shape::Dotted(dotted) } else { Shape::Plain };
        Ok(Self { raw: path, shape })
    }

    /// The path as it came, or `/` if it was empty.
    #[must_use]
    pub const fn raw(&self) -> &'p [u8] {
        self.raw
    }

    /// The normal form, if it is in one piece: always, but after dot segments were removed.
    #[must_use]
    pub const fn as_plain(&self) -> Option<&'p [u8]> {
        match self.shape {
            Shape::Plain => Some(self.raw),
            Shape::Dotted(_) => None,
        }
    }

    /// Bytes of the normal form, at least one.
    #[expect(clippy::len_without_is_empty, reason = "a path is never empty")]
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.shape {
            Shape::Plain => self.raw.len(),
            Shape::Dotted(Dotted { len, .. }) => len,
        }
    }

    /// The segments of the normal form: what stands behind each slash. None for `*`.
    pub fn segments(&self) -> impl Iterator<Item = &'p [u8]> + Clone + use<'p> {
        let shape = self.shape;
        let stays = move |index: usize| match shape {
            Shape::Plain => true,
            Shape::Dotted(dotted) => dotted.keeps(index),
        };
        let directory = match shape {
            Shape::Plain => false,
            Shape::Dotted(Dotted { directory, .. }) => directory,
        };
        let last: Option<&[u8]> = directory.then_some(b"");
        // The first part is what stands before the first slash: nothing, or the asterisk.
        let raw = self.raw.split(|&byte| byte == b'/').skip(1).enumerate();
        raw.filter(move |(index, _)| stays(*index)).map(|(_, segment)| segment).chain(last)
    }

    /// The normal form in pieces: all of them in a row are the whole.
    pub fn pieces(&self) -> impl Iterator<Item = &'p [u8]> + Clone + use<'p> {
        let plain = self.as_plain();
        let dotted = if plain.is_some() { None } else { Some(self.segments()) };
        let slashed = dotted.into_iter().flatten().flat_map(|segment| [b"/", segment]);
        plain.into_iter().chain(slashed)
    }

    /// Writes the normal form to the start of `out` and returns its length.
    ///
    /// # Errors
    /// [`TooSmall`] if it does not fit.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, TooSmall> {
        let too_small = TooSmall { need: self.len() };
        let mut rest = out.get_mut(..self.len()).ok_or(too_small)?;
        for piece in self.pieces() {
            let (room, behind) = rest.split_at_mut_checked(piece.len()).ok_or(too_small)?;
            room.copy_from_slice(piece);
            rest = behind;
        }
        Ok(self.len())
    }
}

impl Dotted {
    fn keep(&mut self, index: usize, len: usize) {
        if let Some(word) = self.kept.get_mut(index >> 6) {
            *word |= 1_u64.wrapping_shl(bit(index));
            self.len = self.len.saturating_add(len).saturating_add(1);
        }
    }

    fn keeps(&self, index: usize) -> bool {
        self.kept.get(index >> 6).is_some_and(|word| word.wrapping_shr(bit(index)) & 1 == 1)
    }
}

fn bit(index: usize) -> u32 {
    u32::try_from(index & 63).unwrap_or(0)
}

/// Whether there is a dot or a percent sign: what most paths have none of, in blocks that the
/// compiler puts into vectors. The last block overlaps the one before.
#[inline]
fn has_dot(path: &[u8]) -> bool {
    fn any(block: &[u8]) -> bool {
        block.iter().fold(false, |found, byte| found | (*byte == b'.') | (*byte == b'%'))
    }
    if let Some(last) = path.last_chunk::<16>() {
        return path.as_chunks::<16>().0.iter().any(|block| any(block)) || any(last);
    }
    match (path.first_chunk::<8>(), path.last_chunk::<8>()) {
        (Some(first), Some(last)) => any(first) || any(last),
        _ => any(path),
    }
}

/// Whether a slash is followed by a dot or a percent sign; also yes where it only may be.
fn may_have_dot_segment(path: &[u8]) -> bool {
    let (mut found, mut slash_before, mut start) = (0, 0, 0_usize);
    while let Some((word, _)) = word::at(path, start) {
        let (here, slash) = word::dot_behind_slash(word, slash_before);
        found |= here;
        slash_before = slash;
        start = start.wrapping_add(8);
    }
    found != 0
}

/// 1 for `.`, 2 for `..`, in each spelling; 0 for every other segment.
fn dots(segment: &[u8]) -> u8 {
    match after_dot(segment) {
        None => 0,
        Some([]) => 1,
        Some(rest) => match after_dot(rest) {
            Some([]) => 2,
            Some([_, ..]) | None => 0,
        },
    }
}

/// What follows one dot, spelled as one of `.`, `%2e`, `%2E`.
const fn after_dot(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => Some(rest),
        [..] => None,
    }
}

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with a slash.
    NotAbsolute,
    /// It has more than [`SEGMENT_COUNT_MAX`] segments.
    TooManySegments,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with a slash",
            Self::TooManySegments => "the path has too many segments",
        })
    }
}

impl core::error::Error for PathError {}

#[cfg(test)]
mod tests;
