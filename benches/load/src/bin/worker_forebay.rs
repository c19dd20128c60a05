//! The worker SDK: one thread, shipped limits.

use forebay_worker::{Bytes, Client, Raw, Reply, StartError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let client = Client::builder()
        .handle("echo_raw", |input: Raw, _| async move { Reply(input) })
        .handle("echo", |input: Bytes, _| async move { Reply(input) })
        .stream("flood", |(count, len): (u32, usize), context| async move {
            let chunk = Bytes::from(vec![7; len]);
            for _ in 0..count {
                context.chunk(&chunk).await?;
            }
            context.end().await
        })
        .start()
        .await?;
    client.wait_for_shutdown().await;
    Ok(())
}
