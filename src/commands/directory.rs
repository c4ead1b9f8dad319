//! `directory`: PSPs, contracts and accounts in the store, from a file and to a file.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use gopay_core::text::printable_json;
use gopay_core::time::Timestamp;
use gopay_service::desk::{DirectoryError, check_texts};
use gopay_service::{Clock as _, SystemClock};
use secrecy::{ExposeSecret as _, SecretString};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::report;
use crate::config::{Config, ConfigText, Problem, Source, StoredEntry, StoredSection};
use crate::directory::{Book, ChangeError, Changed, Changing, Document, Entering, enter, exported};
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct DirectoryArgs {
    #[command(subcommand)]
    command: DirectoryCommand,
}

#[derive(Subcommand)]
enum DirectoryCommand {
    /// Enters the clients, contracts and Midtrans accounts of a file: new ones, and others in place of
    /// those that are there. As a whole or not at all; every instance goes by it within seconds. Answers
    /// "no" if it is not valid.
    Import(ImportArgs),
    /// Writes what is valid now, or at another time, as a file that `import` reads. `stored:1` and so on
    /// stand for secrets, and keep them when they are imported.
    Export(ExportArgs),
}

#[derive(Args)]
struct ImportArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// TOML with `[[client]]`, `[[contract]]` and `[midtrans.NAME]`, as in a config; the other sections of a
    /// config are left out. `env:NAME` and `file:PATH` are looked up here and now.
    file: PathBuf,
    /// Why; kept.
    #[arg(long, env = "GOPAY_ADAPTER_REASON")]
    reason: String,
    /// Who; kept.
    #[arg(long, env = "GOPAY_ADAPTER_BY")]
    by: String,
    /// From when on it counts, such as 2026-12-01T00:00:00Z; at once if absent.
    #[arg(long, env = "GOPAY_ADAPTER_VALID_FROM", value_parser = time)]
    valid_from: Option<Timestamp>,
    /// Only checks it.
    #[arg(long, env = "GOPAY_ADAPTER_DRY_RUN", value_parser = FalseyValueParser::new())]
    dry_run: bool,
    /// Stores secrets as plain text although there is no key in [[store.encryption]].
    #[arg(long, env = "GOPAY_ADAPTER_PLAIN_SECRETS", value_parser = FalseyValueParser::new())]
    plain_secrets: bool,
}

#[derive(Args)]
struct ExportArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where to; standard output if absent. A file that is there is not overwritten.
    file: Option<PathBuf>,
    /// At which time; now if absent.
    #[arg(long, env = "GOPAY_ADAPTER_AT", value_parser = time)]
    at: Option<Timestamp>,
    /// Writes the secrets themselves.
    #[arg(long, env = "GOPAY_ADAPTER_WITH_SECRETS", value_parser = FalseyValueParser::new())]
    with_secrets: bool,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_rfc3339(text).map_err(|error| error.to_string())
}

pub(crate) fn run(args: &DirectoryArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        DirectoryCommand::Import(args) => import(args),
        DirectoryCommand::Export(args) => export(args),
    }
}

fn import(args: &ImportArgs) -> anyhow::Result<Outcome> {
    check_texts(&args.reason, &args.by)?;
    let path = &args.config.config;
    let read = ConfigText::read(path).and_then(|text| Ok((text.alone()?, text)));
    let (config, text) = match read {
        Ok(read) => read,
        Err(problems) => {
            report(path, &problems)?;
            return Ok(Outcome::No);
        }
    };
    let document = std::fs::read_to_string(&args.file).map(SecretString::from);
    let document = document.with_context(|| format!("cannot read {}", args.file.display()))?;
    let document = match Document::of_file(document.expose_secret()) {
        Ok(document) => document,
        Err(problems) => {
            report(&args.file, &problems)?;
            return Ok(Outcome::No);
        }
    };
    let (by, reason) = (args.by.clone(), args.reason.clone());
    let entering = Entering { by, reason, valid_from: args.valid_from };
    let entered = runtime()?.block_on(async {
        let store =
            Engine::open_for_finance(&config.store, &config.keys, config.connections).await?;
        let handle = store.handle();
        let changing = Changing {
            store: handle.as_ref(),
            config: &text,
            may_hold_secrets: store.layer().is_some() || args.plain_secrets,
            dry_run: args.dry_run,
        };
        let entered = enter(&changing, &document, &entering, || SystemClock.now()).await;
        drop(handle);
        store.close().await?;
        anyhow::Ok(entered)
    })?;
    match entered {
        Ok(changed) => told(args, &config, &changed).map(|()| Outcome::Done),
        Err(ChangeError::Problems(problems)) => {
            report(&args.file, &problems)?;
            writeln!(std::io::stderr(), "nothing has changed")?;
            Ok(Outcome::No)
        }
        Err(ChangeError::Others) => {
            writeln!(std::io::stderr(), "{}", DirectoryError::Others)?;
            Ok(Outcome::No)
        }
        Err(ChangeError::Store(error)) => Err(error.into()),
    }
}

fn told(args: &ImportArgs, config: &Config, changed: &Changed) -> anyhow::Result<()> {
    let file = args.file.display();
    let mut err = std::io::stderr().lock();
    for warning in &changed.warnings {
        writeln!(err, "{file}: warning: {warning}")?;
    }
    let mut out = std::io::stdout().lock();
    let counts = changed.entered.iter();
    let counts: Vec<String> =
        counts.map(|(kind, count)| format!("{count} {}", plural(kind.as_str(), *count))).collect();
    let unchanged = changed.unchanged;
    if counts.is_empty() {
        writeln!(out, "{file}: nothing is new; {unchanged} as they are")?;
        return Ok(());
    }
    let counts = counts.join(", ");
    let from = changed.valid_from.map(|at| at.to_string()).unwrap_or_default();
    match changed.change {
        Some(change) => {
            let entered = "entered as change";
            writeln!(
                out,
                "{file}: {counts} {entered} {change}, valid from {from}; {unchanged} as they are"
            )?;
        }
        None => {
            writeln!(out, "{file}: valid: {counts} to be entered; {unchanged} as they are")?;
        }
    }
    if config.directory == Source::File && changed.change.is_some() {
        writeln!(
            out,
            "they are used once {} has directory.source = \"store\" and none of these sections",
            args.config.config.display()
        )?;
    }
    Ok(())
}

fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

fn export(args: &ExportArgs) -> anyhow::Result<Outcome> {
    let config = match super::valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let book = runtime()?.block_on(async {
        let store = Engine::open_read_only(&config.store, &config.keys).await?;
        let book = Book::read(store.handle().as_ref()).await;
        store.close().await?;
        anyhow::Ok(book?)
    })?;
    let valid = book.into_entries(args.at.unwrap_or_else(|| SystemClock.now()));
    let read: Result<Vec<StoredSection>, Problem> =
        valid.into_iter().map(StoredEntry::into_section).collect();
    let sections = match read {
        Ok(sections) => sections,
        Err(problem) => {
            report(&args.config.config, &[problem])?;
            return Ok(Outcome::No);
        }
    };
    let count = sections.len();
    let text = SecretString::from(exported(sections, args.with_secrets)?);
    let Some(path) = &args.file else {
        // What people typed may hold characters that a terminal acts on; TOML writes them as escapes.
        std::io::stdout().write_all(text.expose_secret().as_bytes())?;
        return Ok(Outcome::Done);
    };
    // For its owner only, as all that this program writes.
    let mut file = std::fs::File::create_new(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.sync_all()?;
    let path = printable_json(&path.display().to_string());
    writeln!(std::io::stdout(), "{path}: {count} sections")?;
    Ok(Outcome::Done)
}
