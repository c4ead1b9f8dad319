//! What a path asks for.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::faults::On;

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Charge,
    Status(Cow<'a, str>),
    Cancel(Cow<'a, str>),
    Expire(Cow<'a, str>),
    Refund(Cow<'a, str>),
    /// Approve, deny and capture are for cards; they exist to refuse.
    CardOnly(Cow<'a, str>),
    Capture,
    QrCode(Cow<'a, str>),
    Checkout,
}

impl Route<'_> {
    pub(super) const fn method(&self) -> &'static str {
        match self {
            Self::Charge
            | Self::Cancel(_)
            | Self::Expire(_)
            | Self::Refund(_)
            | Self::CardOnly(_)
            | Self::Capture => "POST",
            Self::Status(_) | Self::QrCode(_) => "GET",
            Self::Checkout => "",
        }
    }

    pub(super) const fn on(&self) -> Option<On> {
        match self {
            Self::Charge => Some(On::Charge),
            Self::Status(_) => Some(On::Status),
            Self::Cancel(_) => Some(On::Cancel),
            Self::Expire(_) => Some(On::Expire),
            Self::Refund(_) => Some(On::Refund),
            Self::CardOnly(_) | Self::Capture | Self::QrCode(_) | Self::Checkout => None,
        }
    }

    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Status(id)
            | Self::Cancel(id)
            | Self::Expire(id)
            | Self::Refund(id)
            | Self::CardOnly(id)
            | Self::QrCode(id) => Some(id),
            Self::Charge | Self::Capture | Self::Checkout => None,
        }
    }
}

/// Whether a path is one of Midtrans' APIs, where every call needs a key: below `/v1`, `/v2` and so on,
/// or of Snap and of Iris.
pub(super) fn is_api_path(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    matches!(first, "snap" | "iris")
        || first.strip_prefix('v').is_some_and(|version| {
            !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        })
}

pub(super) fn route(path: &str) -> Option<Route<'_>> {
    let id = |text| percent_decode_str(text).decode_utf8_lossy();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    Some(match parts.as_slice() {
        ["v2", "charge"] => Route::Charge,
        ["v2", "capture"] => Route::Capture,
        ["v2", "gopay", known, "qr-code"] => Route::QrCode(id(known)),
        ["v2", known, "status"] => Route::Status(id(known)),
        ["v2", known, "cancel"] => Route::Cancel(id(known)),
        ["v2", known, "expire"] => Route::Expire(id(known)),
        ["v2", known, "refund"] | ["v2", known, "refund", "online", "direct"] => {
            Route::Refund(id(known))
        }
        ["v2", known, "approve" | "deny"] => Route::CardOnly(id(known)),
        ["gopay", "ui", "checkout"] => Route::Checkout,
        _ => return None,
    })
}
