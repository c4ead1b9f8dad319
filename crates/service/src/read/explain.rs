//! A transaction's story as text, for an operator.

use std::fmt::{self, Write as _};

use gopay_core::doubt::{Doubt, Standing};
use gopay_core::money::Sen;
use gopay_core::text::Escaped;

use super::story::{Archived, Erased, Failed, Happened, Owed, Refunded, Story, Transaction};

impl fmt::Display for Story {
    /// Lines for people. What came from outside is escaped, so that no value can look like a line
    /// of ours or act on the terminal.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.transaction.write(out, self.request.get("amount").map(String::as_str))?;
        if let Some(Erased { at, by, reason }) = &self.erased {
            let (by, reason) = (Escaped(by), Escaped(reason));
            writeln!(out, "\nPersonal data erased on {at} by {by}, because {reason}")?;
        }
        if let Some(Archived { name, told, .. }) = &self.archived {
            let what = if *told { "read from there" } else { "see there" };
            writeln!(out, "\nIts call and trail are in archive {}: {what}", Escaped(name))?;
        }
        writeln!(out, "\nRequest (personal data masked, transient input and password not kept)")?;
        for (name, value) in &self.request {
            writeln!(out, "  {} = {}", Escaped(name), Escaped(value))?;
        }
        if let Some(charge) = &self.charge {
            writeln!(out, "\nCharge sent to Midtrans (rebuilt from what is kept)")?;
            writeln!(out, "  {}", Escaped(&charge.to_string()))?;
        }
        section(out, "What happened", &self.trail, Happened::write)?;
        section(out, "Refunds", &self.refunds, Refunded::write)?;
        section(out, "Notifications to the PSP", &self.deliveries, Owed::write)
    }
}

fn section<T>(
    out: &mut fmt::Formatter<'_>,
    title: &str,
    rows: &[T],
    write: fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    if !rows.is_empty() {
        writeln!(out, "\n{title}")?;
    }
    rows.iter().try_for_each(|row| write(row, out))
}

impl Transaction {
    fn write(&self, out: &mut fmt::Formatter<'_>, asked: Option<&str>) -> fmt::Result {
        writeln!(out, "Transaction {}", self.txid)?;
        writeln!(out, "  client {}, contract {}", Escaped(&self.psp), Escaped(&self.contract))?;
        writeln!(out, "  channel {}", self.channel.unwrap_or("none"))?;
        if let Some(account) = &self.midtrans_account {
            writeln!(out, "  Midtrans account {account}")?;
        }
        match (self.amount_sen, asked) {
            (Some(sen), _) => writeln!(out, "  amount {} (amount={sen})", rupiah(sen))?,
            (None, Some(asked)) => {
                writeln!(out, "  amount={} asked; the call was refused", Escaped(asked))?;
            }
            (None, None) => writeln!(out, "  no amount; the call was refused")?,
        }
        writeln!(out, "  state {}, at Midtrans {}", self.state, self.charge_state)?;
        if let Some(failure) = &self.failure {
            writeln!(out, "  failed: {failure}")?;
        }
        let midtrans_id = self.midtrans_id.as_deref().unwrap_or("none");
        writeln!(out, "  Midtrans transaction {}", Escaped(midtrans_id))?;
        writeln!(out, "  session until {}", self.session_until)?;
        if let Some(doubt) = &self.doubt {
            write_doubt(out, doubt)?;
        }
        match &self.next_check_at {
            Some(at) => writeln!(out, "  next check {at}, {} so far in this phase", self.checks),
            None => writeln!(out, "  no further check"),
        }
    }
}

fn write_doubt(out: &mut fmt::Formatter<'_>, doubt: &Doubt) -> fmt::Result {
    let finding = &doubt.finding;
    writeln!(
        out,
        "  money that does not fit: {} since {}; expected {}, Midtrans says {} (status {})",
        finding.what.as_str(),
        doubt.since,
        Escaped(&finding.expected),
        Escaped(&finding.found),
        Escaped(&finding.status)
    )?;
    let next = match doubt.standing {
        Standing::Open => "a person must decide: gopay-adapter resolve TXID paid|failed|refund",
        Standing::Returning => "it goes back to the shopper; Midtrans has not confirmed that yet",
        Standing::Returned => "it went back to the shopper; see `resolved` below",
        Standing::Resolved => "a person has decided; see `resolved` below",
    };
    writeln!(out, "  at risk {}; {next}", rupiah(doubt.at_risk.get()))
}

impl Happened {
    fn write(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail.to_string();
        writeln!(out, "  {}  {}  {}", self.at, Escaped(&self.kind), Escaped(&detail))
    }
}

impl Refunded {
    fn write(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "  {}  {}  ", self.created_at, self.refundid)?;
        match self.amount_sen {
            Some(sen) => out.write_str(&rupiah(sen))?,
            None => out.write_str("no amount")?,
        }
        write!(out, "  {}", self.state)?;
        if let Some(how) = self.made_elsewhere {
            let id = self.midtrans_id.as_deref().unwrap_or("none");
            write!(out, ", not asked for by the PSP: {how}, at Midtrans {}", Escaped(id))?;
        }
        if let Some(failure) = &self.failure {
            write!(out, ": {failure}")?;
        }
        if let Some(reference) = &self.merchantrefundid {
            write!(out, "  merchantrefundid {}", Escaped(reference))?;
        }
        out.write_char('\n')
    }
}

impl Owed {
    fn write(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (receiver, tries) = (Escaped(&self.receiver), self.attempts);
        write!(out, "  finaltimestamp {}  {} after {tries} ", self.final_at, self.state)?;
        out.write_str(if tries == 1 { "try" } else { "tries" })?;
        match &self.next_attempt_at {
            Some(_) if self.held_back => out.write_str(", next try once the one before is over")?,
            Some(at) => write!(out, ", next try {at}")?,
            None => {}
        }
        writeln!(out, "  to {receiver}")
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.reason, Escaped(&self.message))
    }
}

/// Minor units as an amount.
fn rupiah(sen: u64) -> String {
    format!("IDR {}", Sen::new(sen).decimal_text())
}
