//! Parts of messages that both ways over the network read and write alike.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper::header::{DATE, HeaderMap, HeaderName, HeaderValue};

use crate::{TransportError, TransportReason};

/// A header as HTTP carries it.
pub(crate) fn header(
    (name, value): (&'static str, String),
) -> Result<(HeaderName, HeaderValue), TransportReason> {
    let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| TransportReason::Header(name))?;
    let mut value = HeaderValue::try_from(value).map_err(|_| TransportReason::Header(name))?;
    value.set_sensitive(true);
    Ok((key, value))
}

/// The peer's time when it answered.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// A body of at most so many bytes. One that is announced longer is not waited for.
pub(crate) async fn read<B>(
    mut body: B,
    bytes_max: usize,
    broken: impl Fn(B::Error) -> TransportError,
) -> Result<Bytes, TransportError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_long = || TransportError::unknown(TransportReason::TooLong(bytes_max));
    let announced = body.size_hint().lower();
    if !usize::try_from(announced).is_ok_and(|announced| announced <= bytes_max) {
        return Err(too_long());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // What is no data is a trailer, which nobody asked for.
        let Ok(chunk) = frame.map_err(&broken)?.into_data() else { continue };
        if chunk.len() > bytes_max.saturating_sub(whole.len()) {
            return Err(too_long());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}
