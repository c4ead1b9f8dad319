//! The wires out of the adapter: to Midtrans and to the receivers of PSPs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gopay_outbound::{Incoming, Method, Outgoing, Transport, TransportError};
use gopay_simulator::{ApiReply, ApiRequest, Delivery};

use crate::process::Life;
use crate::world::World;
use crate::{parties, psp};

/// What both wires do the same way.
async fn send(
    world: &Arc<World>,
    life: &Arc<Life>,
    timeout: Duration,
    name: &'static str,
    peer: impl Future<Output = Option<Incoming>> + Send + 'static,
) -> Result<Incoming, TransportError> {
    world.step(life, name, "before").await;
    let rates = world.rates();
    if world.chance(|chance| chance.of_10_000(rates.not_sent)) {
        world.count("requests not sent");
        return Err(TransportError::not_sent("connection refused"));
    }
    let outcome = tokio::time::timeout(timeout, world.exchange(peer)).await;
    world.step(life, name, "after").await;
    match outcome {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(TransportError::unknown("reset")),
        Err(_) => Err(TransportError::unknown("no answer in time")),
    }
}

/// The wire to Midtrans.
pub(crate) struct ToMidtrans {
    pub(crate) world: Arc<World>,
    pub(crate) life: Arc<Life>,
}

#[async_trait::async_trait]
impl Transport for ToMidtrans {
    async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
        if self.world.midtrans_is_away() {
            self.life.or_hang().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            return Err(TransportError::not_sent("connection refused"));
        }
        let (timeout, request) = (request.timeout, api_request(request));
        let path = request.path.clone();
        let world = Arc::clone(&self.world);
        let midtrans = async move {
            world.trace(format_args!("midtrans gets {} {}", request.method, request.path));
            let reply = answer(&world, &request).await;
            world.trace(format_args!("midtrans says {} {:?}", reply.status, reply.delivery));
            (reply.delivery == Delivery::Answer)
                .then_some(Incoming { status: reply.status, body: reply.body })
        };
        let said = send(&self.world, &self.life, timeout, "call to midtrans", midtrans).await;
        self.world.trace(format_args!(
            "{} about {path}: {}",
            self.life,
            said.as_ref().map_or_else(|error| error.to_string(), |said| said.status.to_string())
        ));
        said
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

async fn answer(world: &World, request: &ApiRequest) -> ApiReply {
    let reply = world.engine(|engine, now| engine.handle(now, request));
    tokio::time::sleep(reply.delay).await;
    match reply.delivery {
        Delivery::Deferred { ticket } => world.engine(|engine, now| engine.resume(now, ticket)),
        Delivery::Answer | Delivery::Drop | Delivery::Truncate => reply,
    }
}

/// The wire to the receivers of PSPs.
pub(crate) struct ToReceivers {
    pub(crate) world: Arc<World>,
    pub(crate) life: Arc<Life>,
}

#[async_trait::async_trait]
impl Transport for ToReceivers {
    async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
        let (world, timeout) = (Arc::clone(&self.world), request.timeout);
        let receiver = async move {
            let (status, text) = psp::receive(&world, &request.url, &request.body).await?;
            Some(Incoming { status, body: Bytes::from_static(text.as_bytes()) })
        };
        send(&self.world, &self.life, timeout, "notification", receiver).await
    }
}
