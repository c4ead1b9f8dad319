//! Routes of a listener, and in tests the table of what is routed.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use crate::App;

/// Paths with their handlers.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<App>,
    #[cfg(test)]
    pub(crate) table: Vec<(&'static str, &'static str)>,
}

impl Routes {
    pub(crate) fn get<H: Handler<T, App>, T: 'static>(self, path: &'static str, to: H) -> Self {
        self.add("get", path, routing::get(to))
    }

    pub(crate) fn post<H: Handler<T, App>, T: 'static>(self, path: &'static str, to: H) -> Self {
        self.add("post", path, routing::post(to))
    }

    #[cfg_attr(not(test), expect(unused_variables, reason = "the table is for tests"))]
    fn add(self, method: &'static str, path: &'static str, to: MethodRouter<App>) -> Self {
        Self {
            router: self.router.route(path, to),
            #[cfg(test)]
            table: [self.table, vec![(path, method)]].concat(),
        }
    }

    pub(crate) fn into_router(self, app: App) -> Router {
        self.router.with_state(app)
    }
}
