//! A small HTTP server for stand-ins: one thread, so that it leaves the machine to what is
//! measured.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

/// Says where a server listens, for whoever started it.
pub(crate) fn announce(address: SocketAddr) {
    println!("listening on {address}");
}

/// Serves until the process ends: method and path, body in; status and JSON out.
pub(crate) async fn serve(
    listen: SocketAddr,
    answer: impl Fn(&str, &str, &Bytes) -> (u16, String) + 'static,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    announce(listener.local_addr()?);
    let answer = Rc::new(answer);
    let local = LocalSet::new();
    local
        .run_until(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let answer = Rc::clone(&answer);
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = Rc::clone(&answer);
                    async move { Ok::<_, Infallible>(exchange(request, &*answer).await) }
                });
                tokio::task::spawn_local(async move {
                    // A caller that hangs up is no fault here.
                    let _ =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        })
        .await
}

async fn exchange(
    request: Request<Incoming>,
    answer: &impl Fn(&str, &str, &Bytes) -> (u16, String),
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let (status, text) = answer(head.method.as_str(), head.uri.path(), &body);
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}
