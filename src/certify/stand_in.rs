//! The adapter's part of the Simple API, as far as an endpoint needs it: GETTXSTATUS of the
//! transactions that are played. It counts the questions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as FromState;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use gopay_core::ids::TxId;
use gopay_core::ppro::call::{self, TxType};
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::reply::{self, Reply, RequestFailReason};

use super::scene::State;

/// See the module. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct StandIn(Arc<Mutex<BTreeMap<TxId, Played>>>);

/// A transaction that is played.
struct Played {
    state: State,
    asked: usize,
}

impl StandIn {
    /// GETTXSTATUS says this from now on.
    pub(crate) fn says(&self, tx_id: TxId, state: State) {
        self.played().entry(tx_id).or_insert(Played { state, asked: 0 }).state = state;
    }

    /// How often it was asked about a transaction.
    pub(crate) fn asked(&self, tx_id: TxId) -> usize {
        self.played().get(&tx_id).map_or(0, |played| played.asked)
    }

    pub(crate) fn router(&self) -> Router {
        Router::new().route("/", post(answer)).with_state(self.clone())
    }

    fn played(&self) -> MutexGuard<'_, BTreeMap<TxId, Played>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, body: &[u8]) -> Reply {
        let mut scratch = Scratch::new();
        let (form, _) = Form::decode(body, &mut scratch);
        let wrong = |message: &str| reply::status_failed(RequestFailReason::Unknown, message);
        match call::open(&form) {
            Err(rejection) => wrong(&rejection.failure().message),
            Ok(envelope) if envelope.tx_type != TxType::GetTxStatus => {
                wrong("certify answers GETTXSTATUS only")
            }
            Ok(_) => match call::tx_id(&form) {
                Err(rejection) => wrong(&rejection.failure().message),
                Ok(tx_id) => self.status(tx_id),
            },
        }
    }

    fn status(&self, tx_id: Option<TxId>) -> Reply {
        let mut all = self.played();
        let played = tx_id.and_then(|tx_id| Some((tx_id, all.get_mut(&tx_id)?)));
        let Some((tx_id, played)) = played else {
            let reason = RequestFailReason::TxNotFound;
            return reply::status_failed(reason, "Transaction not found");
        };
        played.asked = played.asked.saturating_add(1);
        let (funds, message, reason) = match played.state {
            State::Pending | State::Succeeded => ("WAITING", "", None),
            State::Failed => ("NOT_EXPECTED", "The session is over", Some("TIMEOUT")),
        };
        let reply = Reply::new()
            .with("REQUESTSTATUS", "SUCCEEDED")
            .with("STATUS", played.state.as_str())
            .with("TXID", tx_id.to_string())
            .with("FUNDSSTATUS", funds)
            .with("ERRMSG", message);
        let reply = match reason {
            Some(reason) => reply.with("FAILREASON", reason),
            None => reply,
        };
        reply.with("CHANNEL", "testchannel").with("TAG", "gopay")
    }
}

async fn answer(FromState(stand_in): FromState<StandIn>, body: Bytes) -> Response {
    let text = stand_in.reply(&body).render(None);
    ([(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")], text).into_response()
}

#[cfg(test)]
mod tests {
    use gopay_psp_client::{Call as _, Credentials, GetTxStatus, PaymentState, StatusAnswer};

    use super::*;

    #[test]
    fn it_answers_as_the_adapter_does_and_counts() {
        let stand_in = StandIn::default();
        let psp = Credentials::new("login", "password", "contract");
        let ask = |number: &str| {
            let call = GetTxStatus { tx_id: number.parse().unwrap() };
            let text = stand_in.reply(call.body(&psp).as_bytes()).render(None);
            call.read(text.as_bytes()).unwrap()
        };
        let tx_id = TxId::new(7).unwrap();
        for state in [State::Pending, State::Failed, State::Succeeded] {
            stand_in.says(tx_id, state);
            let StatusAnswer::Found(payment) = ask("7") else { panic!("{state:?}") };
            let read = match payment.state {
                PaymentState::Pending(_) => State::Pending,
                PaymentState::Failed(_) => State::Failed,
                PaymentState::Succeeded => State::Succeeded,
            };
            assert_eq!(read, state);
        }
        assert_eq!(stand_in.asked(tx_id), 3);
        assert!(matches!(ask("8"), StatusAnswer::Failed(_)));
        for bad in ["", "txtype=GETTXSTATUS", "returnmode=urlencodeext&txtype=REFUND&login=l"] {
            let text = stand_in.reply(bad.as_bytes()).render(None);
            assert!(text.contains("REQUESTSTATUS=FAILED"), "{bad}: {text}");
        }
        assert_eq!(stand_in.asked(tx_id), 3);
    }
}
