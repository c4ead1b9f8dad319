//! `translate`: the core at full speed over files of form bodies.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_core::ids::TxId;
use gopay_core::ppro::call::{TxType, common_faults, tx_type};
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::transaction::{self, Terms};
use gopay_core::rejection::{All, First, Flow, Rejection, Rule, Sink as _, Subject};
use gopay_core::text::{cut, push_json_string};
use gopay_core::time::Timestamp;
use gopay_core::translate::{ChargeTerms, charge};
use gopay_service::{Clock as _, Contract, Settings, SystemClock};

use super::pipeline::{self, Block};
use super::whole_config;
use crate::Outcome;
use crate::args::ConfigArgs;
use crate::terminal::Progress;

#[derive(Args)]
pub(crate) struct TranslateArgs {
    /// Form bodies, one a line; standard input if absent.
    #[arg(long = "in", env = "GOPAY_ADAPTER_IN")]
    pub(crate) input: Option<PathBuf>,
    /// JSON, one object a line; standard output if absent.
    #[arg(long = "out", env = "GOPAY_ADAPTER_OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Use the rules of this contract; without it everything a contract can allow is allowed.
    #[arg(long, env = "GOPAY_ADAPTER_CONTRACT", requires = "config")]
    pub(crate) contract: Option<String>,
    /// The config file with the contract.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Report every fault of a body, not only the first.
    #[arg(long, env = "GOPAY_ADAPTER_EXPLAIN", value_parser = FalseyValueParser::new())]
    pub(crate) explain: bool,
    /// Show progress on standard error.
    #[arg(long, env = "GOPAY_ADAPTER_PROGRESS", value_parser = FalseyValueParser::new())]
    pub(crate) progress: bool,
    /// The time at which the sessions begin, RFC 3339; now if absent.
    #[arg(long, env = "GOPAY_ADAPTER_AT", value_parser = Timestamp::from_rfc3339)]
    pub(crate) at: Option<Timestamp>,
}

/// What all lines share.
struct Job {
    /// Whose rules hold; those of an open contract without it.
    contract: Option<Contract>,
    explain: bool,
    at: Timestamp,
    session: Duration,
    return_url: String,
    line_bytes_max: usize,
}

/// What a thread keeps from line to line.
#[derive(Default)]
struct State {
    scratch: Scratch,
    /// The last charge.
    charge: Vec<u8>,
    /// The length of the longest output of a block.
    out_bytes: usize,
}

/// Counts for the end of the run.
#[derive(Default)]
struct Counts {
    lines: u64,
    rejected: u64,
}

pub(crate) fn run(args: &TranslateArgs) -> anyhow::Result<Outcome> {
    let Some(job) = job(args)? else { return Ok(Outcome::No) };
    let input: Box<dyn BufRead + Send> = match &args.input {
        Some(path) => {
            let file =
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Box::new(BufReader::with_capacity(1 << 20, file))
        }
        None => Box::new(BufReader::with_capacity(1 << 20, io::stdin())),
    };
    let mut output: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
        ),
        None => Box::new(io::stdout().lock()),
    };
    let read = Arc::new(AtomicU64::new(0));
    let input = Box::new(Counted { inner: input, read: Arc::clone(&read) });
    let bytes = args.input.as_ref().and_then(|path| path.metadata().ok()).map(|file| file.len());
    // Lines that go to the terminal show by themselves how far it is.
    let watched = !args.progress && (args.output.is_some() || !io::stdout().is_terminal());
    let mut bar = watched.then(|| Progress::new("bytes", bytes));
    let mut seen = || {
        if let Some(bar) = &mut bar {
            bar.at(read.load(Ordering::Relaxed));
        }
    };
    let counts = match job.run(input, &mut output, args.progress, &mut seen) {
        Ok(counts) => counts,
        // The reader of our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Outcome::Done),
        Err(error) => return Err(error).context("translating"),
    };
    drop(bar);
    if args.progress || io::stderr().is_terminal() {
        writeln!(io::stderr(), "{} lines, {} rejected", counts.lines, counts.rejected)?;
    }
    Ok(Outcome::Done)
}

/// Counts what is read.
struct Counted {
    inner: Box<dyn BufRead + Send>,
    read: Arc<AtomicU64>,
}

impl io::Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        Ok(count)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.read.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }
}

/// None if the config is not valid, which was reported.
fn job(args: &TranslateArgs) -> anyhow::Result<Option<Job>> {
    let mut job = Job {
        contract: None,
        explain: args.explain,
        at: args.at.unwrap_or_else(|| SystemClock.now()),
        session: Settings::SESSION_MAX,
        return_url: "https://pay.example/return/gopay/".to_owned(),
        line_bytes_max: 262_144,
    };
    let Some(path) = &args.config else { return Ok(Some(job)) };
    let config = match whole_config(&ConfigArgs { config: path.clone() })? {
        Ok(config) => config,
        Err(_) => return Ok(None),
    };
    job.session = config.limits.session;
    job.line_bytes_max = config.limits.call_bytes;
    job.return_url = format!("{}/return/gopay/", config.base_url);
    if let Some(id) = &args.contract {
        let contract = config.contracts.iter().find(|contract| contract.id == *id);
        let contract =
            contract.ok_or_else(|| anyhow!("--contract {id}: not in {}", path.display()))?;
        job.contract = Some(contract.clone());
    }
    Ok(Some(job))
}

impl Job {
    fn terms(&self) -> Terms<'_> {
        self.contract.as_ref().map_or(Terms::OPEN, Contract::terms)
    }

    /// Translates all lines, on all cores.
    fn run(
        self,
        input: Box<dyn BufRead + Send>,
        output: &mut dyn Write,
        progress: bool,
        seen: &mut dyn FnMut(),
    ) -> io::Result<Counts> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let mut counts = Counts::default();
        let mut shown = Instant::now();
        let line_bytes_max = self.line_bytes_max;
        let work = move |block: &Block, state: &mut State| self.block(block, state);
        pipeline::in_order(input, line_bytes_max, threads, work, |(out, block)| {
            output.write_all(&out)?;
            counts.lines += block.lines;
            counts.rejected += block.rejected;
            seen();
            if progress && shown.elapsed() >= Duration::from_secs(1) {
                shown = Instant::now();
                writeln!(io::stderr(), "{} lines, {} rejected", counts.lines, counts.rejected)?;
            }
            Ok(())
        })?;
        output.flush()?;
        Ok(counts)
    }

    /// Translates the lines of a block; gives a line of JSON for each.
    fn block(&self, block: &Block, state: &mut State) -> (Vec<u8>, Counts) {
        let mut counts = Counts::default();
        let mut out = Vec::with_capacity(state.out_bytes);
        for (number, line) in block.lines() {
            counts.lines += 1;
            counts.rejected += u64::from(!self.line(line, number, state, &mut out));
            out.push(b'\n');
        }
        state.out_bytes = state.out_bytes.max(out.len());
        (out, counts)
    }

    /// Translates one body; true if it was accepted.
    fn line(&self, line: &[u8], number: u64, state: &mut State, out: &mut Vec<u8>) -> bool {
        if line.len() > self.line_bytes_max {
            let max = u32::try_from(self.line_bytes_max).unwrap_or(u32::MAX);
            let rejection = Rejection { subject: Subject::Body, rule: Rule::BodyTooLong { max } };
            push_rejected(out, &[rejection], |_| format!("({} bytes)", line.len()));
            return false;
        }
        let State { scratch, charge: body, .. } = state;
        let (form, items) = Form::decode(line, scratch);
        let mut all = All::default();
        if self.explain && common_faults(&form, &mut all) == Flow::Stop {
            push_rejected(out, &all.0, |subject| got(&form, subject));
            return false;
        }
        if form.get(Field::Txtype).is_some() && tx_type(&form) != Some(TxType::Transaction) {
            let rejection = Rejection::of(Field::Txtype, Rule::MustBe("TRANSACTION"));
            let _ = all.reject(rejection);
            push_rejected(out, &all.0, |subject| got(&form, subject));
            return false;
        }
        let (order, rejections) = if self.explain {
            let order = transaction::check(&form, items, self.terms(), &mut all);
            (order.filter(|_| all.0.is_empty()), all.0)
        } else {
            let mut first = First::default();
            let order = transaction::check(&form, items, self.terms(), &mut first);
            (order, first.0.into_iter().collect())
        };
        let Some(order) = order else {
            push_rejected(out, &rejections, |subject| got(&form, subject));
            return false;
        };
        // The number of the line stands in for the TXID.
        let order_id = i64::try_from(number).ok().and_then(|number| TxId::new(number).ok());
        let Some(order_id) = order_id else { return false };
        let terms = ChargeTerms {
            order_id,
            order_time: self.at,
            session: self.session,
            return_url: &self.return_url,
        };
        charge(&order, &terms, body);
        out.extend_from_slice(b"{\"charge\":");
        out.extend_from_slice(body);
        out.push(b'}');
        true
    }
}

fn push_rejected(out: &mut Vec<u8>, rejections: &[Rejection], got: impl Fn(Subject) -> String) {
    out.extend_from_slice(b"{\"rejected\":[");
    for (at, rejection) in rejections.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let values = [
            ("{\"field\":", rejection.subject.to_string()),
            (",\"rule\":", rejection.code().to_owned()),
            (",\"got\":", got(rejection.subject)),
            (",\"wanted\":", rejection.wanted().to_owned()),
            (",\"source\":", rejection.source().to_owned()),
        ];
        for (name, value) in values {
            out.extend_from_slice(name.as_bytes());
            push_json_string(out, &value);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

/// What was sent, shortened; of personal data only the length.
fn got(form: &Form<'_>, subject: Subject) -> String {
    const SHOWN_MAX: usize = 64;
    let field = match subject {
        Subject::Field(field) => field,
        Subject::Item(..) => Field::Orderitems,
        Subject::Other(_) | Subject::Body => return String::new(),
    };
    match form.get(field) {
        None => String::new(),
        Some(value) if field.is_personal() => format!("({} characters)", value.chars().count()),
        Some(value) => cut(value, SHOWN_MAX).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn run(input: &str, explain: bool, line_bytes_max: usize) -> Vec<serde_json::Value> {
        let job = Job {
            contract: None,
            explain,
            at: Timestamp::from_rfc3339("2025-06-21T08:34:20Z").unwrap(),
            session: Settings::SESSION_MAX,
            return_url: "https://pay.example/return/gopay/".to_owned(),
            line_bytes_max,
        };
        let mut output = Vec::new();
        let input = Cursor::new(input.as_bytes().to_vec());
        job.run(Box::new(input), &mut output, false, &mut || ()).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn each_line_in_gives_one_line_out() {
        let example = gopay_demo::example_body("http://127.0.0.1:8090");
        let input = format!("{example}\r\n\nchannel=x&tag=y\ntxtype=REFUND\n{example}");
        let lines = run(&input, false, 4_096);
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0]["charge"]["transaction_details"]["gross_amount"], 10_000);
        assert_eq!(lines[4]["charge"]["transaction_details"]["order_id"], "5");
        assert_eq!(lines[1]["rejected"][0]["rule"], "missing");
        assert_eq!(lines[2]["rejected"].as_array().unwrap().len(), 1);
        assert_eq!(lines[2]["rejected"][0]["got"], "x");
        assert_eq!(lines[3]["rejected"][0]["field"], "txtype");
    }

    #[test]
    fn explain_reports_every_fault_and_no_personal_data() {
        let lines = run("channel=x&specin.email=secret", true, 4_096);
        let rejected = lines[0]["rejected"].as_array().unwrap();
        assert!(rejected.len() > 5);
        assert!(!lines[0].to_string().contains("secret"));
    }

    #[test]
    fn explain_reports_what_a_call_lacks_before_it_is_a_call() {
        let example = gopay_demo::example_body("http://127.0.0.1:8090");
        let without = |name: &str| {
            let kept = example.split('&').filter(|pair| !pair.starts_with(&format!("{name}=")));
            kept.collect::<Vec<_>>().join("&")
        };
        for (line, expected) in [
            (example.clone(), vec![]),
            (without("login"), vec!["login"]),
            (without("password"), vec!["password"]),
            (without("contractid"), vec!["contractid"]),
            (without("txtype"), vec!["txtype"]),
            (example.replace("=urlencodeext", "=urlencode"), vec!["returnmode"]),
            (without("login").replace("tag=gopay", "tag=ovo"), vec!["login", "tag"]),
            (
                "txtype=REFUND".to_owned(),
                vec!["returnmode", "login", "password", "contractid", "txtype"],
            ),
            (example.replace('&', "&amp;"), vec!["body"]),
            (r#"{"login":"x"}"#.to_owned(), vec!["body"]),
        ] {
            let lines = run(&line, true, 4_096);
            let rejected = lines[0]["rejected"].as_array().cloned().unwrap_or_default();
            let fields: Vec<_> = rejected.iter().map(|fault| fault["field"].clone()).collect();
            assert_eq!(fields, expected, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        let input = format!("{}\ntag=x\n", "a".repeat(10_000));
        let lines = run(&input, false, 100);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["rejected"][0]["rule"], "body_too_long");
        assert_eq!(lines[1]["rejected"][0]["rule"], "missing");
    }
}
