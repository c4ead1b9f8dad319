//! The wires of a process of a small world, to Midtrans and to the receivers of PSPs.

use std::sync::Arc;

use bytes::Bytes;
use gopay_outbound::{Incoming, Method, Outgoing, Transport, TransportError};
use gopay_simulator::ApiRequest;

use super::action::{Fate, Who};
use super::stage::{Kind, Stage};
use crate::parties;

/// The wire to Midtrans.
pub(super) struct ToMidtrans {
    pub(super) stage: Arc<Stage>,
    pub(super) who: Who,
}

#[async_trait::async_trait]
impl Transport for ToMidtrans {
    async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
        let kind = match request.method {
            Method::Get => Kind::Asks,
            Method::Post => Kind::Tells,
        };
        let request = api_request(request);
        let fate = self.stage.leave(self.who, kind, &request.path).await;
        let unknown = || Err(TransportError::unknown("no answer in time"));
        match fate {
            Fate::NotDone => {
                self.stage.learn(self.who, &"not sent");
                Err(TransportError::not_sent("connection refused"))
            }
            Fate::Lost => {
                self.stage.learn(self.who, &"no answer");
                unknown()
            }
            Fate::Unheard => {
                self.stage.reach_midtrans(&request);
                self.stage.learn(self.who, &"no answer");
                unknown()
            }
            Fate::Late => {
                self.stage.send_late(request);
                self.stage.learn(self.who, &"no answer");
                unknown()
            }
            Fate::DoneThenDies => {
                self.stage.reach_midtrans(&request);
                self.stage.die(self.who);
                std::future::pending().await
            }
            Fate::Done => {
                let answer = self.stage.reach_midtrans(&request);
                self.stage.learn(self.who, &(answer.status, &answer.body));
                Ok(answer)
            }
        }
    }
}

fn api_request(request: Outgoing) -> ApiRequest {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let path = request.url.strip_prefix(parties::MIDTRANS).unwrap_or_default();
    let mut api = ApiRequest::new(method, path, request.body);
    for (name, value) in request.headers {
        api = api.with_header(name, &value);
    }
    api
}

/// The wire to the receivers of PSPs.
pub(super) struct ToReceivers {
    pub(super) stage: Arc<Stage>,
    pub(super) who: Who,
}

#[async_trait::async_trait]
impl Transport for ToReceivers {
    async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
        let fate = self.stage.leave(self.who, Kind::Notifies, "notification").await;
        let answer = |status, text: &'static str| {
            Ok(Incoming { status, body: Bytes::from_static(text.as_bytes()), date: None })
        };
        match fate {
            Fate::NotDone => {
                self.stage.learn(self.who, &"refused");
                answer(500, "no")
            }
            Fate::Lost | Fate::Late => {
                self.stage.learn(self.who, &"no answer");
                Err(TransportError::unknown("no answer in time"))
            }
            Fate::Unheard => {
                self.stage.tell_psp(&request.body);
                self.stage.learn(self.who, &"no answer");
                Err(TransportError::unknown("no answer in time"))
            }
            Fate::DoneThenDies => {
                self.stage.tell_psp(&request.body);
                self.stage.die(self.who);
                std::future::pending().await
            }
            Fate::Done => {
                self.stage.tell_psp(&request.body);
                self.stage.learn(self.who, &"taken");
                answer(200, "OK")
            }
        }
    }
}
