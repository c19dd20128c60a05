//! Peer: `procwire-client` 2.0.0. It has no raw input, so `echo_raw` is the same as `echo`: bytes
//! as a MessagePack bin.

use procwire_client::{Client, ProcwireError, RequestContext};
use serde_bytes::ByteBuf;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ProcwireError> {
    let echo =
        |input: ByteBuf, context: RequestContext| async move { context.respond(&input).await };
    let client = Client::builder()
        .handle("echo_raw", echo)
        .handle("echo", echo)
        .handle_stream("flood", |(count, len): (u32, usize), context: RequestContext| async move {
            let chunk = ByteBuf::from(vec![7; len]);
            for _ in 0..count {
                context.chunk(&chunk).await?;
            }
            context.end().await
        })
        .start()
        .await?;
    client.wait_for_shutdown().await
}
