//! Computing on every core: rayon's threads work, the one thread of tokio serves the parent.

use forebay_worker::{Client, Failure, Reply, StartError};
use rayon::prelude::*;
use tokio::sync::oneshot;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let client = Client::builder()
        .handle("count_primes", |below: u64, context| async move {
            let given_up = context.cancellation_token();
            let (done, result) = oneshot::channel();
            // The handler waits without a thread; other requests are answered meanwhile.
            rayon::spawn(move || {
                let numbers = (2..below).into_par_iter();
                let count = numbers
                    .map(|n| if given_up.is_cancelled() { None } else { Some(is_prime(n)) })
                    .map(|prime| prime.map(u64::from))
                    .try_reduce(|| 0, |a, b| Some(a + b));
                let _ = done.send(count);
            });
            match result.await? {
                Some(count) => Ok(Reply(count)),
                None => Err(Failure::text("given up")),
            }
        })
        .start()
        .await?;
    client.wait_for_shutdown().await;
    Ok(())
}

fn is_prime(n: u64) -> bool {
    let mut divisors = (2..).take_while(|divisor| divisor * divisor <= n);
    !divisors.any(|divisor| n.is_multiple_of(divisor))
}
