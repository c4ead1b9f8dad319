//! Who is at a page, and what a form sends.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::header::{CONTENT_TYPE, COOKIE, HeaderMap};
use axum::http::request::Parts;
use axum::http::{Method, Request, StatusCode, Uri};
use axum::response::Response;
use gopay_http::acts::NotDone;
use gopay_http::asked::Asked;
use gopay_http::guard::{foreign, tell_refused};
use gopay_inbound::Peer;
use gopay_service::{Refused, chain};

use crate::door::{Admitted, cookie_of, same};
use crate::{Console, answer};

/// The header of the script that looks again: it keeps no session alive.
const LOOKS_AGAIN: &str = "x-looks-again";

/// Somebody at a page.
pub(crate) struct Visit {
    pub(crate) who: Admitted,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) asked: Asked,
    pub(crate) source: IpAddr,
    /// A form of the page that was sent and not done.
    pub(crate) returned: Option<Returned>,
}

/// A form that was sent and not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    /// Its name on the page.
    pub(crate) form: String,
    /// What was typed.
    pub(crate) typed: Asked,
    pub(crate) status: StatusCode,
    /// Why it was not done; begins with the name of a field if that is the cause.
    pub(crate) why: String,
}

/// The session that a request shows.
pub(crate) fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter();
    cookies.filter_map(|value| cookie_of(value.to_str().ok()?)).next()
}

/// The answer to a request in which a page of others has a part.
pub(crate) fn foreign_page(parts: &Parts, console: &Console) -> Option<Response> {
    let rules = console.app.access.rules();
    let why = foreign(&rules.hosts, &parts.method, &parts.headers)?;
    let what = format!("{} {}", parts.method, parts.uri.path());
    tell_refused(Refused::Page, None, &what, source_of(parts));
    Some(answer::fault(StatusCode::FORBIDDEN, why))
}

pub(crate) fn source_of(parts: &Parts) -> IpAddr {
    let source = parts.extensions.get::<Peer>().map(|peer| peer.source);
    source.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

impl FromRequestParts<Console> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Response> {
        if let Some(answer) = foreign_page(parts, console) {
            return Err(answer);
        }
        let path = parts.uri.path_and_query().map_or("/console", |path| path.as_str()).to_owned();
        let rules = console.app.access.rules();
        let looks_again = parts.headers.contains_key(LOOKS_AGAIN);
        match console.door.admit(&rules.operators, session(&parts.headers), !looks_again) {
            Some(who) => {
                let asked = Asked::read(parts.uri.query().unwrap_or_default().as_bytes());
                Ok(Self { who, path, asked, source: source_of(parts), returned: None })
            }
            // What a form asked for is not asked again by itself: its page is shown.
            None if parts.method != Method::GET => Err(answer::to_login(&page_of(&path))),
            None => Err(answer::to_login(&path)),
        }
    }
}

/// A form that somebody has sent, from a page of ours.
pub(crate) struct Sent {
    pub(crate) visit: Visit,
    pub(crate) form: Asked,
}

/// The longest form: a reason and a name of four-byte characters, percent-encoded.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// Reads a form that repeats the key of its page.
pub(crate) async fn form(
    request: Request<Body>,
    console: &Console,
    key: &str,
) -> Result<Asked, Response> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    if kind != Some("application/x-www-form-urlencoded") {
        return Err(answer::fault(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is not a form"));
    }
    let (bodies, timeout) = (&console.app.bodies.admin, console.app.limits.body_timeout);
    let body = bodies.read(request, FORM_BYTES_MAX, timeout).await;
    let body =
        body.map_err(|_| answer::fault(StatusCode::BAD_REQUEST, "the form cannot be read"))?;
    let form = Asked::read(&body);
    if !same(form.get("key").unwrap_or_default(), key) {
        let why = "this form is of another session, or of before a restart; open its page again";
        return Err(answer::fault(StatusCode::FORBIDDEN, why));
    }
    Ok(form)
}

impl FromRequest<Console> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, console: &Console) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, console).await?;
        let request = Request::from_parts(parts, body);
        let form = form(request, console, &visit.who.form_key).await?;
        Ok(Self { visit, form })
    }
}

/// The page that has the form which is sent to a path.
pub(crate) fn page_of(path: &str) -> String {
    let bare = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = bare.split('/').collect();
    match parts.as_slice() {
        ["", "console", "transactions", id, _] => format!("/console/transactions/{id}"),
        ["", "console", "attention", _] | ["", "console", "lost"] => {
            "/console/attention".to_owned()
        }
        ["", "console", "breaks", _] => path.to_owned(),
        ["", "console", "adjustments"] => "/console/adjustments".to_owned(),
        ["", "console", "redeliver"] => "/console/deliveries".to_owned(),
        _ => "/console".to_owned(),
    }
}

/// The address of a form, opened as if it were a page, leads to the page that has it.
pub(crate) async fn to_page(uri: Uri) -> Response {
    answer::to(&page_of(uri.path()))
}

impl Sent {
    /// The page of the form again, with what was typed into the form of this name and why it was not
    /// done.
    pub(crate) fn returned(&self, form: &str, failed: Failed) -> Visit {
        let Failed { status, why } = failed;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT);
        let Visit { who, path, asked, source, .. } = &self.visit;
        Visit {
            who: who.clone(),
            path: page_of(path),
            asked: asked.clone(),
            source: *source,
            returned: Some(Returned {
                form: form.to_owned(),
                typed: self.form.clone(),
                status,
                why,
            }),
        }
    }

    /// Who does it: the name of the token, or what they call themselves where there is none.
    pub(crate) fn by(&self) -> String {
        let named = self.visit.who.name.as_deref().or_else(|| self.form.get("by"));
        named.unwrap_or_default().to_owned()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.form.get(name).unwrap_or_default().to_owned()
    }
}

/// Why something was not done, and the status that says so.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) status: u16,
    pub(crate) why: String,
}

impl Failed {
    pub(crate) fn new(status: u16, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

impl<E: NotDone> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::new(error.status(), chain(&error))
    }
}
