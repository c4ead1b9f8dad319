//! Peers on loopback that answer in good and in bad ways.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a peer does with a request.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    Answers(&'static str),
    /// Answers, then sends nothing more but keeps the connection.
    AnswersInPart(&'static str),
    /// Answers the first request of each connection, and ends the connection when the next has come.
    AnswersOnce(&'static str),
    /// Answers, and ends the connection without having said so.
    AnswersAndEnds(&'static str),
    /// Answers byte by byte.
    AnswersSlowly(&'static str),
    HangsUp,
    StaysSilent,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) open: usize,
    pub(crate) requests: Vec<String>,
}

/// A peer on loopback, and what it has seen.
pub(crate) async fn peer(behaviour: Peer) -> (SocketAddr, Arc<Mutex<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            {
                let mut log = log.lock().unwrap();
                (log.connections, log.open) = (log.connections + 1, log.open + 1);
            }
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                serve(stream, behaviour, &log).await;
                log.lock().unwrap().open -= 1;
            });
        }
    });
    (address, seen)
}

async fn serve(mut stream: TcpStream, behaviour: Peer, log: &Mutex<Seen>) {
    let mut answered = false;
    while let Some(request) = read_request(&mut stream).await {
        log.lock().unwrap().requests.push(request);
        match behaviour {
            Peer::Answers(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Peer::AnswersInPart(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                std::future::pending::<()>().await;
            }
            Peer::AnswersOnce(text) if !answered => {
                stream.write_all(text.as_bytes()).await.unwrap()
            }
            Peer::AnswersAndEnds(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                return;
            }
            Peer::AnswersSlowly(text) => {
                for byte in text.as_bytes() {
                    stream.write_all(&[*byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
            Peer::AnswersOnce(_) | Peer::HangsUp => return,
            Peer::StaysSilent => std::future::pending().await,
        }
        answered = true;
    }
}

/// Head and body of one request; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        text.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
    }
}
