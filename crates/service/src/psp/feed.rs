//! The catch-up feed: what became of payments and refunds of a PSP's contracts, in the order of the
//! journal, from a cursor on.
//!
//! A call reads a bounded part of the journal and tells what is the PSP's. Each line has the cursor of
//! the place behind it. Whoever waits holds no permit that a call needs, and all who wait share one
//! look at the end of the journal.

use std::sync::Arc;
use std::time::Duration;

use gopay_core::journal::{Kind, SignedSen};
use gopay_core::payment::FailReason;
use gopay_store::{Cursor, JournalRecord, StoreError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::cursor;
use super::login::{tell_refused, verify};
use crate::admission::CallPermit;
use crate::credentials::Caller;
use crate::describe::log_store_error;
use crate::observe::{UseCase, learn, observed};
use crate::{Parties, Service, meters};

/// Lines in one answer at most: about 400 KB.
pub const FEED_LIMIT_MAX: usize = 1_000;

/// The longest wait: calls are answered within 30 seconds, and proxies count on it.
pub const FEED_WAIT_MAX: Duration = Duration::from_secs(30);

/// Lines in an answer if the caller does not say.
const LIMIT_DEFAULT: usize = 500;

/// Entries of the journal that are read at once.
const PAGE: usize = 500;

/// Entries that one call looks at, of whichever PSP: a tenth of a second's work of the store.
const LOOKED_AT_MAX: usize = 10_000;

/// How often the end of the journal is looked at while somebody waits.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A call of the feed, as far as it can be read.
pub struct FeedCall {
    /// The login.
    pub login: String,
    /// Its password.
    pub password: SecretString,
    /// What is asked for, or what is wrong with the question.
    pub query: Result<FeedQuery, FeedError>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedQuery {
    /// One contract; none: all of the login.
    pub contract: Option<String>,
    /// From where on; none: from the beginning.
    pub after: Option<String>,
    /// Lines at most.
    pub limit: usize,
    /// How long to wait if there is nothing.
    pub wait: Duration,
}

/// One change that is final, with the place behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedLine {
    /// Where to go on after this line.
    pub cursor: String,
    /// What happened: a kind of the journal.
    pub kind: &'static str,
    /// The payment.
    pub txid: String,
    /// The PSP's reference of it.
    pub merchanttxid: Option<String>,
    /// Its contract.
    pub contractid: Option<String>,
    /// `SUCCEEDED` or `FAILED`: of the refund, if there is a `refundid`, else of the payment.
    pub status: &'static str,
    /// Why it failed.
    pub failreason: Option<&'static str>,
    /// The refund, if it is about one.
    pub refundid: Option<String>,
    /// The PSP's reference of it.
    pub merchantrefundid: Option<String>,
    /// Of the payment, or of the refund, in sen; none if it was refused because of it, or if Midtrans
    /// does not say it.
    pub amount: Option<i64>,
    /// When it was recorded, RFC 3339.
    pub at: String,
}

/// An answer of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// What happened, in the order of the journal.
    pub lines: Vec<FeedLine>,
    /// Where to go on.
    pub cursor: String,
    /// There may be more at once.
    pub more: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedError {
    /// Login, password and contract do not belong together; it is not said which.
    Unauthenticated,
    /// The contract is disabled.
    Disabled,
    /// A parameter is wrong: which, and what would be right.
    Parameter(String, &'static str),
    /// Too many calls at once, or in a second.
    Overloaded,
    /// The store does not answer.
    Unavailable,
}

/// The end of the journal, looked at once for all who wait.
#[derive(Default)]
pub(crate) struct Ends(Mutex<Option<(Instant, Cursor)>>);

/// Who was let in, and what it may read.
struct Admitted {
    parties: Arc<Parties>,
    login: String,
    query: FeedQuery,
    _permit: CallPermit,
}

impl FeedQuery {
    /// The parameters of a query, decoded. A name that is not one of them is refused: a cursor that is
    /// overlooked would begin anew.
    ///
    /// # Errors
    /// [`FeedError::Parameter`].
    pub fn read<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, FeedError> {
        let mut query =
            Self { contract: None, after: None, limit: LIMIT_DEFAULT, wait: Duration::ZERO };
        let mut seen = Vec::new();
        for (name, value) in pairs {
            let wrong = |wanted| Err(FeedError::Parameter(shown(name), wanted));
            if seen.contains(&name) {
                return wrong("given twice; once is enough");
            }
            seen.push(name);
            match name {
                "contractid" if value.is_empty() => {
                    return wrong("empty; a contract, or leave it out for all of yours");
                }
                "contractid" => query.contract = Some(value.to_owned()),
                "after" if value.is_empty() => {
                    return wrong("empty; a cursor of an earlier line, or leave it out to begin");
                }
                "after" => query.after = Some(value.to_owned()),
                "limit" => match value.parse() {
                    Ok(limit @ 1..=FEED_LIMIT_MAX) => query.limit = limit,
                    _ => return wrong("a whole number of lines, 1 to 1000"),
                },
                "wait" => match value.parse().map(Duration::from_secs) {
                    Ok(wait) if wait <= FEED_WAIT_MAX => query.wait = wait,
                    _ => return wrong("a whole number of seconds, 0 to 30"),
                },
                _ => return wrong("no parameter of the feed: contractid, after, limit, wait"),
            }
        }
        Ok(query)
    }
}

/// A name from outside, for an answer.
fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}

impl Service {
    /// The feed of a PSP, from a cursor on. A wait ends early with `stop`.
    ///
    /// # Errors
    /// [`FeedError`].
    pub async fn feed(
        &self,
        call: FeedCall,
        caller: impl Into<Caller>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<FeedPage, FeedError> {
        let caller = caller.into();
        let work = async {
            let answer = match self.let_in(call, &caller).await {
                Ok(admitted) => self.follow(&admitted, stop).await,
                Err(error) => Err(error),
            };
            learn(|seen| {
                (seen.kind, seen.outcome) = ("feed", outcome(&answer));
            });
            answer
        };
        observed(UseCase::Feed, Box::pin(work)).await
    }

    /// Checks who asks as any call does, and then what is asked.
    async fn let_in(&self, call: FeedCall, caller: &Caller) -> Result<Admitted, FeedError> {
        let FeedCall { login, password, query } = call;
        let (parties, just_verified) = self.authenticated(&login, &password, caller).await?;
        learn(|seen| seen.psp = Some(login.clone()));
        let permit = self.0.admission.feed(&login).map_err(|why| {
            meters::count(meters::TURNED_AWAY, &[("why", why.as_str())]);
            meters::client_refusal(&login, why.as_str());
            FeedError::Overloaded
        })?;
        let query = query?;
        let directory = &parties.directory;
        if let Some(contract) = &query.contract {
            match directory.contract(&login, contract) {
                Some(terms) if !terms.enabled => return Err(FeedError::Disabled),
                Some(_) => {}
                None => {
                    let gate = directory.credentials();
                    // It costs what a wrong password costs, as in a call.
                    if !just_verified {
                        let _place = gate.wait(&login, true).ok_or(FeedError::Overloaded)?;
                        gate.spend(directory.attempt(&login, password.expose_secret(), true)).await;
                    }
                    meters::client_refusal(&login, "contract");
                    tell_refused(caller, Some(&login), "contract");
                    gate.pace(caller.source).await;
                    return Err(FeedError::Unauthenticated);
                }
            }
        }
        Ok(Admitted { parties, login, query, _permit: permit })
    }

    /// The parties by which a password is good, and whether it had to be verified for that.
    async fn authenticated(
        &self,
        login: &str,
        password: &SecretString,
        caller: &Caller,
    ) -> Result<(Arc<Parties>, bool), FeedError> {
        // Whoever is replaced while a password is verified may not have it any more.
        for _ in 0..3 {
            let parties = self.parties();
            let directory = &parties.directory;
            let gate = directory.credentials();
            let known = directory.knows(login, caller.certificate.as_ref());
            if known && gate.is_cached(login, password.expose_secret()) {
                return Ok((parties, false));
            }
            let may_try = gate.may_try(caller.source, login, known);
            let Some(place) = may_try.then(|| gate.wait(login, known)).flatten() else {
                if known {
                    meters::client_refusal(login, "login");
                }
                return Err(FeedError::Overloaded);
            };
            let attempt = directory.attempt(login, password.expose_secret(), known);
            let good = verify(directory, attempt, caller).await;
            drop(place);
            if !good {
                gate.pace(caller.source).await;
                return Err(FeedError::Unauthenticated);
            }
            if Arc::ptr_eq(&parties, &self.parties()) {
                return Ok((parties, true));
            }
        }
        Err(FeedError::Overloaded)
    }

    /// Reads the journal from the cursor on, until there are lines enough, or no more, or nothing
    /// comes for as long as the caller waits.
    async fn follow(
        &self,
        admitted: &Admitted,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<FeedPage, FeedError> {
        let mut stop = Box::pin(stop);
        let until = Instant::now() + admitted.query.wait;
        let mut at = self.begin(admitted).await?;
        let (mut lines, mut looked_at) = (Vec::new(), 0_usize);
        loop {
            let read = || self.0.store.journal_read(&at, PAGE);
            let page = self.retry_while_busy(read).await.map_err(unavailable)?;
            let ended = page.records.is_empty();
            for record in &page.records {
                looked_at = looked_at.saturating_add(1);
                at = at.advanced(record.shard, record.seq);
                if let Some(line) = told(record, &admitted.login, &admitted.query) {
                    let cursor = self.give_out(admitted, &at)?;
                    lines.push(FeedLine { cursor, ..line });
                }
                if lines.len() >= admitted.query.limit {
                    break;
                }
            }
            let enough = lines.len() >= admitted.query.limit || looked_at >= LOOKED_AT_MAX;
            if enough || (ended && !lines.is_empty()) {
                return self.page(admitted, lines, &at, enough);
            }
            if ended && !self.waited(&at, until, &mut stop).await? {
                return self.page(admitted, lines, &at, false);
            }
        }
    }

    /// Waits until the journal goes on after a position; false if it does not in time.
    async fn waited(
        &self,
        at: &Cursor,
        until: Instant,
        stop: &mut (impl Future<Output = ()> + Send + Unpin),
    ) -> Result<bool, FeedError> {
        loop {
            let next = (Instant::now() + LOOK_AGAIN).min(until);
            if Instant::now() >= until {
                return Ok(false);
            }
            tokio::select! {
                () = &mut *stop => return Ok(false),
                () = tokio::time::sleep_until(next) => {}
            }
            let end = self.0.ends.get(self.0.store.journal_end()).await.map_err(unavailable)?;
            if !at.covers(&end) {
                return Ok(true);
            }
        }
    }

    /// The position that the caller goes on from.
    async fn begin(&self, admitted: &Admitted) -> Result<Cursor, FeedError> {
        let wrong = |wanted| FeedError::Parameter("after".to_owned(), wanted);
        let Some(after) = &admitted.query.after else { return Ok(Cursor::default()) };
        let keys = admitted.parties.own_keys();
        let at = cursor::opened(after, &admitted.login, &keys).ok_or_else(|| {
            wrong("no cursor of this feed; one of an earlier line, or leave it out to begin anew")
        })?;
        let end = self.0.store.journal_end().await.map_err(unavailable)?;
        if !end.covers(&at) {
            return Err(wrong(
                "behind the end of the feed: it was restored; begin anew without it",
            ));
        }
        Ok(at)
    }

    fn page(
        &self,
        admitted: &Admitted,
        lines: Vec<FeedLine>,
        at: &Cursor,
        more: bool,
    ) -> Result<FeedPage, FeedError> {
        Ok(FeedPage { lines, cursor: self.give_out(admitted, at)?, more })
    }

    fn give_out(&self, admitted: &Admitted, at: &Cursor) -> Result<String, FeedError> {
        let keys = admitted.parties.own_keys();
        let sealed = cursor::sealed(at, &admitted.login, &keys, self.0.ids.bytes());
        // Without a key there is no account at Midtrans either, so nothing to tell.
        sealed.ok_or(FeedError::Unavailable)
    }
}

/// The entry as a line without its cursor, if it is final and for this reader.
fn told(record: &JournalRecord, login: &str, query: &FeedQuery) -> Option<FeedLine> {
    let (entry, about) = (&record.entry, &record.about);
    let of_contract =
        query.contract.is_none() || query.contract.as_deref() == about.contract.as_deref();
    if about.psp.as_deref() != Some(login) || !of_contract {
        return None;
    }
    Some(FeedLine {
        cursor: String::new(),
        kind: entry.kind.as_str(),
        txid: entry.tx_id.to_string(),
        merchanttxid: about.merchant_tx_id.clone(),
        contractid: about.contract.clone(),
        status: final_status(entry.kind)?,
        failreason: entry.reason.map(FailReason::as_str),
        refundid: entry.refund_id.map(|id| id.to_string()),
        merchantrefundid: about.merchant_refund_id.clone(),
        amount: entry.amount.map(SignedSen::get),
        at: entry.at.to_string(),
    })
}

/// The state that an entry of this kind ends in; none for steps on the way, and for what is between
/// finance and the bank.
const fn final_status(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Succeeded
        | Kind::SucceededLate
        | Kind::RefundSucceeded
        | Kind::RefundedElsewhere
        | Kind::ChargedBack => Some("SUCCEEDED"),
        Kind::Failed | Kind::RefundFailed => Some("FAILED"),
        Kind::Opened | Kind::RefundRequested | Kind::RefundFundsConfirmed | Kind::Adjustment => {
            None
        }
    }
}

fn unavailable(error: StoreError) -> FeedError {
    log_store_error(&error);
    FeedError::Unavailable
}

const fn outcome(answer: &Result<FeedPage, FeedError>) -> &'static str {
    match answer {
        Ok(page) if page.lines.is_empty() => "nothing_new",
        Ok(_) => "told",
        Err(FeedError::Overloaded) => "overloaded",
        Err(FeedError::Unavailable) => "unavailable",
        Err(FeedError::Unauthenticated | FeedError::Disabled | FeedError::Parameter(..)) => {
            "refused"
        }
    }
}

impl Ends {
    /// The end as it was looked at lately, or is now.
    async fn get<E>(&self, look: impl Future<Output = Result<Cursor, E>>) -> Result<Cursor, E> {
        let mut kept = self.0.lock().await;
        if let Some((at, end)) = &*kept
            && at.elapsed() < LOOK_AGAIN / 2
        {
            return Ok(end.clone());
        }
        let end = look.await?;
        *kept = Some((Instant::now(), end.clone()));
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, wanted: &'static str) -> Result<FeedQuery, FeedError> {
        Err(FeedError::Parameter(name.to_owned(), wanted))
    }

    #[test]
    fn a_parameter_that_is_wrong_is_named() {
        const LIMIT: &str = "a whole number of lines, 1 to 1000";
        const WAIT: &str = "a whole number of seconds, 0 to 30";
        for (pairs, expected) in [
            (&[("limit", "0")][..], parameter("limit", LIMIT)),
            (&[("limit", "1001")], parameter("limit", LIMIT)),
            (&[("limit", "-1")], parameter("limit", LIMIT)),
            (&[("limit", "")], parameter("limit", LIMIT)),
            (&[("wait", "31")], parameter("wait", WAIT)),
            (&[("wait", "1.5")], parameter("wait", WAIT)),
            (&[("wait", "1s")], parameter("wait", WAIT)),
            (
                &[("after", "")],
                parameter("after", "empty; a cursor of an earlier line, or leave it out to begin"),
            ),
            (
                &[("contractid", "")],
                parameter("contractid", "empty; a contract, or leave it out for all of yours"),
            ),
            (&[("limit", "1"), ("limit", "1")], parameter("limit", "given twice; once is enough")),
            (
                &[("After", "x")],
                parameter("After", "no parameter of the feed: contractid, after, limit, wait"),
            ),
        ] {
            assert_eq!(FeedQuery::read(pairs.iter().copied()), expected, "{pairs:?}");
        }
        let all = [("contractid", "C"), ("after", "x"), ("limit", "1000"), ("wait", "30")];
        let expected = FeedQuery {
            contract: Some("C".into()),
            after: Some("x".into()),
            limit: 1_000,
            wait: Duration::from_secs(30),
        };
        assert_eq!(FeedQuery::read(all.into_iter()), Ok(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_share_one_look() {
        let ends = Ends::default();
        let looks = std::cell::Cell::new(0_i64);
        let get = async || {
            let look = async {
                looks.set(looks.get() + 1);
                Ok::<_, ()>(Cursor::default().advanced(0, looks.get()))
            };
            ends.get(look).await.unwrap().position(0)
        };
        assert_eq!((get().await, get().await), (1, 1));
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!((get().await, get().await), (2, 2));
    }
}
