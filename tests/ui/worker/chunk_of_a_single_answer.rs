//! A method with one answer has no chunks.

use forebay_worker::{Client, Reply};

fn main() {
    let _builder = Client::builder().handle("add", |n: u64, context| async move {
        context.chunk(&n).await?; //~ E0599
        Ok::<_, forebay_worker::Error>(Reply(n))
    });
}
