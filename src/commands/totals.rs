//! `totals`: the sums over the whole store, and whether they are what the rows say.

use std::io::Write as _;

use clap::Args;
use gopay_store::Totals;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct TotalsArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Counts every row as well, and answers "no" if the sums that are kept by day are not the same.
    #[arg(long, env = "GOPAY_ADAPTER_RECOUNT")]
    pub(crate) recount: bool,
    /// Writes the sums anew from the rows if they are not the same. Calls wait meanwhile.
    #[arg(long, env = "GOPAY_ADAPTER_REPAIR", requires = "recount")]
    pub(crate) repair: bool,
}

pub(crate) fn run(args: &TotalsArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    runtime()?.block_on(async {
        let store = if args.repair {
            Engine::open_for_finance(&config.store, &config.keys, config.connections).await?
        } else {
            Engine::open_as_it_is(&config.store).await?
        };
        let told = tell(&store, args).await;
        store.close().await?;
        told
    })
}

async fn tell(store: &Engine, args: &TotalsArgs) -> anyhow::Result<Outcome> {
    let (store, mut out) = (store.handle(), std::io::stdout().lock());
    if !args.recount {
        writeln!(out, "{}", text(&store.totals().await?)?)?;
        return Ok(Outcome::Done);
    }
    let (mut kept, mut counted) = (store.totals().await?, store.totals_counted().await?);
    if same(&kept, &counted) {
        writeln!(out, "{}", text(&kept)?)?;
        writeln!(out, "the sums by day are what the rows say")?;
        return Ok(Outcome::Done);
    }
    writeln!(out, "sums by day: {}", text(&kept)?)?;
    writeln!(out, "counted:     {}", text(&counted)?)?;
    if !args.repair {
        writeln!(out, "they differ: while calls come in, count again; else repair with --repair")?;
        return Ok(Outcome::No);
    }
    store.totals_refill().await?;
    (kept, counted) = (store.totals().await?, store.totals_counted().await?);
    writeln!(out, "written anew: {}", text(&kept)?)?;
    Ok(if same(&kept, &counted) { Outcome::Done } else { Outcome::No })
}

/// Whether what is kept by day is the same; what needs a person is counted either way.
fn same(kept: &Totals, counted: &Totals) -> bool {
    let attention = kept.attention;
    *kept == Totals { attention, ..counted.clone() }
}

fn text(totals: &Totals) -> anyhow::Result<String> {
    Ok(serde_json::to_string(totals)?)
}
