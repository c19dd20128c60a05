//! A body that was finished takes no more bytes.

use forebay_worker::BodyWriter;

async fn twice(mut body: BodyWriter) -> Result<(), forebay_worker::Error> {
    body.write("last").await?;
    body.finish().await?;
    body.write("too late").await //~ E0382
}

fn main() {
    let _twice = twice;
}
