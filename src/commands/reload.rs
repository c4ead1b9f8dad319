//! `reload`: has a running `serve` read its config again.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use gopay_outbound::{AddressPolicy, HttpTransport, Method, Outgoing, Transport as _};
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::prepared;
use crate::start::runtime;

#[derive(Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where the admin listener is reached; that of the config if absent.
    #[arg(long, env = "GOPAY_ADAPTER_ADMIN_URL")]
    pub(crate) admin_url: Option<String>,
    /// Name and token of an operator, as NAME.TOKEN, if the config has any.
    #[arg(long, env = "GOPAY_ADAPTER_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Why, for the log.
    #[arg(long, env = "GOPAY_ADAPTER_REASON")]
    pub(crate) reason: Option<String>,
}

pub(crate) fn run(args: &ReloadArgs) -> anyhow::Result<Outcome> {
    // What is wrong is told here already, with the file's name.
    let prepared = match prepared(&args.config)? {
        Ok(prepared) => prepared,
        Err(no) => return Ok(no),
    };
    let listen = &prepared.config.listen;
    let scheme = if listen.admin_tls.is_some() { "https" } else { "http" };
    let own = format!("{scheme}://{}", listen.admin);
    let admin = args.admin_url.as_deref().unwrap_or(&own).trim_end_matches('/');
    let (status, answer) = runtime()?.block_on(ask(admin, args))?;
    let mut out = std::io::stdout().lock();
    let list = |key: &str| -> Vec<String> {
        let list = answer.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    if status == 200 {
        writeln!(out, "reloaded")?;
        for warning in list("warnings") {
            writeln!(out, "warning: {warning}")?;
        }
        for key in list("waiting") {
            writeln!(out, "waits for a restart: {key}")?;
        }
        return Ok(Outcome::Done);
    }
    let mut err = std::io::stderr().lock();
    let reason = answer.get("reason").and_then(Value::as_str).unwrap_or("no reason");
    writeln!(err, "{admin}: not reloaded: {reason} ({status})")?;
    for problem in list("problems") {
        writeln!(err, "{problem}")?;
    }
    Ok(Outcome::No)
}

async fn ask(admin: &str, args: &ReloadArgs) -> anyhow::Result<(u16, Value)> {
    const REPLY_BYTES_MAX: usize = 1024 * 1024;
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if let Some(token) = &args.token {
        headers.push(("authorization", format!("Bearer {token}")));
    }
    let transport = HttpTransport::builder(AddressPolicy::any()).build()?;
    let request = Outgoing {
        method: Method::Post,
        url: format!("{admin}/admin/v1/reload"),
        headers,
        body: Bytes::from(json!({"reason": args.reason}).to_string()),
        timeout: Duration::from_secs(30),
        reply_bytes_max: REPLY_BYTES_MAX,
    };
    let answer = transport.send(request).await;
    let answer =
        answer.with_context(|| format!("the admin listener at {admin} does not answer"))?;
    Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
}
