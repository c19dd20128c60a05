//! Streams: chunk by chunk as they are ready, or from a `Stream`; either may be given up.

use core::time::Duration;

use forebay_worker::{Chunks, Client, Failure, StartError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Countdown {
    from: u32,
    /// Milliseconds between two numbers; `undefined` is as good as none.
    pause: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let client = Client::builder()
        .stream("countdown", |input: Countdown, context| async move {
            for n in (0..=input.from).rev() {
                // Waits while the parent does not read; an error when it has given up.
                context.chunk(&n).await?;
                tokio::time::sleep(Duration::from_millis(input.pause.unwrap_or(0))).await;
            }
            context.end().await
        })
        // A stream of results: the first error ends it.
        .stream("words", |text: String, _| async move {
            let words: Vec<_> = text.split_whitespace().map(checked).collect();
            Chunks(tokio_stream::iter(words))
        })
        .start()
        .await?;
    client.wait_for_shutdown().await;
    Ok(())
}

fn checked(word: &str) -> Result<String, Failure> {
    if word == "stop" { Err(Failure::text("the text says stop")) } else { Ok(word.to_owned()) }
}
