//! Peer: tokio-util's length-delimited codec. Each answer is sent as it is made; with `forward` as
//! argument, all that has been read is answered before anything is written.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use load::worker::{FLAGS, HEADER_LEN, RESULT, announce};
use tokio::net::UnixStream;
use tokio_util::codec::length_delimited::Builder;
use tokio_util::codec::{BytesCodec, FramedWrite};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (stream, _) = announce()?.accept()?;
    stream.set_nonblocking(true)?;
    let (read, write) = UnixStream::from_std(stream)?.into_split();
    let mut codec = Builder::new();
    // A frame is header and payload; on the way out the header is part of what is sent.
    codec.length_field_offset(7).length_adjustment(HEADER_LEN as isize).num_skip(0);
    codec.max_frame_length(1 << 30);
    let mut frames = codec.new_read(read);
    let mut answers = FramedWrite::new(write, BytesCodec::new());
    if std::env::args().nth(1).as_deref() == Some("forward") {
        return frames.map(answer).forward(answers).await;
    }
    while let Some(frame) = frames.next().await {
        answers.send(answer(frame)?).await?;
    }
    Ok(())
}

fn answer(frame: io::Result<BytesMut>) -> io::Result<Bytes> {
    let mut frame = frame?;
    frame[FLAGS] = RESULT;
    Ok(frame.freeze())
}
