//! `check-config`: would `serve` start with a config file, and is it safe?

use std::io::Write as _;

use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_service::{MidtransAccounts, Probe};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::prepared;
use crate::start::runtime;

#[derive(Args)]
pub(crate) struct CheckConfigArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Ask Midtrans, too, whether it takes each key: GET status of an order that does not exist.
    #[arg(long, env = "GOPAY_ADAPTER_ONLINE", value_parser = FalseyValueParser::new())]
    pub(crate) online: bool,
}

pub(crate) fn run(args: &CheckConfigArgs) -> anyhow::Result<Outcome> {
    let prepared = match prepared(&args.config)? {
        Ok(prepared) => prepared,
        Err(no) => return Ok(no),
    };
    let path = args.config.config.display();
    let mut err = std::io::stderr().lock();
    for warning in &prepared.config.warnings {
        writeln!(err, "{path}: warning: {warning}")?;
    }
    if args.online {
        let refused = runtime()?.block_on(refused_keys(&prepared.parties.midtrans));
        for why in &refused {
            writeln!(err, "{path}: {why}")?;
        }
        if !refused.is_empty() {
            return Ok(Outcome::No);
        }
    }
    writeln!(std::io::stdout(), "{path}: valid")?;
    Ok(Outcome::Done)
}

/// What does not let us make payments, a line an account.
async fn refused_keys(accounts: &MidtransAccounts) -> Vec<String> {
    let mut refused = Vec::new();
    let mut all: Vec<_> = accounts.all().collect();
    all.sort_by_key(|account| account.label());
    for account in all {
        let section = account.label();
        refused.extend(match gopay_service::probe(account).await {
            Probe::LetIn => None,
            Probe::Refused(why) => {
                let key = format!("midtrans.{section}.server_key");
                Some(format!(
                    "{key}: Midtrans does not take it ({why}); valid: that of the account"
                ))
            }
            Probe::Unknown(why) => {
                let key = format!("midtrans.{section}.base_url");
                Some(format!("{key}: no answer that says whether the key is taken ({why})"))
            }
        });
    }
    refused
}
