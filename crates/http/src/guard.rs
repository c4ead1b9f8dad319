//! What stands before the admin listener: web pages of others that drive a browser nearby, and people
//! without a token. What operators do is told to the log: who, what, why.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING,
    WWW_AUTHENTICATE,
};
use axum::http::{Method, Request};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use base64::Engine as _;
use gopay_core::text::{cut, printable_json};
use gopay_inbound::Peer;
use gopay_pages::is_own_page;
use gopay_service::desk::Attempt;
use gopay_service::{NotLetIn, Operators, Refused, Role, Service, tell_refused_operator};
use serde_json::Value;

use crate::App;
use crate::json::{BODY_BYTES_MAX, JSON, no};

/// Who may use the admin listener, and under which names it is reached. Cheap to clone; clones are
/// the same.
#[derive(Clone, Debug)]
pub struct Access(Arc<RwLock<Arc<Rules>>>);

/// What [`Access`] is made of.
#[derive(Debug)]
pub struct Rules {
    /// Names beside addresses, localhost and names without a dot.
    pub hosts: Vec<String>,
    /// Who has a token; if nobody has, nobody is asked for one.
    pub operators: Operators,
}

impl Access {
    /// Access by these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// Goes by other rules from now on.
    pub fn replace(&self, rules: Rules) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let operators = rules.operators.following(&current.operators);
        *current = Arc::new(Rules { operators, ..rules });
    }

    /// The rules as of now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Who asks: the name of an operator; none where nobody is asked for a token.
#[derive(Clone, Debug)]
pub(crate) struct Who(pub(crate) Option<Arc<str>>);

/// Why somebody did something: an answer carries it to the log.
#[derive(Clone, Debug)]
pub(crate) struct Why(pub(crate) String);

/// Puts the guard before routes of the admin listener.
pub(crate) fn guarded(routes: Router, app: App) -> Router {
    routes.route_layer(from_fn_with_state(app, guard))
}

async fn guard(State(app): State<App>, mut request: Request<Body>, next: Next) -> Response {
    let rules = app.access.rules();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let source = request.extensions().get::<Peer>().map(|peer| peer.source);
    let source = source.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let what = format!("{method} {path}");
    let refuse = |why: Refused, who: Option<&str>| tell_refused(why, who, &what, source);
    if let Some(why) = foreign(&rules.hosts, &method, request.headers()) {
        refuse(Refused::Page, None);
        return no(403, why);
    }
    let acts = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    if acts && !says_json(request.headers()) {
        return no(415, "the body must be sent as application/json");
    }
    let needed = needed(&method, &path);
    let who = match identify(&rules, needed, request.headers(), source, &refuse).await {
        Ok(who) => who,
        Err(answer) => return answer,
    };
    if let Some(who) = &who {
        request.extensions_mut().insert(who.clone());
    }
    if !acts {
        return next.run(request).await;
    }
    let (request, said) = match read_twice(&app, request).await {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let named = said.get("by").and_then(Value::as_str);
    let who = who.as_ref().and_then(|who| who.0.as_deref()).or(named);
    let why = said.get("reason").and_then(Value::as_str);
    let deed = Deed { who, what: &what, why, source };
    // What is wrong with the store must not keep anybody from mending the config.
    let done = recorded(&app.service, deed, path == RELOAD, next.run(request)).await;
    done.unwrap_or_else(|why| no(503, why))
}

/// Tells operators of a refusal; the path may be any text.
pub fn tell_refused(why: Refused, who: Option<&str>, what: &str, source: IpAddr) {
    const TEXT_MAX: usize = 200;
    tell_refused_operator(why, who, &printable_json(cut(what, TEXT_MAX)), source);
}

/// Something that an operator does.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// The name of their token, or how they call themselves.
    pub who: Option<&'a str>,
    /// Method and path.
    pub what: &'a str,
    /// The reason that they gave.
    pub why: Option<&'a str>,
    /// From where.
    pub source: IpAddr,
}

/// Does what an operator asks for between two records of it: that it was asked for, without which it is
/// not done unless it must be `in_any_case`, and how it ended.
///
/// # Errors
/// Why it could not be recorded; it was not done then.
pub async fn recorded(
    service: &Service,
    deed: Deed<'_>,
    in_any_case: bool,
    work: impl Future<Output = Response>,
) -> Result<Response, String> {
    const TEXT_MAX: usize = 500;
    let Deed { who, what, why, source } = deed;
    let why = why.map(|why| cut(why, TEXT_MAX)).map(printable_json);
    let (what, why) = (printable_json(cut(what, TEXT_MAX)), why.as_deref());
    let attempt = Attempt { who: who.map(|who| cut(who, TEXT_MAX)), what: &what, why, source };
    let record = match service.record_attempt(attempt).await {
        Ok(record) => Some(record),
        Err(error) if in_any_case => {
            tracing::error!(%error, what, "an operator's action is in the log only");
            None
        }
        Err(error) => {
            let why = gopay_service::chain(&error);
            return Err(format!("it cannot be recorded, so it was not done: {why}"));
        }
    };
    let answer = work.await;
    let told = answer.extensions().get::<Why>().map(|why| why.0.as_str());
    let status = answer.status().as_u16();
    tracing::info!(who, what, why = told.or(why), status, %source, "an operator's action");
    if let Some(record) = record {
        service.record_end(record, status).await;
    }
    Ok(answer)
}

/// The request with its body, and what the body says.
async fn read_twice(app: &App, request: Request<Body>) -> Result<(Request<Body>, Value), Response> {
    let (parts, body) = request.into_parts();
    let body = Request::new(body);
    let bytes = app.bodies.admin.read(body, BODY_BYTES_MAX, app.limits.body_timeout).await;
    let bytes = bytes.map_err(|_| no(400, "the body cannot be read"))?;
    let said = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok((Request::from_parts(parts, Body::from(bytes)), said))
}

const RELOAD: &str = "/admin/v1/reload";
const DIRECTORY: &str = "/admin/v1/directory";

/// Which roles a path is for, one of which is needed; none: anybody may ask, as health checks do.
fn needed(method: &Method, path: &str) -> Option<&'static [Role]> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match path {
        "/health/live" | "/health/ready" | "/openapi.json" if reads => None,
        _ if reads => Some(&[Role::Read]),
        _ if path.starts_with("/admin/v1/attention/")
            || path.starts_with("/admin/v1/breaks/")
            || path == "/admin/v1/adjustments"
            || path.ends_with("/refund") =>
        {
            Some(&[Role::Finance])
        }
        DIRECTORY => Some(&[Role::Directory]),
        _ => Some(&[Role::Operate]),
    }
}

async fn identify(
    rules: &Rules,
    needed: Option<&[Role]>,
    headers: &HeaderMap,
    source: IpAddr,
    refuse: &(impl Fn(Refused, Option<&str>) + Sync),
) -> Result<Option<Who>, Response> {
    if rules.operators.is_empty() {
        return Ok(Some(Who(None)));
    }
    let shown = headers.get(AUTHORIZATION).and_then(token);
    let Some((name, token)) = shown else {
        if needed.is_none() {
            return Ok(None);
        }
        refuse(Refused::Missing, None);
        return Err(unauthenticated());
    };
    // A name that nobody has may be anything, such as a token in the wrong place.
    let known = rules.operators.named(&name).map(|operator| operator.name.as_str());
    match rules.operators.identify(&name, &token, source).await {
        Ok(operator) if needed.is_none_or(|needed| operator.may(needed)) => {
            Ok(Some(Who(Some(operator.name.as_str().into()))))
        }
        Ok(operator) => {
            let (who, needed) = (&operator.name, needed.unwrap_or_default());
            let needed: Vec<&str> = needed.iter().map(|role| role.as_str()).collect();
            refuse(Refused::Role, Some(who));
            let reason = format!("{who} has not the role for this: {}", needed.join(" or "));
            Err(no(403, reason))
        }
        Err(NotLetIn::TooOften) => {
            refuse(Refused::Pause, known);
            Err(no(429, "too many wrong tokens; try again in a minute"))
        }
        Err(NotLetIn::Wrong) => {
            refuse(Refused::Token, known);
            Err(unauthenticated())
        }
    }
}

fn unauthenticated() -> Response {
    let mut answer = no(401, "a token of an operator is needed");
    let basic = HeaderValue::from_static("Basic realm=\"gopay-adapter\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, basic);
    answer
}

/// `Basic` with name and token, or `Bearer NAME.TOKEN`.
fn token(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return basic(value);
    }
    let (name, token) = rest.trim().split_once('.')?;
    Some((name.to_owned(), token.to_owned()))
}

/// `Basic` with a name and a password, both in UTF-8 (RFC 7617).
pub(crate) fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// A form of somebody else's page can say anything but JSON without asking first.
fn says_json(headers: &HeaderMap) -> bool {
    let empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
        && !headers.contains_key(TRANSFER_ENCODING);
    match headers.get(CONTENT_TYPE) {
        None => empty,
        Some(kind) => kind.to_str().is_ok_and(|kind| {
            kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON)
        }),
    }
}

/// Why a request may come from a page of somebody else's in a browser that reaches us, if it may.
#[must_use]
pub fn foreign(hosts: &[String], method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let mut named = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    let host = named.next();
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let known =
        hosts.iter().find(|known| name.is_some_and(|name| known.eq_ignore_ascii_case(name)));
    let known = known.map(String::as_str);
    if named.next().is_some() || (host.is_some() && !is_own_page(host, None, None, known)) {
        // A name that was made to lead here: a page under it could read our answers.
        return Some("not a name of this listener; names are listed under admin.hosts");
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let own = is_own_page(host, text("origin"), text("sec-fetch-site"), known);
    (!own).then_some("sent by a page of another origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn pages_of_others_are_kept_out_and_nobody_else() {
        let hosts = ["ops.internal".to_owned()];
        let own = ("host", "127.0.0.1:8081");
        for (method, list, refused) in [
            (Method::GET, &[own][..], false),
            (Method::GET, &[], false),
            (Method::GET, &[("host", "localhost")], false),
            (Method::GET, &[("host", "[::1]:8081")], false),
            (Method::GET, &[("host", "10.1.2.3:8081")], false),
            // A container's, say.
            (Method::GET, &[("host", "adapter:8081")], false),
            (Method::GET, &[("host", "OPS.internal:8081")], false),
            (Method::GET, &[("host", "rebinding.example:8081")], true),
            (Method::GET, &[("host", "127.0.0.1.rebinding.example")], true),
            (Method::GET, &[("host", "localhost.rebinding.example")], true),
            (Method::GET, &[own, ("host", "ops.internal")], true),
            (Method::GET, &[own, ("origin", "https://page.example")], false),
            (Method::POST, &[own], false),
            (Method::POST, &[own, ("origin", "http://127.0.0.1:8081")], false),
            (Method::POST, &[own, ("origin", "http://127.0.0.1:8082")], true),
            (Method::POST, &[own, ("origin", "https://page.example")], true),
            (Method::POST, &[own, ("origin", "null")], true),
            (Method::POST, &[own, ("sec-fetch-site", "none")], false),
            (Method::POST, &[own, ("sec-fetch-site", "same-site")], true),
            (Method::DELETE, &[own, ("sec-fetch-site", "cross-site")], true),
            (
                Method::POST,
                &[("host", "rebinding.example"), ("origin", "http://rebinding.example")],
                true,
            ),
        ] {
            let why = foreign(&hosts, &method, &headers(list));
            assert_eq!(why.is_some(), refused, "{method} {list:?}: {why:?}");
        }
    }

    #[test]
    fn what_acts_is_sent_as_json() {
        for (list, good) in [
            (&[("content-type", "application/json")][..], true),
            (&[("content-type", "application/json; charset=utf-8")], true),
            (&[("content-type", "application/jsonp")], false),
            (&[("content-type", "text/plain")], false),
            (&[("content-type", "application/x-www-form-urlencoded")], false),
            (&[("content-length", "0")], true),
            (&[], true),
            (&[("content-length", "2")], false),
            (&[("transfer-encoding", "chunked")], false),
        ] {
            assert_eq!(says_json(&headers(list)), good, "{list:?}");
        }
    }

    #[test]
    fn tokens_come_as_basic_or_bearer() {
        for (value, expected) in [
            ("Basic c3JpOm9uZTp0d28=", Some(("sri", "one:two"))),
            ("basic c3JpOm9uZTp0d28=", Some(("sri", "one:two"))),
            ("Bearer sri.one.two", Some(("sri", "one.two"))),
            ("Bearer sri", None),
            ("Basic !", None),
            ("Digest sri.one", None),
            ("sri.one", None),
        ] {
            let read = token(&HeaderValue::from_static(value));
            let expected = expected.map(|(name, token)| (name.to_owned(), token.to_owned()));
            assert_eq!(read, expected, "{value}");
        }
    }

    #[test]
    fn each_path_has_its_role() {
        for (method, path, role) in [
            (Method::GET, "/health/live", None),
            (Method::HEAD, "/health/ready", None),
            (Method::POST, "/health/ready", Some(Role::Operate)),
            (Method::GET, "/metrics", Some(Role::Read)),
            (Method::GET, "/admin/v1/totals", Some(Role::Read)),
            (Method::GET, "/admin/v1/attention/1", Some(Role::Read)),
            (Method::POST, "/admin/v1/attention/1", Some(Role::Finance)),
            (Method::POST, "/admin/v1/reload", Some(Role::Operate)),
            (Method::GET, "/admin/v1/transactions/1", Some(Role::Read)),
            (Method::POST, "/admin/v1/transactions/1/refund", Some(Role::Finance)),
            (Method::POST, "/admin/v1/transactions/1/cancel", Some(Role::Operate)),
            (Method::POST, "/admin/v1/redeliver", Some(Role::Operate)),
            (Method::POST, "/admin/v1/breaks/B0", Some(Role::Finance)),
            (Method::GET, "/admin/v1/directory", Some(Role::Read)),
            (Method::GET, "/admin/v1/directory/subjects", Some(Role::Read)),
            (Method::POST, "/admin/v1/directory", Some(Role::Directory)),
            (Method::PUT, "/anything", Some(Role::Operate)),
        ] {
            let expected = role.map(|role| vec![role]);
            assert_eq!(needed(&method, path).map(<[Role]>::to_vec), expected, "{method} {path}");
        }
    }
}
