//! Events: from a handler while it works, and from the worker without being asked.

use core::time::Duration;
use std::time::{Instant, SystemTime};

use forebay_worker::{Accepted, Client, Error, StartError, Timestamp};
use serde::Serialize;

#[derive(Serialize)]
struct Progress {
    job: u32,
    percent: u32,
}

#[derive(Serialize)]
struct Heartbeat {
    /// A `Date` over there.
    at: Timestamp,
    uptime_seconds: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let client = Client::builder()
        .event("progress")
        .event("heartbeat")
        // The parent goes on as soon as the job is accepted.
        .ack("start_job", |job: u32, context| async move {
            let client = context.client();
            tokio::spawn(async move {
                for percent in [25, 50, 75, 100] {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    // An error means that the parent is gone, and the worker with it.
                    if client.emit("progress", &Progress { job, percent }).await.is_err() {
                        return;
                    }
                }
            });
            Accepted
        })
        .start()
        .await?;
    tokio::spawn(beat(client.clone()));
    client.wait_for_shutdown().await;
    Ok(())
}

/// Ten times a second, until the parent is gone.
async fn beat(client: Client) -> Result<(), Error> {
    let started = Instant::now();
    client.connected().await?;
    loop {
        let at = Timestamp::from(SystemTime::now());
        let uptime_seconds = started.elapsed().as_secs_f64();
        client.emit("heartbeat", &Heartbeat { at, uptime_seconds }).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
