//! The smallest worker: `echo` gives back what it got, `echo_raw` without looking at it.

use forebay_worker::{Client, Raw, Reply, StartError, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let client = Client::builder()
        .handle("echo", |input: Value, _| async move { Reply(input) })
        .handle("echo_raw", |input: Raw, _| async move { Reply(input) })
        .start()
        .await?;
    client.wait_for_shutdown().await;
    Ok(())
}
