//! The wires out of the adapter: to Midtrans and to the receivers of PSPs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gopay_core::time::Timestamp;
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
            check_expire(&world, &request);
            let reply = answer(&world, &request).await;
            let date = Some(world.now().into());
            world.trace(format_args!("midtrans says {} {:?}", reply.status, reply.delivery));
            (reply.delivery == Delivery::Answer).then_some(Incoming {
                status: reply.status,
                body: reply.body,
                date,
            })
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

/// A session is not called over while it runs by Midtrans' clock, whatever ours says: the shopper may
/// be about to pay.
fn check_expire(world: &World, request: &ApiRequest) {
    /// Clocks may differ by a minute, and `Date` has whole seconds.
    const TOLERANCE: Duration = Duration::from_secs(62);
    let Some(id) = request.path.strip_prefix("/v2/").and_then(|path| path.strip_suffix("/expire"))
    else {
        return;
    };
    let Some(held) = world.engine(|engine, _| engine.transaction(id)) else { return };
    let runs = Timestamp::from_wib_seconds(&held.expiry_time)
        .is_ok_and(|expiry| world.now().after(TOLERANCE) < expiry);
    if runs && held.status == gopay_simulator::Status::Pending {
        world.problem(format!("{id} was ended before its session was over"));
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
            Some(Incoming { status, body: Bytes::from_static(text.as_bytes()), date: None })
        };
        send(&self.world, &self.life, timeout, "notification", receiver).await
    }
}
