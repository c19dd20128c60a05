//! The echo worker.

use bytes::{Bytes, BytesMut};
use forebay_worker::{
    Builder, Client, Failure, HttpContext, HttpHead, HttpRequest, HttpResponse, Trailers,
};

/// Bytes that are gathered before the answer begins. Up to here a body that turns out to be
/// malformed can still be refused with a status.
const GATHER_LEN: usize = 128 * 1024;

pub(super) fn worker() -> Builder {
    Client::builder().http(echo)
}

/// 200 with the request's body as it came.
async fn echo(
    mut request: HttpRequest,
    context: HttpContext,
) -> Result<Option<HttpResponse>, Failure> {
    let mut gathered = BytesMut::new();
    while gathered.len() < GATHER_LEN {
        match request.body.next().await.transpose()? {
            Some(part) => gathered.extend_from_slice(&part),
            None => return Ok(Some(whole(gathered.freeze()))),
        }
    }
    let mut head = HttpHead::new(200).field("content-type", "application/octet-stream");
    if let Some(len) = request.body.len() {
        head = head.field("content-length", len.to_string());
    }
    let mut writer = context.start(head).await?;
    writer.write(gathered.freeze()).await?;
    while let Some(part) = request.body.next().await.transpose()? {
        writer.write(part).await?;
    }
    let mut trailers = Trailers::new();
    for (name, value) in request.body.trailers() {
        trailers = trailers.field(&name, value);
    }
    writer.finish_with(trailers).await?;
    Ok(None)
}

fn whole(body: Bytes) -> HttpResponse {
    HttpResponse::new(200).field("content-type", "application/octet-stream").body(body)
}
