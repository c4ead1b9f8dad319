//! Login and logout.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use gopay_http::asked::Asked;
use gopay_http::guard::tell_refused;
use gopay_service::{NotLetIn, Refused};
use maud::html;

use crate::door::set_cookie;
use crate::visit::{Sent, foreign_page, form, session, source_of};
use crate::{Console, answer};

/// Where to after the login: a page of the console and nothing else.
fn place(asked: &Asked) -> &str {
    let to = asked.get("to").unwrap_or("/console");
    let own = to == "/console" || to.starts_with("/console/") || to.starts_with("/console?");
    let plain = to.bytes().all(|byte| byte.is_ascii_graphic());
    if own && plain { to } else { "/console" }
}

fn login(console: &Console, status: StatusCode, asked: &Asked, wrong: Option<&str>) -> Response {
    let content = html! {
        form.card.narrow method="post" action="/console/login" {
            @if let Some(wrong) = wrong { p.alert.fail role="alert" { (wrong) } }
            input type="hidden" name="key" value=(console.door.form_key());
            input type="hidden" name="to" value=(place(asked));
            label for="name" { "Name" }
            input #name name="name" required autocomplete="username" value=[asked.get("name")] autofocus;
            label for="token" { "Token" }
            input #token name="token" type="password" required autocomplete="current-password";
            button.button type="submit" { "Log in" }
            p.note { "Name and token are those of an " code { "[[admin.token]]" } " of the config." }
        }
    };
    answer::alone(status, "Operator console", &content)
}

pub(crate) async fn page(State(console): State<Console>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    if let Some(answer) = foreign_page(&parts, &console) {
        return answer;
    }
    let asked = Asked::read(parts.uri.query().unwrap_or_default().as_bytes());
    let rules = console.app.access.rules();
    if console.door.admit(&rules.operators, session(&parts.headers), true).is_some() {
        return answer::to(place(&asked));
    }
    login(&console, StatusCode::OK, &asked, None)
}

pub(crate) async fn enter(State(console): State<Console>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(answer) = foreign_page(&parts, &console) {
        return answer;
    }
    let (source, before) = (source_of(&parts), session(&parts.headers).map(str::to_owned));
    let request = Request::from_parts(parts, body);
    let asked = match form(request, &console, console.door.form_key()).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let rules = console.app.access.rules();
    let name = asked.get("name").unwrap_or_default();
    let token = asked.get("token").unwrap_or_default();
    let known = rules.operators.named(name).map(|operator| operator.name.as_str());
    let refuse = |why| tell_refused(why, known, "POST /console/login", source);
    match rules.operators.identify(name, token, source).await {
        Ok(operator) => {
            // A session of before is not taken over.
            before.iter().for_each(|key| console.door.close(key));
            tracing::info!(who = operator.name, %source, "an operator logs in to the console");
            let cookie = set_cookie(Some(&console.door.open(operator)), console.tls);
            answer::to_with_cookie(place(&asked), &cookie)
        }
        Err(NotLetIn::Wrong) => {
            refuse(Refused::Token);
            let wrong = "No operator has this name and token.";
            login(&console, StatusCode::UNAUTHORIZED, &asked, Some(wrong))
        }
        Err(NotLetIn::TooOften) => {
            refuse(Refused::Pause);
            let wrong = "Too many wrong tokens; try again in a minute.";
            login(&console, StatusCode::TOO_MANY_REQUESTS, &asked, Some(wrong))
        }
    }
}

pub(crate) async fn leave(
    State(console): State<Console>,
    headers: axum::http::HeaderMap,
    sent: Sent,
) -> Response {
    if let Some(key) = session(&headers) {
        console.door.close(key);
    }
    tracing::info!(who = sent.visit.who.name, source = %sent.visit.source, "an operator logs out");
    answer::to_with_cookie("/console/login", &set_cookie(None, console.tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_into_the_console_and_nowhere_else() {
        for (to, leads) in [
            ("/console/transactions?state=pending", "/console/transactions?state=pending"),
            ("/console", "/console"),
            ("/console?x=1", "/console?x=1"),
            ("//evil.example", "/console"),
            ("https://evil.example", "/console"),
            ("/consoles", "/console"),
            ("/console/\r\nset-cookie: x", "/console"),
            ("", "/console"),
        ] {
            let query =
                form_urlencoded::Serializer::new(String::new()).append_pair("to", to).finish();
            assert_eq!(place(&Asked::read(query.as_bytes())), leads, "{to:?}");
        }
    }
}
