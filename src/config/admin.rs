//! `[admin]`: who may use the admin listener, and under which names it is reached.

use std::collections::BTreeSet;

use gopay_service::{Operator, Role};

use super::client::check_hash;
use super::host::{self, Reach};
use super::listen::Listen;
use super::section::Section;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admin {
    /// Names of the listener beside addresses and localhost.
    pub(crate) hosts: Vec<String>,
    pub(crate) operators: Vec<Operator>,
}

pub(super) fn read_admin(admin: &mut Section<'_>, to: &mut Admin) {
    if let Some(hosts) = admin.texts("hosts") {
        for host in &hosts {
            if host.contains([':', '/', '*']) || host.is_empty() {
                let wrong = format!("{host:?} is no host name");
                admin.problem("hosts", &wrong, "names without a port, such as [\"ops.internal\"]");
            }
        }
        to.hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    }
    to.operators = admin.list("token", "name", &mut BTreeSet::new(), read_token);
}

fn read_token(token: &mut Section<'_>) -> Option<Operator> {
    const ROLES: &str = "a list of read, operate, finance and directory";
    let name = token.required("name");
    if name.as_deref().is_some_and(|name| name.contains([':', '.'])) {
        token.problem("name", "holds a colon or a stop", "a name without them");
    }
    let hash = token.secret("hash");
    if let Some(hash) = &hash {
        check_hash(token, "hash", hash);
    }
    let words = token.texts("roles").unwrap_or_default();
    let roles: Option<Vec<Role>> = words.iter().map(|word| Role::from_word(word)).collect();
    let roles = roles.filter(|roles| !roles.is_empty());
    if roles.is_none() && !token.reported("roles") {
        token.problem("roles", "not roles", ROLES);
    }
    Some(Operator { name: name?, hash: hash?, roles: roles? })
}

/// Without tokens, whoever reaches the admin listener may do everything.
pub(super) fn check_admin(root: &mut Section<'_>, listen: &Listen, admin: &Admin) {
    const KEY: &str = "listen.admin";
    let Listen { psp, public, admin: own, .. } = listen;
    if root.reported(KEY) || root.reported_within("admin") {
        return;
    }
    let shared = [("public", public), ("psp", psp)].into_iter().find(|(_, other)| *other == own);
    let machine = host::of_address(own.ip()) == Reach::Machine;
    let open = admin.operators.is_empty();
    match shared {
        Some((other, _)) if !machine => {
            let wrong = format!("the address of {other}: callers would read the sums");
            root.problem(KEY, &wrong, "an address that only operators reach");
        }
        Some((other, _)) => {
            let opens = if open {
                "lets callers read the sums, and refund"
            } else {
                "shows callers a login"
            };
            let risk = format!("the address of {other}: a proxy that forwards every path {opens}");
            root.warn(KEY, &risk, "an address of its own");
        }
        None if !machine && open => root.problem(
            KEY,
            "off the loopback address, and nobody is asked for a token",
            "127.0.0.1, or an [[admin.token]] for each who may use it",
        ),
        None if !machine && listen.admin_tls.is_none() => root.warn(
            KEY,
            "off the loopback address without TLS: tokens can be read on the way",
            "[listen.admin_tls], or 127.0.0.1",
        ),
        None => {}
    }
}
