//! `attention`: what needs a person, and since when.

use std::io::Write as _;

use clap::Args;
use gopay_core::money::Sen;
use gopay_service::{AttentionList, Clock as _, Item, SystemClock};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct AttentionArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// One JSON object instead of text, as `GET /admin/v1/attention` answers it.
    #[arg(long, env = "GOPAY_ADAPTER_JSON")]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &AttentionArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let list = runtime()?.block_on(async {
        let store = Engine::open_read_only(&config.store, &config.keys).await?;
        let list = gopay_service::attention(store.handle().as_ref(), SystemClock.now()).await?;
        store.close().await?;
        anyhow::Ok(list)
    })?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", gopay_core::text::printable_json(&serde_json::to_string(&list)?))?;
    } else {
        write_list(&mut out, &list)?;
    }
    Ok(Outcome::Done)
}

fn write_list(out: &mut impl std::io::Write, list: &AttentionList) -> std::io::Result<()> {
    let sums = &list.sums;
    writeln!(
        out,
        "{} payments and {} unknown orders need a person; {} are at risk",
        sums.payments,
        sums.orders,
        rupiah(sums.at_risk_sen)
    )?;
    for item in &list.items {
        write_item(out, item)?;
    }
    let all = sums.payments.saturating_add(sums.orders);
    let shown = u64::try_from(list.items.len()).unwrap_or(u64::MAX);
    if shown < all {
        writeln!(out, "\n{} more are not shown", all.saturating_sub(shown))?;
    }
    Ok(())
}

/// What comes from outside is quoted, so that it can forge no line.
fn write_item(out: &mut impl std::io::Write, item: &Item) -> std::io::Result<()> {
    writeln!(
        out,
        "\n{} {} on {}: {} at risk since {} ({})",
        item.kind,
        item.txid,
        item.channel.unwrap_or("no channel"),
        rupiah(item.at_risk_sen),
        item.since,
        age(item.age_seconds)
    )?;
    writeln!(out, "  {}: expected {:?}, found {:?}", item.what, item.expected, item.found)?;
    let transaction = item.midtrans_transaction_id.as_deref().unwrap_or("none");
    write!(out, "  at Midtrans: status {:?}, transaction {transaction:?}", item.midtrans_status)?;
    match &item.midtrans_account {
        Some(account) => writeln!(out, ", account {account}")?,
        None => writeln!(out)?,
    }
    if let (Some(contract), Some(state)) = (&item.contract, item.state) {
        let reference = item.merchanttxid.as_deref().unwrap_or("none");
        writeln!(out, "  contract {contract}, merchanttxid {reference:?}, state {state}")?;
    }
    let todo = match item.standing {
        "returning" => "the money goes back to the shopper; Midtrans has not confirmed that yet",
        // There is no payment whose refund could be told of.
        _ if item.kind == "order" => {
            "decide: gopay-adapter resolve TXID paid|failed --reason TEXT --by NAME"
        }
        _ => "decide: gopay-adapter resolve TXID paid|failed|refund --reason TEXT --by NAME",
    };
    writeln!(out, "  {todo}")
}

/// `IDR 10071.00 (1007100 sen)`.
fn rupiah(sen: u64) -> String {
    format!("IDR {} ({sen} sen)", Sen::new(sen).decimal_text())
}

/// In the largest unit of which there is one.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_ages_are_told_exactly() {
        for (sen, text) in [
            (0, "IDR 0.00 (0 sen)"),
            (1_007_105, "IDR 10071.05 (1007105 sen)"),
            (7, "IDR 0.07 (7 sen)"),
        ] {
            assert_eq!(rupiah(sen), text);
        }
        for (seconds, text) in
            [(59, "59 s"), (60, "1 min"), (3_599, "59 min"), (7_200, "2 h"), (200_000, "2 days")]
        {
            assert_eq!(age(seconds), text);
        }
    }
}
