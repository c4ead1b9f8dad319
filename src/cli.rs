//! The command line.

use clap::{Parser, Subcommand};

use crate::args::ConfigArgs;

use crate::commands::acknowledge_lost::AcknowledgeLostArgs;
use crate::commands::adjust::AdjustArgs;
use crate::commands::attention::AttentionArgs;
use crate::commands::backup::BackupArgs;
use crate::commands::certify::CertifyArgs;
use crate::commands::check_config::CheckConfigArgs;
#[cfg(feature = "manual")]
use crate::commands::completions::CompletionsArgs;
#[cfg(feature = "postgres")]
use crate::commands::copy_store::CopyArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::directory::DirectoryArgs;
use crate::commands::erase::EraseArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::journal::JournalArgs;
use crate::commands::listen::ListenArgs;
#[cfg(feature = "manual")]
use crate::commands::man::ManArgs;
use crate::commands::process_files::ProcessArgs;
#[cfg(feature = "reconcile")]
use crate::commands::propose_mapping::ProposeArgs;
#[cfg(feature = "reconcile")]
use crate::commands::reconcile::ReconcileArgs;
use crate::commands::recover::RecoverArgs;
use crate::commands::redeliver::RedeliverArgs;
use crate::commands::reload::ReloadArgs;
use crate::commands::resolve::ResolveArgs;
use crate::commands::retain::RetainArgs;
use crate::commands::serve::ServeArgs;
use crate::commands::settle::SettleArgs;
use crate::commands::simulate::SimulateArgs;
use crate::commands::totals::TotalsArgs;
use crate::commands::translate::TranslateArgs;
use crate::commands::trigger::TriggerArgs;
use crate::commands::verify_files::VerifyArgs;
use crate::telemetry::{LogFilter, LogFormat};

/// Turns PPRO Simple API calls into GoPay payments at Midtrans.
///
/// Exit codes: 0 done, 1 the answer is "no", 2 wrong usage, 3 failed.
#[derive(Parser)]
#[command(name = "gopay-adapter", version = VERSION, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to log, to standard error: off, error, warn, info, debug, trace, or a filter such as
    /// `info,gopay_service=debug`.
    #[arg(long, global = true, env = "GOPAY_ADAPTER_LOG", default_value = "info")]
    pub(crate) log: LogFilter,
    /// How a line of the log looks.
    #[arg(
        long,
        global = true,
        env = "GOPAY_ADAPTER_LOG_FORMAT",
        value_enum,
        default_value_t = LogFormat::Text
    )]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Version and commit.
pub(crate) const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("GOPAY_ADAPTER_COMMIT"), ")");

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Everything in one process: adapter, simulator, shop, PSP. No other server, no keys.
    Demo(DemoArgs),
    /// The adapter.
    Serve(ServeArgs),
    /// The GoPay and Midtrans simulator alone.
    Simulate(SimulateArgs),
    /// Does at a running simulator what its pages do by clicking: any end of a payment, refunds,
    /// notifications, faults, the clock. Answers "no" if the simulator refuses.
    Trigger(TriggerArgs),
    /// Plays notifications at a PSP's endpoint, good, repeated, late and forged ones, and reports what it
    /// does wrong. Answers "no" if it does anything wrong.
    Certify(CertifyArgs),
    /// Forwards a running adapter's notifications to another address as well, such as a local port,
    /// signed as the adapter signs them. Their own receivers miss nothing.
    Listen(ListenArgs),
    /// Creates or upgrades the schema of the store.
    Migrate(ConfigArgs),
    /// Reports every problem of a config file, each with its key and what would be valid.
    CheckConfig(CheckConfigArgs),
    /// PSPs, contracts and Midtrans accounts that stand in the store (directory.source) in place of the
    /// config file.
    Directory(DirectoryArgs),
    /// Asks for a password, or reads it from standard input, and prints its hash for the config.
    HashPassword,
    /// Translates offline: one form body a line in, one JSON object a line out.
    Translate(TranslateArgs),
    /// Writes a consistent copy of the store, also while `serve` runs.
    Backup(BackupArgs),
    /// Copies a whole store from one engine to the other and compares both. Stop every instance
    /// first; the target must be empty.
    #[cfg(feature = "postgres")]
    CopyStore(CopyArgs),
    /// Erases the personal data of a payment; books stay whole. A SQLite store must not be in use: stop
    /// `serve` first, or POST /admin/v1/transactions/TXID/erase. Answers "no" if the data is still needed.
    Erase(EraseArgs),
    /// Tells the whole story of a transaction, personal data masked.
    Explain(ExplainArgs),
    /// Proposes a mapping for a report that `reconcile` does not know, with reasons, to standard
    /// output. Answers "no" if something in it has to be chosen.
    #[cfg(feature = "reconcile")]
    ProposeMapping(ProposeArgs),
    /// Compares the journal with Midtrans' reports and the bank's statements. Answers "no" if there
    /// are breaks that are due.
    #[cfg(feature = "reconcile")]
    Reconcile(ReconcileArgs),
    /// Sends notifications again. A SQLite store must not be in use: stop `serve` first.
    Redeliver(RedeliverArgs),
    /// Seals shoppers' data in the store under the first key of `store.encryption`: what is plain, and
    /// what is sealed under older keys. A SQLite store must not be in use. Answers "no" if some was at
    /// work.
    Rekey(ConfigArgs),
    /// Has a running `serve` read its config again: clients, contracts, secrets, tokens, limits of
    /// calls, certificates. As a whole or not at all; SIGHUP does the same.
    Reload(ReloadArgs),
    /// Has a running `serve` go on with a store that has lost payments which it had answered: the
    /// store went back, and nothing is taken until somebody says so. Answers "no" if nothing is lost.
    AcknowledgeLost(AcknowledgeLostArgs),
    /// Lists what needs a person: money at Midtrans that does not fit its payment, and money of
    /// orders that the store does not know. Exit code 0 whether or not there is any.
    Attention(AttentionArgs),
    /// Asks Midtrans for every order that a lost stretch of the store can have held, after a restore,
    /// and lists those with money that the store does not know. A SQLite store must not be in use.
    Recover(RecoverArgs),
    /// Decides about something that `attention` lists. A SQLite store must not be in use: stop `serve`
    /// first, or decide by POST /admin/v1/attention/TXID.
    Resolve(ResolveArgs),
    /// Asks for corrections of settlements, or approves those that another person has asked for.
    Adjust(AdjustArgs),
    /// Closes a billing period and writes its settlement files; of a closed one, the same again.
    Settle(SettleArgs),
    /// Tells whether settlement and processing files are as they were made, by themselves and beside the store.
    VerifyFiles(VerifyArgs),
    /// Writes the processing files of a day: what happened to payments and refunds.
    ProcessFiles(ProcessArgs),
    /// Writes the money events of a range of days, or their double entry.
    Journal(JournalArgs),
    /// Prints the sums over the whole store, as `GET /admin/v1/totals`, also while `serve` runs. With
    /// --recount answers "no" if the rows say something else.
    Totals(TotalsArgs),
    /// Moves the calls and the trails of months that are long over into archives, also while `serve`
    /// runs; books stay. With --verify answers "no" if an archive is not as it was made.
    Retain(RetainArgs),
    /// Prints what a shell needs to complete this command line. The Debian package has it installed.
    #[cfg(feature = "manual")]
    Completions(CompletionsArgs),
    /// Writes the manual pages, one of each command. The Debian package has them installed.
    #[cfg(feature = "manual")]
    Man(ManArgs),
}

impl Command {
    /// Whether it runs until it is stopped, and its log is what tells about it.
    pub(crate) const fn serves(&self) -> bool {
        matches!(self, Self::Demo(_) | Self::Serve(_) | Self::Simulate(_))
    }

    /// Whether it makes files that hold payments.
    pub(crate) const fn keeps_payments(&self) -> bool {
        #[cfg(feature = "manual")]
        if matches!(self, Self::Completions(_) | Self::Man(_)) {
            return false;
        }
        !matches!(self, Self::Translate(_) | Self::Trigger(_) | Self::Certify(_))
    }
}
