//! Sends the messages of a scene, and notes what can be seen of the endpoint from outside.

use std::error::Error as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_outbound::{
    HttpTransport, Incoming, Method, Outgoing, Pace, Transport as _, TransportError,
    TransportReason,
};
use serde::Serialize;

use super::scene::{How, Message, Scene, State};
use super::stand_in::StandIn;

/// As in a delivery of the adapter.
pub(crate) const REPLY_BYTES_MAX: usize = 256 * 1024;

/// A body of some 140 bytes takes about three seconds.
const PACE: Pace = Pace { piece_bytes: 16, pause: Duration::from_millis(330) };

/// An endpoint under test.
pub(crate) struct Endpoint {
    pub(crate) http: HttpTransport,
    pub(crate) url: String,
    pub(crate) secret: String,
    /// An answer within this time counts.
    pub(crate) timeout: Duration,
    /// Where it asks GETTXSTATUS, if it asks us.
    pub(crate) stand_in: Option<StandIn>,
    /// For how long it may take to ask.
    pub(crate) patience: Duration,
    /// Where it tells what it holds of a transaction.
    pub(crate) status_url: Option<String>,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seen {
    /// The HTTP status, and the start of the body.
    Answer { status: u16, begins_with_ok: bool },
    /// The answer is longer than the adapter reads.
    TooLong,
    /// No answer in time.
    TimedOut,
    /// Nobody listens there, or TLS was not agreed.
    NotReached(String),
    /// The connection ended without an answer.
    BrokenOff(String),
}

/// A message that was sent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sent {
    pub(crate) what: &'static str,
    /// One answer, or two of those that were sent at once.
    pub(crate) seen: Vec<Seen>,
    pub(crate) took_ms: u64,
    /// Whether GETTXSTATUS was asked then; none: the endpoint asks somebody else.
    pub(crate) asked: Option<bool>,
    #[serde(skip)]
    pub(crate) message: Message,
}

/// A scene that was played.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) scene: Scene,
    pub(crate) tx_id: TxId,
    pub(crate) sent: Vec<Sent>,
    /// What the endpoint says that it holds; none: it was not asked.
    pub(crate) holds: Option<Result<State, String>>,
}

impl Endpoint {
    pub(crate) async fn play(&self, scene: Scene, tx_id: TxId, now: Timestamp) -> Played {
        let mut sent = Vec::new();
        for message in scene.messages {
            sent.push(self.send(message, tx_id, now).await);
        }
        let holds = match &self.status_url {
            Some(url) => Some(self.holds(url, tx_id, scene.ends).await),
            None => None,
        };
        Played { scene, tx_id, sent, holds }
    }

    async fn send(&self, message: &Message, tx_id: TxId, now: Timestamp) -> Sent {
        let before = self.stand_in.as_ref().map_or(0, |stand_in| {
            stand_in.says(tx_id, message.state);
            stand_in.asked(tx_id)
        });
        let body = message.body(tx_id, now, &self.secret);
        let began = Instant::now();
        let seen = match message.how {
            How::TwiceAtOnce => {
                let both = futures::join!(self.post(&body, None), self.post(&body, None));
                vec![both.0, both.1]
            }
            How::Slowly => vec![self.post(&body, Some(PACE)).await],
            How::Plain | How::Forged(_) => vec![self.post(&body, None).await],
        };
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let asked = match &self.stand_in {
            Some(stand_in) if message.is_new => {
                Some(eventually(self.patience, || stand_in.asked(tx_id) > before).await)
            }
            Some(stand_in) => Some(stand_in.asked(tx_id) > before),
            None => None,
        };
        Sent { what: message.what, seen, took_ms, asked, message: *message }
    }

    async fn post(&self, body: &str, pace: Option<Pace>) -> Seen {
        let request = Outgoing {
            method: Method::Post,
            url: self.url.clone(),
            headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
            body: Bytes::from(body.to_owned()),
            timeout: self.timeout,
            reply_bytes_max: REPLY_BYTES_MAX,
        };
        seen(match pace {
            Some(pace) => self.http.send_in_pieces(request, pace).await,
            None => self.http.send(request).await,
        })
    }

    /// What the endpoint holds, once it is what it must be, or at the end of the patience.
    async fn holds(&self, url: &str, tx_id: TxId, wanted: State) -> Result<State, String> {
        let between = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{between}txid={tx_id}");
        let began = Instant::now();
        loop {
            let request = Outgoing {
                method: Method::Get,
                url: url.clone(),
                headers: Vec::new(),
                body: Bytes::new(),
                timeout: self.timeout,
                reply_bytes_max: REPLY_BYTES_MAX,
            };
            let answer = self.http.send(request).await;
            let held = match answer {
                Ok(answer) if (200..300).contains(&answer.status) => word(&answer.body),
                Ok(answer) => Err(format!("HTTP {}", answer.status)),
                Err(error) => Err(gopay_service::chain(&error)),
            };
            if held == Ok(wanted) || began.elapsed() >= self.patience {
                return held;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The one word of a state in a text.
fn word(body: &[u8]) -> Result<State, String> {
    let text = String::from_utf8_lossy(body).to_uppercase();
    let all = [State::Pending, State::Succeeded, State::Failed];
    let mut found = all.into_iter().filter(|state| text.contains(state.as_str()));
    match (found.next(), found.next()) {
        (Some(state), None) => Ok(state),
        _ => Err("not one of the words PENDING, SUCCEEDED, FAILED".to_owned()),
    }
}

fn seen(answer: Result<Incoming, TransportError>) -> Seen {
    let error = match answer {
        Ok(Incoming { status, body, .. }) => {
            return Seen::Answer { status, begins_with_ok: body.starts_with(b"OK") };
        }
        Err(error) => error,
    };
    let reason = error.source().and_then(|cause| cause.downcast_ref::<TransportReason>());
    match (reason, &error) {
        (Some(TransportReason::TooLong(_)), _) => Seen::TooLong,
        (Some(TransportReason::TimedOut(_)), _) => Seen::TimedOut,
        (_, TransportError::NotSent(_)) => Seen::NotReached(gopay_service::chain(&error)),
        (_, TransportError::Unknown(_)) => Seen::BrokenOff(gopay_service::chain(&error)),
    }
}

async fn eventually(patience: Duration, holds: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if began.elapsed() >= patience {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_endpoint_holds_is_one_word() {
        for (text, state) in [
            ("SUCCEEDED", Some(State::Succeeded)),
            ("{\"status\":\"failed\"}\n", Some(State::Failed)),
            ("state: Pending", Some(State::Pending)),
            ("PENDING then SUCCEEDED", None),
            ("paid", None),
            ("", None),
        ] {
            assert_eq!(word(text.as_bytes()).ok(), state, "{text}");
        }
    }
}
