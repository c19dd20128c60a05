//! The messages of an HTTP call, as bytes. Nothing else in the crate knows their form.

use core::time::Duration;

use bytes::Bytes;
use forebay_core_procwire::msgpack::{ReadError, Reader, Token};

use crate::codec::put;
use crate::connection::Outgoing;
use crate::payload::Incoming;

/// Most fields in a head that is taken.
const FIELDS_MAX: u32 = 1024;

/// Encoded fields: names and values in turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    encoded: Vec<u8>,
    /// Names and values together.
    count: u32,
    has_length: bool,
}

impl Fields {
    /// Bytes that most heads fit into.
    const LEN: usize = 128;

    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        if self.count == 0 {
            self.encoded.reserve(Self::LEN);
        }
        self.has_length |= name.eq_ignore_ascii_case(b"content-length");
        for text in [name, value] {
            put(&mut self.encoded, text.len(), |writer| {
                if text.is_ascii() { writer.str_bytes(text) } else { writer.bin(text) }
            });
            self.count += 1;
        }
    }

    /// Whether one of them is `Content-Length`.
    pub(crate) fn has_length(&self) -> bool {
        self.has_length
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put(out, 0, |writer| writer.array(self.count));
        out.extend_from_slice(&self.encoded);
    }
}

/// A response's head, with the first bytes of its body.
pub(crate) fn encode_head(status: u16, fields: &Fields, body: &Bytes, out: &mut Outgoing<'_>) {
    let inline = out.inline();
    put(inline, 0, |writer| {
        writer.map(if body.is_empty() { 2 } else { 3 })?;
        writer.str("s")?;
        writer.uint(u64::from(status))?;
        writer.str("h")
    });
    fields.encode(inline);
    if !body.is_empty() {
        put(inline, 0, |writer| writer.str("b"));
        encode_part(body, out);
    }
}

/// A part of a response's body. Parts are far below 4 GiB.
pub(crate) fn encode_part(bytes: &Bytes, out: &mut Outgoing<'_>) {
    let len = u32::try_from(bytes.len()).expect("a part has a bounded length");
    put(out.inline(), 0, |writer| writer.bin_head(len));
    out.attach(bytes);
}

/// Fields behind a response's body.
pub(crate) fn encode_trailers(fields: &Fields, out: &mut Outgoing<'_>) {
    put(out.inline(), 0, |writer| {
        writer.map(1)?;
        writer.str("t")
    });
    fields.encode(out.inline());
}

/// A call: its head, how much of the response may be underway, and how the body comes.
pub(crate) struct CallMessage {
    pub(crate) head: CallHead,
    pub(crate) window: u64,
    pub(crate) body: BodyForm,
}

/// How a request's body comes.
pub(crate) enum BodyForm {
    /// There is none.
    None,
    /// With the head.
    Inline(Bytes),
    /// In parts.
    Follows {
        /// The whole length in bytes, if the client told it.
        len: Option<u64>,
    },
}

/// A request's head: the message as it came, and where its members lie.
pub(crate) struct CallHead {
    message: Bytes,
    texts: Texts,
    /// Behind the head of the array of fields.
    fields: Place,
    id: [u8; 16],
    deadline: u64,
}

#[derive(Default)]
struct Texts {
    method: Place,
    target: Place,
    path: Place,
    authority: Place,
    scheme: Place,
    service: Place,
    environment: Place,
    peer: Place,
}

/// Where something lies in a message, from its first byte to behind its last. A message is shorter
/// than 4 GiB, and its places are moved around with it.
#[derive(Clone, Copy, Default)]
struct Place(u32, u32);

impl Place {
    fn new(start: usize, end: usize) -> Result<Self, ReadError> {
        let place = u32::try_from(start).ok().zip(u32::try_from(end).ok());
        place.map(|(start, end)| Self(start, end)).ok_or(ReadError::Range)
    }

    fn of(self, message: &[u8]) -> &[u8] {
        let (start, end) = (usize::try_from(self.0), usize::try_from(self.1));
        start.ok().zip(end.ok()).and_then(|(start, end)| message.get(start..end)).unwrap_or(&[])
    }
}

impl CallHead {
    pub(crate) fn method(&self) -> &str {
        self.text(self.texts.method)
    }

    pub(crate) fn target(&self) -> &str {
        self.text(self.texts.target)
    }

    pub(crate) fn path(&self) -> &str {
        self.text(self.texts.path)
    }

    pub(crate) fn authority(&self) -> &str {
        self.text(self.texts.authority)
    }

    pub(crate) fn scheme(&self) -> &str {
        self.text(self.texts.scheme)
    }

    pub(crate) fn service(&self) -> &str {
        self.text(self.texts.service)
    }

    pub(crate) fn environment(&self) -> &str {
        self.text(self.texts.environment)
    }

    pub(crate) fn peer(&self) -> &str {
        self.text(self.texts.peer)
    }

    pub(crate) fn id(&self) -> [u8; 16] {
        self.id
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        (self.deadline > 0).then(|| Duration::from_millis(self.deadline))
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let encoded = self.fields.of(&self.message);
        let mut reader = Reader::new(encoded);
        // Checked when the call was read.
        core::iter::from_fn(move || {
            let name = core::str::from_utf8(reader.read_bytes_or_str().ok()?).ok()?;
            Some((name, reader.read_bytes_or_str().ok()?))
        })
    }

    /// Whether the answer has no body whatever it says.
    pub(crate) fn is_head(&self) -> bool {
        self.texts.method.of(&self.message) == b"HEAD"
    }

    fn text(&self, place: Place) -> &str {
        core::str::from_utf8(place.of(&self.message)).unwrap_or("")
    }
}

/// Reads a call message. Unknown members are ignored, missing ones empty.
///
/// # Errors
/// It is none, or a member is of another type.
pub(crate) fn parse_call(message: Bytes) -> Result<CallMessage, ReadError> {
    let mut texts = Texts::default();
    let (mut fields, mut id, mut deadline, mut window) = (Place::default(), [0; 16], 0, 0);
    let mut body = BodyForm::None;
    let whole: &[u8] = &message;
    let mut reader = Reader::new(whole);
    for _ in 0..reader.read_map()? {
        let key = reader.read_str_bytes()?;
        if let Some(place) = texts.place(key) {
            *place = text(&mut reader, whole)?;
            continue;
        }
        match key {
            b"h" => fields = skip_fields(&mut reader, whole)?,
            b"i" => {
                let bytes = reader.read_bytes_or_str()?;
                id = <[u8; 16]>::try_from(bytes).map_err(|_| ReadError::Range)?;
            }
            b"d" => deadline = reader.read_u64()?,
            b"w" => window = reader.read_u64()?,
            b"b" => body = parse_body(&mut reader, &message)?,
            _ => reader.skip()?,
        }
    }
    reader.finish()?;
    let head = CallHead { texts, fields, id, deadline, message };
    Ok(CallMessage { head, window, body })
}

impl Texts {
    fn place(&mut self, key: &[u8]) -> Option<&mut Place> {
        Some(match key {
            b"m" => &mut self.method,
            b"t" => &mut self.target,
            b"p" => &mut self.path,
            b"a" => &mut self.authority,
            b"s" => &mut self.scheme,
            b"n" => &mut self.service,
            b"e" => &mut self.environment,
            b"c" => &mut self.peer,
            _ => return None,
        })
    }
}

/// Where a text that comes next lies in the message.
fn text(reader: &mut Reader<'_>, whole: &[u8]) -> Result<Place, ReadError> {
    let bytes = reader.read_bytes_or_str()?;
    // The usual case costs least.
    if !bytes.is_ascii() && core::str::from_utf8(bytes).is_err() {
        return Err(ReadError::Utf8);
    }
    let end = whole.len() - reader.rest().len();
    Place::new(end - bytes.len(), end)
}

/// Checks the fields that come next and says where they lie.
fn skip_fields(reader: &mut Reader<'_>, whole: &[u8]) -> Result<Place, ReadError> {
    let count = reader.read_array()?;
    if count > 2 * FIELDS_MAX || count % 2 != 0 {
        return Err(ReadError::Range);
    }
    let start = whole.len() - reader.rest().len();
    for index in 0..count {
        let bytes = reader.read_bytes_or_str()?;
        if index % 2 == 0 && !bytes.is_ascii() {
            return Err(ReadError::Utf8);
        }
    }
    Place::new(start, whole.len() - reader.rest().len())
}

fn parse_body(reader: &mut Reader<'_>, message: &Bytes) -> Result<BodyForm, ReadError> {
    if reader.take_nil() {
        return Ok(BodyForm::None);
    }
    if let Token::Map(count) = reader.peek()? {
        reader.read_map()?;
        let mut len = None;
        for _ in 0..count {
            match reader.read_str_bytes()? {
                b"l" if reader.take_nil() => len = None,
                b"l" => len = Some(reader.read_u64()?),
                _ => reader.skip()?,
            }
        }
        return Ok(BodyForm::Follows { len });
    }
    Ok(BodyForm::Inline(message.slice_ref(reader.read_bytes_or_str()?)))
}

/// One part of a request's body.
pub(crate) struct Part {
    /// The id of the call that it belongs to.
    pub(crate) request: u32,
    /// Bytes of the body before it.
    pub(crate) offset: u64,
    pub(crate) last: bool,
    pub(crate) data: Bytes,
    pub(crate) trailers: Vec<(String, Bytes)>,
}

/// Reads a part, without copying what can be kept.
///
/// # Errors
/// It is none.
pub(crate) fn parse_part(payload: Incoming<'_>) -> Result<Part, ReadError> {
    let (request, offset, last, data, trailers) = {
        let whole = payload.as_slice();
        let mut reader = Reader::new(whole);
        let count = reader.read_array()?;
        if !(4..=5).contains(&count) {
            return Err(ReadError::Range);
        }
        let request = u32::try_from(reader.read_u64()?).map_err(|_| ReadError::Range)?;
        let offset = reader.read_u64()?;
        let last = reader.read_bool()?;
        let data = reader.read_bytes_or_str()?;
        let end = whole.len() - reader.rest().len();
        let trailers = if count == 5 { parse_trailers(&mut reader)? } else { Vec::new() };
        reader.finish()?;
        (request, offset, last, end - data.len()..end, trailers)
    };
    let data = payload.into_part(data);
    if data.is_empty() && !last {
        return Err(ReadError::Range);
    }
    Ok(Part { request, offset, last, data, trailers })
}

fn parse_trailers(reader: &mut Reader<'_>) -> Result<Vec<(String, Bytes)>, ReadError> {
    let count = reader.read_array()?;
    if count > 2 * FIELDS_MAX || count % 2 != 0 {
        return Err(ReadError::Range);
    }
    let mut fields = Vec::new();
    for _ in 0..count / 2 {
        let name = core::str::from_utf8(reader.read_bytes_or_str()?);
        let name = name.map_err(|_| ReadError::Utf8)?.to_owned();
        fields.push((name, Bytes::copy_from_slice(reader.read_bytes_or_str()?)));
    }
    Ok(fields)
}

/// Reads a grant: for which call, and how many bytes.
///
/// # Errors
/// It is none.
pub(crate) fn parse_grant(payload: Incoming<'_>) -> Result<(u32, u64), ReadError> {
    let mut reader = Reader::new(payload.as_slice());
    if reader.read_array()? != 2 {
        return Err(ReadError::Range);
    }
    let request = u32::try_from(reader.read_u64()?).map_err(|_| ReadError::Range)?;
    let amount = reader.read_u64()?;
    reader.finish()?;
    Ok((request, amount))
}
