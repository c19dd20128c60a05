//! Peer: hyper 1.x on tokio's current-thread runtime, the same answer as the gateway's 404.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use load::answer;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: peer_hyper ADDRESS");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve(&address))
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // The generator resets its connections at the end; that is no error worth a word.
            let _ = http1::Builder::new()
                .pipeline_flush(true) // the faster of hyper's two ways
                .serve_connection(TokioIo::new(stream), service_fn(not_found))
                .await;
        });
    }
}

async fn not_found(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/test");
    let mut response = Response::new(Full::new(Bytes::from_static(answer::BODY.as_bytes())));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let content_type = HeaderValue::from_static(answer::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}
