//! A running `serve` goes by the directory in the store: what is entered anywhere is used here within
//! seconds, and what becomes valid later at its time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gopay_core::time::Timestamp;
use gopay_inbound::Stop;
use gopay_service::{Clock, Parties, Service};
use gopay_store::{Database, StoreError};
use tokio::sync::Notify;

use super::Book;
use crate::config::{Config, ConfigText, Problem, Source};
use crate::finance::desk::TermsInForce;
use crate::start;

/// How often the store is asked whether something was entered.
const PAUSE: Duration = Duration::from_secs(1);

/// What was used last of the directory in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The number of the last entry.
    pub(crate) last: i64,
    /// When something of it becomes valid next.
    pub(crate) next: Option<Timestamp>,
}

/// Reads the config that is used with the directory, and has the service go by both.
pub(crate) struct Follower {
    pub(crate) service: Service,
    pub(crate) store: Arc<dyn Database>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What corrections of settlements go by.
    terms: Arc<TermsInForce>,
    used: Mutex<Used>,
    changed: Notify,
    /// One at a time replaces what the service goes by; a reload of the config, too.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

struct Used {
    /// See [`Whole::text`].
    config: Option<ConfigText>,
    seen: Seen,
    /// The entry that could not be used; it is logged once.
    refused: Option<i64>,
}

impl Follower {
    pub(crate) fn new(
        service: Service,
        store: Arc<dyn Database>,
        clock: Arc<dyn Clock>,
        terms: Arc<TermsInForce>,
        read: Whole,
    ) -> Self {
        let Whole { text, seen } = read;
        let used = Mutex::new(Used { config: text, seen, refused: None });
        let (changed, turn) = (Notify::new(), tokio::sync::Mutex::default());
        Self { service, store, clock, terms, used, changed, turn }
    }

    /// The config that is used with the directory in the store; none if that is not used.
    pub(crate) fn config(&self) -> Option<ConfigText> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.config.clone()
    }

    /// Takes note of the config that the service goes by from now on.
    pub(crate) fn go_by(&self, read: Whole) {
        let Whole { text, seen } = read;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = Used { config: text, seen, refused: None };
    }

    /// Something was entered here.
    pub(crate) fn entered(&self) {
        self.changed.notify_one();
    }

    /// Looks again and again, until the stop.
    pub(crate) async fn run(self: Arc<Self>, stop: Stop) {
        let stopped = gopay_inbound::stopped(stop);
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
            // What is wrong with the store is told by those who need it.
            let _ = self.look().await;
        }
    }

    /// Goes by what was entered or became valid since the last time.
    pub(crate) async fn look(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let (seen, refused) = {
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            if used.config.is_none() {
                return Ok(());
            }
            (used.seen, used.refused)
        };
        let last = self.store.directory_last().await?;
        let now = self.clock.now();
        if (last == seen.last && seen.next.is_none_or(|next| next > now)) || refused == Some(last) {
            return Ok(());
        }
        let Some(config) = self.config() else { return Ok(()) };
        let began = tokio::time::Instant::now();
        let book = Book::read(self.store.as_ref()).await?;
        let seen = Seen { last: book.last(), next: book.next(now) };
        let parties = tokio::task::block_in_place(|| {
            let mut config = config.with(book.into_entries(now))?;
            let parties = start::parties(&mut config)?;
            Ok::<_, Vec<Problem>>((config, parties))
        });
        match parties {
            Ok((config, parties)) => {
                self.replace(config, parties);
                let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                (used.seen, used.refused) = (seen, None);
                let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(entry = seen.last, ms, "the directory was read again and is used");
            }
            Err(problems) => {
                let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                used.refused = Some(seen.last);
                let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
                let (entry, problems) = (seen.last, problems.join("; "));
                tracing::error!(
                    entry,
                    problems,
                    "the directory does not fit the config of this instance; nothing has changed"
                );
            }
        }
        Ok(())
    }

    /// Has the service go by other parties, and corrections by other terms.
    pub(crate) fn replace(&self, config: Config, parties: Parties) {
        let before = self.service.parties();
        let midtrans = parties.midtrans.following(&before.midtrans);
        let directory = match Arc::try_unwrap(parties.directory) {
            Ok(directory) => Arc::new(directory.following(&before.directory)),
            Err(shared) => shared,
        };
        // What is wrong with a key shall be in the log before the first payment, as at the start.
        let (service, new) = (self.service.clone(), midtrans.without(&before.midtrans));
        tokio::spawn(async move { service.probe_evenly(new).await });
        let parties = Parties { directory, midtrans, ..parties };
        self.service.replace_parties(parties, &config.limits.of_calls());
        self.terms.replace(config.settlement.accounts);
    }
}

/// What a config was read from.
pub(crate) struct Whole {
    /// What stands in the store is read with. None where all stands in the file: it may hold secrets,
    /// and is kept only as long as it is needed.
    pub(crate) text: Option<ConfigText>,
    pub(crate) seen: Seen,
}

/// What somebody enters into a store that is not made yet is nothing.
const NOTHING: Seen = Seen { last: 0, next: None };

/// Reads a config with what stands in the store, if something does. `open` opens the store that the
/// config names.
///
/// # Errors
/// Every problem, and if the store cannot be read.
pub(crate) async fn read_whole(
    text: ConfigText,
    now: Timestamp,
    store: impl AsyncFnOnce(&Config) -> anyhow::Result<Option<Book>>,
) -> Result<(Config, Whole), Vec<Problem>> {
    let config = text.alone()?;
    if config.directory == Source::File {
        return Ok((config, Whole { text: None, seen: NOTHING }));
    }
    let unreadable = |error: anyhow::Error| {
        let (key, wrong) = ("directory.source".to_owned(), format!("{error:#}"));
        vec![Problem { key, wrong, wanted: "a store that can be read" }]
    };
    let book = store(&config).await.map_err(unreadable)?;
    let Some(book) = book else {
        let config = text.with(Vec::new())?;
        return Ok((config, Whole { text: Some(text), seen: NOTHING }));
    };
    let seen = Seen { last: book.last(), next: book.next(now) };
    let of_file = config.warnings.into_iter().filter(|warning| warning.key == "file");
    let mut read = text.with(book.into_entries(now))?;
    read.warnings.extend(of_file);
    Ok((read, Whole { text: Some(text), seen }))
}
