//! A stream ends with `end`; it has no single answer.

use forebay_worker::Client;

fn main() {
    let _builder = Client::builder().stream("count", |n: u64, context| async move {
        context.respond(&n).await?; //~ E0599
        context.end().await
    });
}
