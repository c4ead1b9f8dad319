//! The hosts of a URL, and how one is found that serves: side by side, each with a time of its own,
//! first the one that served last.
//!
//! A host may be dead, silent (its machine stands still, the network is cut) or a standby. What one of
//! them does must not cost the others their time.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures::stream::{FuturesUnordered, StreamExt as _};
use gopay_store::StoreError;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{away, down};

/// How long one host may take until a connection to it can be used, if the URL does not say
/// (`connect_timeout`): name, TCP, TLS, start-up, the question whether it takes writes, and settings.
const BUDGET: Duration = Duration::from_secs(2);

/// So long one host is asked alone; then the next is asked beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Between two questions to a host that does not serve.
const AGAIN: Duration = Duration::from_millis(100);
/// The same after [`LONG`].
const AGAIN_LATER: Duration = Duration::from_millis(500);
/// A switchover is over by then.
const LONG: Duration = Duration::from_secs(30);

/// What is asked of a host.
pub(crate) struct Asked {
    pub(crate) tls: MakeRustlsConnect,
    /// By this name the database knows the connection.
    pub(crate) application: String,
    /// A standby will not do.
    pub(crate) writes: bool,
    /// What the connection is told first.
    pub(crate) setup: Option<String>,
}

/// A connection, and which of the hosts it leads to.
pub(crate) struct Reached {
    pub(crate) client: ClientWrapper,
    pub(crate) host: usize,
}

/// See the module.
pub(crate) struct Hosts {
    /// Each with one host.
    each: Vec<Config>,
    budget: Duration,
    /// The one that served last.
    last: AtomicUsize,
    /// What each did last, for people.
    said: Mutex<Vec<Option<String>>>,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.each).finish()
    }
}

/// Why a host does not serve.
#[derive(Debug, thiserror::Error)]
enum Unreached {
    #[error("{}", told(.0))]
    Refused(#[source] tokio_postgres::Error),
    #[error("its name is not found: {0}")]
    Name(#[source] std::io::Error),
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

/// Without the detail, which may show rows.
fn told(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => format!("{} (SQLSTATE {})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

impl Hosts {
    /// Those of a URL.
    pub(crate) fn of(config: &Config) -> Result<Self, StoreError> {
        let count = config.get_hosts().len().max(config.get_hostaddrs().len());
        let uneven = |many: usize| many > 1 && many != count;
        if uneven(config.get_ports().len()) {
            return Err(down(
                "not a URL of PostgreSQL: it has another number of ports than of hosts",
            ));
        }
        let budget = config.get_connect_timeout().copied().unwrap_or(BUDGET);
        let each: Vec<_> = (0..count).map(|at| of_host(config, at)).collect();
        let random = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        let first = if random { usize::from(chance()) % count.max(1) } else { 0 };
        let said = Mutex::new(vec![None; count]);
        Ok(Self { each, budget, last: AtomicUsize::new(first), said })
    }

    /// Those of the hosts, for people.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.each.iter().map(name_of).collect();
        names.join(", ")
    }

    /// Why none of them serves.
    pub(crate) fn why(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let each = self.each.iter().zip(said.iter());
        let each = each.filter_map(|(config, said)| Some((name_of(config), said.as_ref()?)));
        let each: Vec<_> = each.map(|(name, said)| format!("{name}: {said}")).collect();
        if each.is_empty() { "no host has answered yet".to_owned() } else { each.join("; ") }
    }

    /// A connection to the first that serves; each is asked once, within its time.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if one has no connection left, else [`StoreError::Away`].
    pub(crate) async fn connect(&self, asked: &Asked) -> Result<Reached, StoreError> {
        let last = self.last.load(Ordering::Relaxed);
        let others = (0..self.each.len()).filter(|at| *at != last);
        let attempts = std::iter::once(last).chain(others).map(|at| self.attempt(at, asked));
        first(attempts).await.map_err(|errors| {
            let full = |error: &Unreached| match error {
                Unreached::Refused(error) => error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS),
                Unreached::Name(_) | Unreached::Silent(_) => false,
            };
            if errors.iter().any(full) { StoreError::Busy } else { away(self.why()) }
        })
    }

    /// Waits for a host that serves, however long it takes. One that is silent holds up no other.
    pub(crate) async fn find(&self, asked: &Asked) -> Reached {
        let began = Instant::now();
        let look = async |at| {
            loop {
                if let Ok(reached) = self.attempt(at, asked).await {
                    return reached;
                }
                sleep(if began.elapsed() < LONG { AGAIN } else { AGAIN_LATER }).await;
            }
        };
        let mut looks: FuturesUnordered<_> = (0..self.each.len()).map(look).collect();
        match looks.next().await {
            Some(reached) => reached,
            // A URL without a host is refused when it is read.
            None => std::future::pending().await,
        }
    }

    /// Whether a host serves nobody, found out by a connection more.
    pub(crate) async fn is_silent(&self, at: usize, asked: &Asked) -> bool {
        self.attempt(at, asked).await.is_err_and(|error| match error {
            Unreached::Silent(_) | Unreached::Name(_) => true,
            // It speaks: what it says goes for new connections, and old ones are told themselves.
            Unreached::Refused(error) => error.code().is_none(),
        })
    }

    async fn attempt(&self, at: usize, asked: &Asked) -> Result<Reached, Unreached> {
        let Some(config) = self.each.get(at) else { return std::future::pending().await };
        let reached = timeout(self.budget, reach(config, asked)).await;
        let reached = reached.unwrap_or(Err(Unreached::Silent(self.budget)));
        let said = reached.as_ref().err().map(ToString::to_string);
        let mut all = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = all.get_mut(at) {
            *slot = said;
        }
        drop(all);
        let client = reached?;
        self.last.store(at, Ordering::Relaxed);
        Ok(Reached { client, host: at })
    }
}

/// Connects to one host at the first of its addresses that serves.
async fn reach(config: &Config, asked: &Asked) -> Result<ClientWrapper, Unreached> {
    let mut config = config.clone();
    config.application_name(&asked.application);
    if asked.writes && config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    let named = match config.get_hosts().first() {
        Some(Host::Tcp(name)) if config.get_hostaddrs().is_empty() => {
            let port = config.get_ports().first().copied().unwrap_or(PORT);
            let found = tokio::net::lookup_host((name.as_str(), port)).await;
            found.map_err(Unreached::Name)?.map(|found| found.ip()).collect()
        }
        Some(_) | None => Vec::new(),
    };
    if named.is_empty() {
        return open(config, asked).await;
    }
    let at = |address: IpAddr| {
        let mut config = config.clone();
        config.hostaddr(address);
        open(config, asked)
    };
    let opened = first(named.into_iter().map(at).collect::<Vec<_>>()).await;
    opened.map_err(|errors| {
        let none = std::io::ErrorKind::NotFound.into();
        errors.into_iter().next_back().unwrap_or(Unreached::Name(none))
    })
}

async fn open(config: Config, asked: &Asked) -> Result<ClientWrapper, Unreached> {
    let connected = config.connect(asked.tls.clone()).await;
    let (client, connection) = connected.map_err(Unreached::Refused)?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the database ended");
        }
    });
    // Ends the task when it is dropped.
    let client = ClientWrapper::new(client, task);
    if let Some(setup) = &asked.setup {
        client.batch_execute(setup).await.map_err(Unreached::Refused)?;
    }
    Ok(client)
}

/// The first attempt that succeeds. Each begins when one before has failed, or has had its head start.
async fn first<T, E, F>(attempts: impl IntoIterator<Item = F>) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut left = attempts.into_iter().peekable();
    let (mut running, mut errors) = (FuturesUnordered::new(), Vec::new());
    running.extend(left.next());
    loop {
        let ended = match left.peek() {
            Some(_) => timeout(HEAD_START, running.next()).await,
            None => Ok(running.next().await),
        };
        match ended {
            Ok(Some(Ok(found))) => return Ok(found),
            Ok(Some(Err(error))) => errors.push(error),
            Ok(None) => return Err(errors),
            Err(_) => {}
        }
        running.extend(left.next());
    }
}

/// PostgreSQL's, where the URL says none.
const PORT: u16 = 5432;

/// The same with one of the hosts alone.
fn of_host(all: &Config, at: usize) -> Config {
    let mut one = Config::new();
    match all.get_hosts().get(at) {
        Some(Host::Tcp(name)) => _ = one.host(name),
        Some(Host::Unix(folder)) => _ = one.host_path::<&Path>(folder),
        None => {}
    }
    if let Some(address) = all.get_hostaddrs().get(at) {
        one.hostaddr(*address);
    }
    let port = all.get_ports().get(at).or_else(|| all.get_ports().first());
    one.port(port.copied().unwrap_or(PORT));
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(database) = all.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    one.ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .target_session_attrs(all.get_target_session_attrs())
        .channel_binding(all.get_channel_binding())
        .keepalives(all.get_keepalives())
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(20));
    one
}

fn name_of(config: &Config) -> String {
    let port = config.get_ports().first().copied().unwrap_or(PORT);
    let name = match (config.get_hosts().first(), config.get_hostaddrs().first()) {
        (Some(Host::Tcp(name)), _) => name.clone(),
        (Some(Host::Unix(folder)), _) => return folder.display().to_string(),
        (None, Some(address)) => address.to_string(),
        (None, None) => String::new(),
    };
    if port == PORT { name } else { format!("{name}:{port}") }
}

/// Chance enough to spread instances over hosts.
fn chance() -> u16 {
    let [low, high, ..] = RandomState::new().hash_one(0).to_le_bytes();
    u16::from_le_bytes([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_costs_the_others_a_head_start_and_who_refuses_nothing() {
        /// After so many milliseconds, a host serves or refuses.
        type Host = (u64, bool);
        let cases: [(&[Host], Result<usize, usize>, u64); 6] = [
            (&[(10, true)], Ok(0), 10),
            (&[(10, false), (10, true)], Ok(1), 20),
            (&[(9_000, true), (10, true)], Ok(1), 260),
            (&[(9_000, true), (9_000, true), (10, true)], Ok(2), 510),
            (&[(300, true), (300, true)], Ok(0), 300),
            (&[(10, false), (400, false)], Err(2), 410),
        ];
        for (hosts, wanted, took) in cases {
            let began = Instant::now();
            let attempt = async |(at, &(after, serves)): (usize, &Host)| {
                sleep(Duration::from_millis(after)).await;
                if serves { Ok(at) } else { Err(()) }
            };
            let found = first(hosts.iter().enumerate().map(attempt)).await;
            assert_eq!(found.map_err(|errors| errors.len()), wanted, "{hosts:?}");
            assert_eq!(began.elapsed(), Duration::from_millis(took), "{hosts:?}");
        }
    }

    #[test]
    fn each_host_has_its_port_and_all_have_the_rest() {
        let url =
            "postgres://u:secret@a:1,b:2/pay?connect_timeout=7&target_session_attrs=read-write";
        let hosts = Hosts::of(&url.parse().unwrap()).unwrap();
        assert_eq!(hosts.names(), "a:1, b:2");
        assert_eq!(hosts.budget, Duration::from_secs(7));
        for config in &hosts.each {
            assert_eq!(config.get_hosts().len(), 1);
            assert_eq!(config.get_dbname(), Some("pay"));
            assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
        assert_eq!(Hosts::of(&"postgres://u@a,b/pay".parse().unwrap()).unwrap().names(), "a, b");
        assert!(Hosts::of(&"postgres://u@a:1,b:2,c/pay".parse().unwrap()).is_ok());
    }
}
