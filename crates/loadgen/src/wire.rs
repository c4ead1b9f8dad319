//! One kept connection to a server, with one exchange at a time.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What is sent.
pub(crate) struct Outgoing {
    pub(crate) method: hyper::Method,
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

impl Outgoing {
    pub(crate) fn get(path: &str) -> Self {
        let method = hyper::Method::GET;
        Self { method, path: path.to_owned(), content_type: "text/plain", body: Bytes::new() }
    }

    pub(crate) fn form(body: Vec<u8>) -> Self {
        Self {
            method: hyper::Method::POST,
            path: "/".to_owned(),
            content_type: "application/x-www-form-urlencoded",
            body: body.into(),
        }
    }

    pub(crate) fn json(path: &str, body: String) -> Self {
        Self {
            method: hyper::Method::POST,
            path: path.to_owned(),
            content_type: "application/json",
            body: body.into(),
        }
    }
}

/// How long a caller waits for an answer: what PPRO's clients are told to wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// A caller with a connection of its own, opened anew after it broke.
pub(crate) struct Caller {
    address: SocketAddr,
    host: String,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), open: None }
    }

    /// One exchange: status and body.
    pub(crate) async fn exchange(&mut self, call: Outgoing) -> anyhow::Result<(u16, Bytes)> {
        let done = tokio::time::timeout(PATIENCE, self.send(call)).await;
        let done = done.context("no answer in 30 s").and_then(|done| done);
        if done.is_err() {
            self.open = None;
        }
        done
    }

    async fn send(&mut self, call: Outgoing) -> anyhow::Result<(u16, Bytes)> {
        self.connect().await?;
        let request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header("host", self.host.as_str())
            .header("content-type", call.content_type)
            .body(Full::new(call.body))?;
        let sender = self.open.as_mut().context("not connected")?;
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, body))
    }

    /// Opens the connection unless it is open.
    pub(crate) async fn connect(&mut self) -> anyhow::Result<()> {
        if self.open.as_ref().is_some_and(|sender| !sender.is_closed()) {
            return Ok(());
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // The exchange that met it tells the error.
            let _ = connection.await;
        });
        self.open = Some(sender);
        Ok(())
    }
}
