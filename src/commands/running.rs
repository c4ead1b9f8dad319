//! What commands ask of a running `serve`, over its admin listener.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use gopay_outbound::{AddressPolicy, HttpTransport, Method, Outgoing, Transport as _};
use serde_json::Value;

use crate::config::Listen;
use crate::start::runtime;

/// Which one, and by whom.
#[derive(Args)]
pub(crate) struct RunningArgs {
    /// Where the admin listener is reached; that of the config if absent.
    #[arg(long, env = "GOPAY_ADAPTER_ADMIN_URL")]
    admin_url: Option<String>,
    /// Name and token of an operator, as NAME.TOKEN, if the config has any.
    #[arg(long, env = "GOPAY_ADAPTER_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// What the running program answered.
pub(crate) struct Told {
    /// Who was asked.
    pub(crate) admin: String,
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Told {
    /// Why not.
    pub(crate) fn reason(&self) -> &str {
        self.body.get("reason").and_then(Value::as_str).unwrap_or("no reason")
    }
}

impl RunningArgs {
    /// Sends a document to a path of the admin listener.
    pub(crate) fn post(&self, listen: &Listen, path: &str, body: &Value) -> anyhow::Result<Told> {
        const REPLY_BYTES_MAX: usize = 1024 * 1024;
        let scheme = if listen.admin_tls.is_some() { "https" } else { "http" };
        let own = format!("{scheme}://{}", listen.admin);
        let admin = self.admin_url.as_deref().unwrap_or(&own).trim_end_matches('/').to_owned();
        let mut headers = vec![("content-type", "application/json".to_owned())];
        if let Some(token) = &self.token {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        let request = Outgoing {
            method: Method::Post,
            url: format!("{admin}{path}"),
            headers,
            body: Bytes::from(body.to_string()),
            timeout: Duration::from_secs(30),
            reply_bytes_max: REPLY_BYTES_MAX,
        };
        let answer = runtime()?.block_on(async {
            let transport = HttpTransport::builder(AddressPolicy::any()).build()?;
            let answer = transport.send(request).await;
            answer.with_context(|| format!("the admin listener at {admin} does not answer"))
        })?;
        let body = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(Told { admin, status: answer.status, body })
    }
}
