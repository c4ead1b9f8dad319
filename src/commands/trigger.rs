//! `trigger`: any end of a payment at a running simulator, and whatever else its pages do by clicking.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
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
    #[arg(
        long,
        global = true,
        env = "GOPAY_ADAPTER_SIMULATOR",
        default_value = "http://127.0.0.1:8090"
    )]
    pub(crate) simulator: Url,
    /// Print what the simulator answers as JSON.
    #[arg(long, global = true, env = "GOPAY_ADAPTER_JSON")]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) what: Trigger,
}

/// What happens at the simulator.
#[derive(Subcommand)]
pub(crate) enum Trigger {
    /// The shopper pays from a verified wallet.
    Paid(Payment),
    /// GoPay denies it.
    Declined(Payment),
    /// Its time runs out now.
    Expired(Payment),
    /// It ends without money, if it has not yet, and the money comes afterwards.
    Late(Payment),
    /// It is refunded at Midtrans' dashboard.
    Refund(Amount),
    /// The shopper's side takes money back.
    Chargeback(Amount),
    /// A notification of how it stands is sent.
    Notify(Payment),
    /// Its last notification is sent again.
    Repeat(Payment),
    /// A notification is sent that is signed with another key.
    Forge(Payment),
    /// The clock moves forward.
    Clock {
        /// How far: `1h`, `2h30m`, `30d`.
        span: String,
    },
    /// Something goes wrong from now on: see the simulator's page of faults, and docs/simulator.md.
    Fault {
        /// Where: charge, status, cancel, expire, refund, notification.
        on: String,
        /// What: a word such as `lost_after` or `drop`, or JSON such as `{"http":{"status":503}}`.
        action: String,
        /// About this order only.
        #[arg(long, env = "GOPAY_ADAPTER_ORDER")]
        order: Option<String>,
        /// How often: a number, or `always`.
        #[arg(long, env = "GOPAY_ADAPTER_TIMES", default_value = "1")]
        times: String,
    },
    /// Nothing goes wrong any more.
    NoFaults,
}

#[derive(Args)]
pub(crate) struct Payment {
    /// Its order id (the adapter's TXID), or Midtrans' transaction_id.
    order: String,
}

#[derive(Args)]
pub(crate) struct Amount {
    #[command(flatten)]
    of: Payment,
    /// How much, in whole rupiah; all that is left if absent.
    #[arg(long, env = "GOPAY_ADAPTER_AMOUNT")]
    amount: Option<u64>,
}

impl Amount {
    fn body(&self) -> Value {
        self.amount.map_or(json!({}), |amount| json!({"amount": amount}))
    }
}

/// The simulator answers at once, unless a fault delays it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A transaction with its 200 refunds takes less than 100 KB.
const REPLY_BYTES_MAX: usize = 1 << 20;

pub(crate) fn run(args: &TriggerArgs) -> anyhow::Result<Outcome> {
    install_crypto();
    // The person at the command line may name any address.
    let http = HttpTransport::builder(AddressPolicy::any()).build()?;
    let simulator = Simulator { http, address: &args.simulator };
    let done = runtime()?.block_on(act(&simulator, &args.what))?;
    let mut out = std::io::stdout().lock();
    match done {
        Ok(answer) if args.json => writeln!(out, "{answer}")?,
        Ok(answer) => writeln!(out, "{}", told(&args.what, &answer))?,
        Err(why) => {
            let about = args.what.order().map_or_else(String::new, |order| format!("{order}: "));
            writeln!(std::io::stderr(), "{about}{why}")?;
            return Ok(Outcome::No);
        }
    }
    Ok(Outcome::Done)
}

impl Trigger {
    /// The payment that it is about.
    fn order(&self) -> Option<&str> {
        match self {
            Self::Paid(it) | Self::Declined(it) | Self::Expired(it) | Self::Late(it) => {
                Some(&it.order)
            }
            Self::Notify(it) | Self::Repeat(it) | Self::Forge(it) => Some(&it.order),
            Self::Refund(it) | Self::Chargeback(it) => Some(&it.of.order),
            Self::Clock { .. } | Self::Fault { .. } | Self::NoFaults => None,
        }
    }
}

/// What the simulator answers, or why it refuses.
type Answer = Result<Value, String>;

async fn act(simulator: &Simulator<'_>, what: &Trigger) -> anyhow::Result<Answer> {
    let (order, action, body) = match what {
        Trigger::Paid(it) => (it, "pay", json!({})),
        Trigger::Declined(it) => (it, "deny", json!({})),
        Trigger::Expired(it) => (it, "expire", json!({})),
        Trigger::Refund(it) => (&it.of, "refund", it.body()),
        Trigger::Chargeback(it) => (&it.of, "chargeback", it.body()),
        Trigger::Notify(it) => (it, "notify", json!({})),
        Trigger::Repeat(it) => (it, "notify", json!({"repeat": true})),
        Trigger::Forge(it) => (it, "notify", json!({"forge": true})),
        Trigger::Late(it) => return late(simulator, &it.order).await,
        Trigger::Clock { span } => {
            return simulator.call(Method::Post, &["clock"], &json!({"advance": span})).await;
        }
        Trigger::Fault { on, action, order, times } => {
            let Some(times) = how_often(times) else {
                anyhow::bail!("--times: must be a number or `always`");
            };
            let action = serde_json::from_str(action).unwrap_or_else(|_| json!(action));
            let mut fault = json!({"on": on, "action": action, "times": times});
            if let (Some(fault), Some(order)) = (fault.as_object_mut(), order) {
                fault.insert("order_id".to_owned(), json!(order));
            }
            return simulator.call(Method::Post, &["faults"], &fault).await;
        }
        Trigger::NoFaults => {
            return simulator.call(Method::Post, &["faults", "clear"], &json!({})).await;
        }
    };
    simulator.call(Method::Post, &["transactions", &order.order, action], &body).await
}

/// How often a fault happens: null is always.
fn how_often(text: &str) -> Option<Value> {
    if text == "always" { Some(Value::Null) } else { text.parse::<u64>().ok().map(Value::from) }
}

/// Ends a payment without money, if it has not ended yet, and has the money come.
async fn late(simulator: &Simulator<'_>, order: &str) -> anyhow::Result<Answer> {
    let found = simulator.call(Method::Get, &["transactions", order], &Value::Null).await?;
    let Ok(found) = found else { return Ok(found) };
    if found.get("status").is_some_and(|status| status == "pending") {
        let ended = ["transactions", order, "expire"];
        let ended = simulator.call(Method::Post, &ended, &json!({})).await?;
        if ended.is_err() {
            return Ok(ended);
        }
    }
    simulator.call(Method::Post, &["transactions", order, "settle-late"], &json!({})).await
}

/// A running simulator.
struct Simulator<'a> {
    http: HttpTransport,
    address: &'a Url,
}

impl Simulator<'_> {
    async fn call(&self, method: Method, path: &[&str], body: &Value) -> anyhow::Result<Answer> {
        let mut url = self.address.clone();
        url.path_segments_mut()
            .map_err(|()| {
                anyhow::anyhow!("--simulator: {} is no address of a simulator", self.address)
            })?
            .pop_if_empty()
            .extend(["simulator", "v1"])
            .extend(path);
        let request = Outgoing {
            method,
            url: url.into(),
            headers: vec![("content-type", "application/json".to_owned())],
            body: if method == Method::Post { body.to_string() } else { String::new() }.into(),
            timeout: TIMEOUT,
            reply_bytes_max: REPLY_BYTES_MAX,
        };
        let answer = self.http.send(request).await.with_context(|| {
            format!(
                "no answer from {}: is `gopay-adapter simulate` or `demo` running?",
                self.address
            )
        })?;
        let none = || format!("{} is no simulator", self.address);
        let body: Value = serde_json::from_slice(&answer.body).with_context(none)?;
        if (200..300).contains(&answer.status) {
            return Ok(Ok(body));
        }
        let why = body.pointer("/error/message").and_then(Value::as_str);
        why.map(|why| Err(why.to_owned())).with_context(none)
    }
}

/// One line: what became of it.
fn told(what: &Trigger, answer: &Value) -> String {
    let word = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    match what {
        Trigger::Clock { .. } => format!("it is {} now", word("now")),
        Trigger::Fault { on, .. } => format!("scripted on {on}"),
        Trigger::NoFaults => "no fault is left".to_owned(),
        Trigger::Notify(it) | Trigger::Repeat(it) | Trigger::Forge(it) => {
            format!("{}: a notification is on its way", it.order)
        }
        Trigger::Paid(_)
        | Trigger::Declined(_)
        | Trigger::Expired(_)
        | Trigger::Late(_)
        | Trigger::Refund(_)
        | Trigger::Chargeback(_) => standing(answer),
    }
}

/// How a payment stands.
fn standing(transaction: &Value) -> String {
    let word = |name: &str| transaction.get(name).and_then(Value::as_str).unwrap_or("?");
    let rupiah = |name: &str| transaction.get(name).and_then(Value::as_u64).unwrap_or(0);
    let mut line =
        format!("{}: {}, {} rupiah", word("order_id"), word("status"), rupiah("gross_amount"));
    if rupiah("refunded") > 0 {
        line.push_str(&format!(", {} refunded", rupiah("refunded")));
    }
    line
}
