//! `adjust`: asks for corrections of settlements, and approves them.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use gopay_finance::SettlementAccount;
use gopay_service::{Clock as _, SystemClock};
use gopay_store::StoredAdjustment;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::whole_config;
use crate::config::Settlement;
use crate::finance::adjustments;
use crate::finance::approvals::{self, Done};
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct AdjustArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Corrections: id,contract,amount,reason,by,approved_by. Where approved_by is empty, they are asked
    /// for; where another person is named, what was asked for in an earlier run is approved.
    #[arg(long, env = "GOPAY_ADAPTER_ADJUSTMENTS")]
    pub(crate) adjustments: PathBuf,
}

pub(crate) fn run(args: &AdjustArgs) -> anyhow::Result<Outcome> {
    let config = match whole_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let lines = adjustments::read(&args.adjustments)?;
    let owned = owned(&config.settlement, lines)?;
    let source = args.adjustments.display().to_string();
    let done = runtime()?.block_on(async {
        let store =
            Engine::open_for_finance(&config.store, &config.keys, config.connections).await?;
        let handle = store.handle();
        let done = approvals::act(handle.as_ref(), &owned, &source, SystemClock.now()).await;
        drop(handle);
        store.close().await?;
        done.with_context(|| source.clone())
    })?;
    let mut out = std::io::stdout().lock();
    for ((_, one), done) in owned.iter().zip(done) {
        let told = match done {
            Done::Asked => format!("asked for by {}; another person has to approve it", one.by),
            Done::Approved => {
                format!("approved by {}; the next settle can take it", one.approved_by)
            }
            Done::Nothing => "as it was".to_owned(),
        };
        writeln!(out, "{}: {told}", one.id)?;
    }
    Ok(Outcome::Done)
}

/// Each correction with the account of its contract.
fn owned(
    settlement: &Settlement,
    lines: Vec<StoredAdjustment>,
) -> anyhow::Result<Vec<(SettlementAccount, StoredAdjustment)>> {
    let mut owned = Vec::new();
    for one in lines {
        let owner = settlement.accounts.iter().find(|account| {
            account.contracts.iter().any(|contract| contract.contract == one.contract)
        });
        let Some(owner) = owner else {
            bail!("adjustment {:?}: contract {:?} is not settled", one.id, one.contract);
        };
        owned.push((owner.account, one));
    }
    Ok(owned)
}
