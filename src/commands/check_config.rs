//! `check-config`: would `serve` start with a config file, and is it safe?

use std::io::Write as _;
use std::path::Path;

use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_service::{MidtransAccounts, Probe};
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::config::{Problem, Warning};
use crate::start::{self, runtime};

#[derive(Args)]
pub(crate) struct CheckConfigArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Ask Midtrans, too, whether it takes each key: GET status of an order that does not exist.
    #[arg(long, env = "GOPAY_ADAPTER_ONLINE", value_parser = FalseyValueParser::new())]
    pub(crate) online: bool,
    /// One JSON object instead of text: valid, problems, warnings, and what Midtrans refuses.
    #[arg(long, env = "GOPAY_ADAPTER_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &CheckConfigArgs) -> anyhow::Result<Outcome> {
    let checked = check(args)?;
    if args.json {
        writeln!(std::io::stdout(), "{}", checked.as_json())?;
    } else {
        checked.write(&args.config.config)?;
    }
    Ok(if checked.valid() { Outcome::Done } else { Outcome::No })
}

/// What was found.
#[derive(Default)]
struct Checked {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    /// By Midtrans, a line an account.
    refused: Vec<String>,
}

fn check(args: &CheckConfigArgs) -> anyhow::Result<Checked> {
    let prepared = match crate::config::read(&args.config.config).and_then(start::prepare) {
        Ok(prepared) => prepared,
        Err(problems) => return Ok(Checked { problems, ..Checked::default() }),
    };
    let mut checked = Checked { warnings: prepared.config.warnings, ..Checked::default() };
    if args.online {
        checked.refused = runtime()?.block_on(refused_keys(&prepared.parties.midtrans));
    }
    Ok(checked)
}

impl Checked {
    const fn valid(&self) -> bool {
        self.problems.is_empty() && self.refused.is_empty()
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let path = path.display();
        let mut err = std::io::stderr().lock();
        for problem in &self.problems {
            writeln!(err, "{path}: {problem}")?;
        }
        for warning in &self.warnings {
            writeln!(err, "{path}: warning: {warning}")?;
        }
        for why in &self.refused {
            writeln!(err, "{path}: {why}")?;
        }
        if self.valid() {
            writeln!(std::io::stdout(), "{path}: valid")?;
        }
        Ok(())
    }

    fn as_json(&self) -> Value {
        let problems: Vec<Value> = self
            .problems
            .iter()
            .map(|one| json!({"key": one.key, "wrong": one.wrong, "valid": one.wanted}))
            .collect();
        let warnings: Vec<Value> = self
            .warnings
            .iter()
            .map(|one| json!({"key": one.key, "risk": one.risk, "better": one.better}))
            .collect();
        json!({"valid": self.valid(), "problems": problems, "warnings": warnings, "midtrans_refuses": self.refused})
    }
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
