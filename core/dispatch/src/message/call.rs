//! The call message: everything of a request but what the worker's home adds.

use forebay_core_procwire::msgpack::{Full, Writer};

/// A request's head and what the gateway knows about it.
#[derive(Debug, Clone, Copy)]
pub struct CallMessage<'a> {
    /// The method.
    pub method: &'a str,
    /// The request-target as received.
    pub target: &'a str,
    /// The effective authority as received, with the port.
    pub authority: &'a [u8],
    /// `http`, `https` or `hbtp`.
    pub scheme: &'a str,
    /// The service.
    pub service: &'a str,
    /// The environment, in lower case.
    pub environment: &'a str,
    /// The client's `ip:port`.
    pub peer: &'a str,
    /// A random number, also in the log.
    pub request_id: [u8; 16],
}

/// Members of the call's map: `v m t p a s h n e c i` here, `d w b` from the home.
const MEMBER_COUNT: u32 = 14;

impl CallMessage<'_> {
    /// Writes the message to the front of `out` and gives its length. `path` is the normalised
    /// path in pieces, `fields` names and values.
    ///
    /// # Errors
    /// [`Full`] if `out` is too short.
    pub fn encode<'f>(
        &self,
        path: impl Iterator<Item = &'f [u8]> + Clone,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        let mut out = Writer::new(out);
        out.map(MEMBER_COUNT)?;
        out.str("v")?;
        out.uint(1)?;
        out.str("m")?;
        out.str(self.method)?;
        out.str("t")?;
        out.str(self.target)?;
        out.str("p")?;
        encode_pieces(&mut out, path)?;
        out.str("a")?;
        out.str_bytes(self.authority)?;
        out.str("s")?;
        out.str(self.scheme)?;
        out.str("h")?;
        encode_fields(&mut out, fields)?;
        out.str("n")?;
        out.str(self.service)?;
        out.str("e")?;
        out.str(self.environment)?;
        out.str("c")?;
        out.str(self.peer)?;
        out.str("i")?;
        out.bin(&self.request_id)?;
        Ok(out.len())
    }
}

/// Writes trailers, as the end of a body carries them, and gives their length.
///
/// # Errors
/// [`Full`] if `out` is too short.
pub fn encode_trailers<'f>(
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    out: &mut [u8],
) -> Result<usize, Full> {
    let mut out = Writer::new(out);
    encode_fields(&mut out, fields)?;
    Ok(out.len())
}

/// A flat array of names and values. Values are text if they are ASCII, else binary.
fn encode_fields<'f>(
    out: &mut Writer<'_>,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
) -> Result<(), Full> {
    let count = u32::try_from(fields.clone().count()).map_err(|_| Full)?;
    out.array(count.saturating_mul(2))?;
    for (name, value) in fields {
        out.str_bytes(name)?;
        if value.is_ascii() { out.str_bytes(value)? } else { out.bin(value)? }
    }
    Ok(())
}

/// One string out of pieces.
fn encode_pieces<'f>(
    out: &mut Writer<'_>,
    pieces: impl Iterator<Item = &'f [u8]> + Clone,
) -> Result<(), Full> {
    let mut rest = pieces.clone();
    if let (Some(only), None) = (rest.next(), rest.next()) {
        return out.str_bytes(only);
    }
    let len = pieces.clone().fold(0_usize, |len, piece| len.saturating_add(piece.len()));
    let len = u16::try_from(len).map_err(|_| Full)?;
    let [high, low] = len.to_be_bytes();
    out.encoded(&[0xda, high, low])?;
    for piece in pieces {
        out.encoded(piece)?;
    }
    Ok(())
}
