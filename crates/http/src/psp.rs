//! The listener of PSPs: the Simple API, `POST /`, and the feed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::Response;
use tokio::time::Instant;

use gopay_inbound::Peer;
use gopay_service::{TraceContext, meters};

use crate::caller::caller;
use crate::routes::Routes;
use crate::{App, BodyError, feed, respond};

/// Of calls that come without a connection, as in tests.
const UNKNOWN_SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

/// Routes of the `psp` listener. Any other method on `/` is answered with 405.
pub fn router(app: App) -> Router {
    routes().into_router(app)
}

pub(crate) fn routes() -> Routes {
    Routes::default().post("/", call).get("/feed", feed::feed)
}

/// The Simple API: all calls, chosen by `txtype`; see the PSP guide.
#[cfg_attr(test, utoipa::path(post, operation_id = "simple_api",
    path = "/",
    tag = "psp",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The outcome, in urlencodeext form", content_type = "application/x-www-form-urlencoded", body = String),
        (status = 400, description = "The body broke off"),
        (status = 405, description = "Another method than POST"),
        (status = 408, description = "The body took too long"),
        (status = 413, description = "The body is too long; the answer says how long it may be"),
        (status = 503, description = "Too many calls at once; nothing was done")
    )
))]
pub(crate) async fn call(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    request: Request<Body>,
) -> Response {
    let caller = peer.map_or(UNKNOWN_SOURCE.into(), |Extension(peer)| caller(&peer));
    let started = Instant::now();
    let limits = app.limits;
    let query = request.uri().query().map(str::to_owned);
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let trace = traceparent.and_then(TraceContext::parse);
    let body = match app.bodies.psp.read(request, limits.call_bytes_max, limits.body_timeout).await
    {
        // Files end in a line break, and whoever sends one means what is before it.
        Ok(body) => body.slice(..body.trim_ascii_end().len()),
        Err(BodyError::TooLong) => {
            let max = u32::try_from(limits.call_bytes_max).unwrap_or(u32::MAX);
            return respond(413, FORM, app.service.body_too_long(max).body);
        }
        Err(BodyError::TooSlow) => return respond(408, "text/plain", "the body took too long\n"),
        Err(BodyError::Busy) => return respond(503, "text/plain", "too many bodies at once\n"),
        Err(BodyError::Broken) => return respond(400, "text/plain", "the body broke off\n"),
    };
    let misplaced = query.and_then(|query| app.service.misplaced(query.as_bytes(), &body));
    let answer = match misplaced {
        Some(answer) => answer,
        None => match trace {
            None => app.service.call(body, caller).await,
            trace => gopay_service::within(trace, app.service.call(body, caller)).await,
        },
    };
    let overloaded = if answer.overloaded { "yes" } else { "no" };
    meters::count(meters::CALLS, &[("overloaded", overloaded)]);
    meters::time(meters::CALL_SECONDS, &[], started.elapsed());
    let timing = timing(started.elapsed(), answer.upstream);
    // The outcome is in the body; 503 only says that the call was not taken at all.
    let mut response = respond(if answer.overloaded { 503 } else { 200 }, FORM, answer.body);
    if let Some(timing) = timing {
        response.headers_mut().insert(SERVER_TIMING, timing);
    }
    response
}

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Our own time and that of Midtrans, in milliseconds.
fn timing(total: Duration, upstream: Duration) -> Option<HeaderValue> {
    let (ours, theirs) = (millis(total.saturating_sub(upstream)), millis(upstream));
    HeaderValue::try_from(["ours;dur=", &ours, ", midtrans;dur=", &theirs].concat()).ok()
}

/// Milliseconds with three decimals.
fn millis(time: Duration) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    // A thousand more, so that there are three digits behind its one.
    let (mut text, decimals) = ((micros / 1_000).to_string(), (micros % 1_000 + 1_000).to_string());
    text.push('.');
    text.push_str(decimals.get(1..).unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_header_has_our_time_and_that_of_midtrans_apart() {
        let micros = Duration::from_micros;
        for (total, upstream, expected) in [
            (micros(1_234_567), micros(1_000_020), "ours;dur=234.547, midtrans;dur=1000.020"),
            (micros(20), Duration::ZERO, "ours;dur=0.020, midtrans;dur=0.000"),
            (micros(5), micros(6), "ours;dur=0.000, midtrans;dur=0.006"),
        ] {
            assert_eq!(timing(total, upstream).unwrap(), expected);
        }
    }
}
