//! `trigger`: any end of a payment at a running simulator.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use gopay_outbound::{
    AddressPolicy, HttpTransport, Method, Outgoing, Transport as _, install_crypto,
};
use serde_json::{Value, json};
use url::Url;

use crate::Outcome;
use crate::start::runtime;

#[derive(Args)]
pub(crate) struct TriggerArgs {
    /// Where the simulator is.
    #[arg(long, env = "GOPAY_ADAPTER_SIMULATOR", default_value = "http://127.0.0.1:8090")]
    pub(crate) simulator: Url,
    /// What happens to the payment.
    #[arg(value_enum)]
    pub(crate) outcome: Wanted,
    /// Its order id (the adapter's TXID), or Midtrans' transaction_id.
    pub(crate) order: String,
    /// How much is refunded, in whole rupiah; all that is left if absent.
    #[arg(long, env = "GOPAY_ADAPTER_AMOUNT")]
    pub(crate) amount: Option<u64>,
    /// Print the transaction as JSON.
    #[arg(long, env = "GOPAY_ADAPTER_JSON")]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wanted {
    /// The shopper pays from a verified wallet.
    Paid,
    /// GoPay denies it.
    Declined,
    /// Its time runs out now.
    Expired,
    /// It ends without money, if it has not yet, and the money comes afterwards.
    Late,
    /// It is refunded at Midtrans' dashboard.
    Refund,
}

/// The simulator answers at once, unless a fault delays it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A transaction with its 200 refunds takes less than 100 KB.
const REPLY_BYTES_MAX: usize = 1 << 20;

pub(crate) fn run(args: &TriggerArgs) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        args.amount.is_none() || args.outcome == Wanted::Refund,
        "--amount is for refund only"
    );
    install_crypto();
    // The person at the command line may name any address.
    let http = HttpTransport::builder(AddressPolicy::any()).build()?;
    let done = runtime()?.block_on(act(&http, args))?;
    let mut out = std::io::stdout().lock();
    match done {
        Ok(transaction) if args.json => writeln!(out, "{transaction}")?,
        Ok(transaction) => writeln!(out, "{}", told(&transaction))?,
        Err(why) => {
            writeln!(std::io::stderr(), "{}: {why}", args.order)?;
            return Ok(Outcome::No);
        }
    }
    Ok(Outcome::Done)
}

/// The transaction afterwards, or why the simulator refused.
async fn act(http: &HttpTransport, args: &TriggerArgs) -> anyhow::Result<Result<Value, String>> {
    let refund = args.amount.map_or(json!({}), |amount| json!({"amount": amount}));
    let (action, body) = match args.outcome {
        Wanted::Paid => ("pay", json!({})),
        Wanted::Declined => ("deny", json!({})),
        Wanted::Expired => ("expire", json!({})),
        Wanted::Refund => ("refund", refund),
        Wanted::Late => {
            let found = call(http, args, Method::Get, None, &Value::Null).await?;
            match found {
                Ok(found) if found.get("status").is_some_and(|status| status == "pending") => {
                    if let Err(why) =
                        call(http, args, Method::Post, Some("expire"), &json!({})).await?
                    {
                        return Ok(Err(why));
                    }
                }
                Ok(_) => {}
                Err(why) => return Ok(Err(why)),
            }
            ("settle-late", json!({}))
        }
    };
    call(http, args, Method::Post, Some(action), &body).await
}

async fn call(
    http: &HttpTransport,
    args: &TriggerArgs,
    method: Method,
    action: Option<&str>,
    body: &Value,
) -> anyhow::Result<Result<Value, String>> {
    let mut url = args.simulator.clone();
    url.path_segments_mut()
        .map_err(|()| {
            anyhow::anyhow!("--simulator: {} is no address of a simulator", args.simulator)
        })?
        .pop_if_empty()
        .extend(["simulator", "v1", "transactions", &args.order])
        .extend(action);
    let request = Outgoing {
        method,
        url: url.into(),
        headers: vec![("content-type", "application/json".to_owned())],
        body: if method == Method::Get { String::new() } else { body.to_string() }.into(),
        timeout: TIMEOUT,
        reply_bytes_max: REPLY_BYTES_MAX,
    };
    let answer = http.send(request).await.with_context(|| {
        format!("no answer from {}: is `gopay-adapter simulate` or `demo` running?", args.simulator)
    })?;
    let body: Value = serde_json::from_slice(&answer.body)
        .with_context(|| format!("{} is no simulator", args.simulator))?;
    if (200..300).contains(&answer.status) {
        return Ok(Ok(body));
    }
    let why = body.pointer("/error/message").and_then(Value::as_str);
    why.map(|why| Err(why.to_owned()))
        .with_context(|| format!("{} is no simulator", args.simulator))
}

/// One line: what became of it.
fn told(transaction: &Value) -> String {
    let word = |name: &str| transaction.get(name).and_then(Value::as_str).unwrap_or("?");
    let rupiah = |name: &str| transaction.get(name).and_then(Value::as_u64).unwrap_or(0);
    let mut line =
        format!("{}: {}, {} rupiah", word("order_id"), word("status"), rupiah("gross_amount"));
    if rupiah("refunded") > 0 {
        line.push_str(&format!(", {} refunded", rupiah("refunded")));
    }
    line
}
