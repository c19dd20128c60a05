//! The bound: a tokio loop that turns each frame into its answer where it was read. No limits, no
//! handlers, no errors: what is there to measure against, not a product.

use std::io;

use load::worker::{FLAGS, HEADER_LEN, RESULT, announce, payload_len};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Bytes of one read.
const READ_LEN: usize = 256 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (stream, _) = announce()?.accept()?;
    stream.set_nonblocking(true)?;
    let mut stream = UnixStream::from_std(stream)?;
    let mut bytes = vec![0; READ_LEN];
    let (mut len, mut payload_left) = (0, 0);
    loop {
        let count = stream.read(&mut bytes[len..]).await?;
        if count == 0 {
            return Ok(());
        }
        len += count;
        let whole = answer(&mut bytes[..len], &mut payload_left);
        stream.write_all(&bytes[..whole]).await?;
        bytes.copy_within(whole..len, 0);
        len -= whole;
    }
}

/// Marks the headers as those of results; what is behind the last whole header waits for the rest.
fn answer(bytes: &mut [u8], payload_left: &mut usize) -> usize {
    let mut at = 0;
    loop {
        let passed = (*payload_left).min(bytes.len() - at);
        *payload_left -= passed;
        at += passed;
        let Some(header) = bytes.get_mut(at..at + HEADER_LEN) else { return at };
        header[FLAGS] = RESULT;
        *payload_left = payload_len(header);
        at += HEADER_LEN;
    }
}
