//! Acts: what a form asks for is done if its sender may, and recorded.

use axum::http::StatusCode;
use axum::response::Response;
use gopay_http::guard::{self, Deed};
use gopay_service::{Refused, Role};

use crate::Console;
use crate::answer::{fault, to};
use crate::visit::{Failed, Sent, Visit};

impl Console {
    /// Does what a form asks for, if its sender has the role, and records that they asked and how it
    /// ended. `work` says which page is shown then. If it is not done, `page` shows the page of the form,
    /// `form` by name, again.
    pub(crate) async fn act<Again: Future<Output = Response>>(
        &self,
        (sent, form): (&Sent, &str),
        role: Role,
        work: impl Future<Output = Result<String, Failed>>,
        page: impl FnOnce(Visit) -> Again,
    ) -> Response {
        let who = &sent.visit.who;
        let may = match role {
            Role::Read => true,
            Role::Operate => who.operate,
            Role::Finance => who.finance,
            // No page changes the directory.
            Role::Directory => false,
        };
        if !may {
            let what = format!("POST {}", sent.visit.path);
            guard::tell_refused(Refused::Role, who.name.as_deref(), &what, sent.visit.source);
            let why = format!("your token has not the role for this: {}", role.as_str());
            return fault(StatusCode::FORBIDDEN, &why);
        }
        let (by, what) = (sent.by(), format!("POST {}", sent.visit.path));
        let deed = Deed {
            who: Some(by.as_str()).filter(|by| !by.is_empty()),
            what: &what,
            why: sent.form.get("reason"),
            source: sent.visit.source,
        };
        let answered = async {
            match work.await {
                Ok(place) => to(&place),
                Err(failed) => page(sent.returned(form, failed)).await,
            }
        };
        guard::recorded(&self.app.service, deed, false, answered)
            .await
            .unwrap_or_else(|why| fault(StatusCode::SERVICE_UNAVAILABLE, &why))
    }
}
