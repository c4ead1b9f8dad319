//! Reads the config again while `serve` runs, on SIGHUP or when an operator asks for it. It is used as
//! a whole or not at all: a mistake in one key leaves everything as it was.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use gopay_http::guard::Access;
use gopay_http::{Reload, Reloaded};
use gopay_inbound::Tls;
use gopay_service::{Clock as _, SystemClock};
use gopay_store::sealing::{SealedStore, check_keys};
use tokio::sync::mpsc;

use crate::config::{Config, ConfigText, Delivery, Limits, Listen, Problem};
use crate::directory::{Book, Follower, Whole, read_whole};
use crate::start::{Face, Prepared, prepare};

/// What a reload goes by, and what it changes.
pub(crate) struct Reloader {
    pub(crate) path: PathBuf,
    pub(crate) running: Running,
    pub(crate) follower: Arc<Follower>,
    /// What seals the store, if it is sealed.
    pub(crate) layer: Option<Arc<SealedStore>>,
    pub(crate) access: Access,
    /// Of each listener, under the first of its faces.
    pub(crate) tls: Vec<(Face, Tls)>,
    pub(crate) one_at_a_time: Mutex<()>,
}

/// What only a start can change.
pub(crate) struct Running {
    listen: Listen,
    base_url: String,
    store: String,
    connections: usize,
    limits: Limits,
    delivery: Delivery,
    instance: u16,
    otlp: Option<String>,
}

impl Running {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            listen: config.listen.clone(),
            base_url: config.base_url.clone(),
            store: config.store.name(),
            connections: config.connections,
            limits: config.limits.clone(),
            delivery: config.delivery.clone(),
            instance: config.instance,
            otlp: config.otlp.clone(),
        }
    }

    /// Keys and sections of which something else is in the config than what runs.
    fn waiting(&self, config: &Config) -> Vec<&'static str> {
        let other = Self::of(config);
        let (own, new) = (&self.listen, &other.listen);
        // Files of a certificate may be others; that there is one at all may not.
        let listens = |listen: &Listen| {
            let has = |tls: &Option<_>| tls.is_some();
            let tls = (has(&listen.psp_tls), has(&listen.public_tls), has(&listen.admin_tls));
            (listen.psp, listen.public, listen.admin, tls, listen.proxy.clone())
        };
        // Those of calls are changed.
        let calls = other.limits.of_calls();
        let limits = Limits {
            concurrent_calls: calls.concurrent_calls,
            concurrent_calls_per_client: calls.concurrent_calls_per_client,
            calls_per_second_per_client: other.limits.calls_per_second_per_client,
            test_quotas: calls.test_quotas,
            ..self.limits.clone()
        };
        let store = (&self.store, self.connections) == (&other.store, other.connections);
        let same = [
            ("listen", listens(own) == listens(new)),
            ("public.base_url", self.base_url == other.base_url),
            ("store", store),
            ("limits", limits == other.limits),
            ("delivery", self.delivery == other.delivery),
            ("instance", self.instance == other.instance),
            ("telemetry", self.otlp == other.otlp),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }
}

impl Reloader {
    /// For those who ask without knowing how.
    pub(crate) fn hook(self: &Arc<Self>) -> Reload {
        let own = Arc::clone(self);
        Arc::new(move || own.reload())
    }

    fn reload(&self) -> Result<Reloaded, Vec<String>> {
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = self.follower.turn.blocking_lock();
        match self.read() {
            Ok((prepared, whole)) => {
                let done = self.go_by(prepared);
                self.follower.go_by(whole);
                let waiting = done.waiting.join(", ");
                let waiting = (!waiting.is_empty()).then_some(waiting);
                tracing::info!(
                    waiting_for_a_restart = waiting,
                    "the config was read again and is used"
                );
                for warning in &done.warnings {
                    tracing::warn!(warning, "config");
                }
                Ok(done)
            }
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
                let all = problems.join("; ");
                tracing::error!(
                    problems = all,
                    "the config was read again and is not valid; nothing has changed"
                );
                Err(problems)
            }
        }
    }

    /// Reads the file, and what stands in the store that runs.
    fn read(&self) -> Result<(Prepared, Whole), Vec<Problem>> {
        let text = ConfigText::read(&self.path)?;
        let store = &self.follower.store;
        let book = async |_: &Config| Ok(Some(Book::read(store.as_ref()).await?));
        let read = read_whole(text, self.follower.clock.now(), book);
        let (config, whole) = tokio::runtime::Handle::current().block_on(read)?;
        self.check_keys(&config)?;
        Ok((prepare(config)?, whole))
    }

    /// Whether the keys are those that the store is sealed under.
    fn check_keys(&self, config: &Config) -> Result<(), Vec<Problem>> {
        let Some(layer) = &self.layer else { return Ok(()) };
        let checked = check_keys(layer.as_ref(), &config.keys, Some(SystemClock.now()));
        let checked = tokio::runtime::Handle::current().block_on(checked);
        checked.map(|_| ()).map_err(|error| {
            let (key, wrong) = ("store.encryption".to_owned(), error.to_string());
            vec![Problem { key, wrong, wanted: "the keys that the store is sealed under" }]
        })
    }

    /// Nothing here can fail.
    fn go_by(&self, prepared: Prepared) -> Reloaded {
        let Prepared { config, parties, rules, mut tls, .. } = prepared;
        let mut waiting = self.running.waiting(&config);
        match &self.layer {
            Some(layer) => layer.replace_ring(config.keys.clone()),
            None if !config.keys.is_empty() => waiting.push("store.encryption"),
            None => {}
        }
        for (face, running) in &self.tls {
            if let Some(loaded) = tls.take(*face) {
                running.replace(loaded);
            }
        }
        let warnings = config.warnings.iter().map(ToString::to_string).collect();
        self.follower.replace(config, parties);
        self.access.replace(rules);
        Reloaded { waiting, warnings }
    }
}

/// Reloads at each SIGHUP.
pub(crate) async fn on_hangup(reload: Reload, mut hangups: mpsc::Receiver<()>) {
    while hangups.recv().await.is_some() {
        let reload = Arc::clone(&reload);
        // It reads files. What came of it is in the log.
        let _ = tokio::task::spawn_blocking(move || reload()).await;
    }
}
