//! Where the database is, how connections to it are made, and what each is told first.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use gopay_store::StoreError;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{down, store_error};
use crate::options::Options;

/// The first half of the keys of our advisory locks: the letters "gopa". The second half is the
/// number of an instance, or below zero.
pub(crate) const LOCKS: i32 = 0x676f_7061;

/// Where the database is. Its `Debug` shows no password.
#[derive(Clone, Debug)]
pub struct DatabaseUrl {
    config: Arc<Config>,
    name: String,
}

impl DatabaseUrl {
    /// Reads `postgres://user:password@host:port/database?key=value`. Besides the host in its
    /// usual place, `?host=/socket/dir` names the folder of a Unix socket.
    ///
    /// `sslmode` is `disable`, `prefer` (the default) or `require`. A certificate is always held
    /// against the roots of the system, or of the file that `SSL_CERT_FILE` names.
    ///
    /// # Errors
    /// [`StoreError::Down`] that says what is wrong, without the URL.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            down(format!("not a URL of PostgreSQL: {}", why.unwrap_or_else(|| error.to_string())))
        })?;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(folder)) => folder.display().to_string(),
            None => return Err(down("not a URL of PostgreSQL: it names no host")),
        };
        let Some(database) = config.get_dbname() else {
            return Err(down("not a URL of PostgreSQL: it names no database"));
        };
        let name = format!("postgres database {database} at {host}");
        config
            .connect_timeout(CONNECT)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(20));
        // By their names the database tells who is there, whatever the URL says.
        config.application_name("gopay-adapter");
        Ok(Self { config: Arc::new(config), name })
    }

    /// Database and host, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn tls(&self) -> Result<MakeRustlsConnect, StoreError> {
        let mut roots = RootCertStore::empty();
        if self.config.get_ssl_mode() != SslMode::Disable {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 && self.config.get_ssl_mode() == SslMode::Require {
                return Err(down(
                    "sslmode=require, and no root certificate is known; install the system's \
                     or name a file in SSL_CERT_FILE",
                ));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| StoreError::Down(Box::new(error)))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }

    pub(crate) fn pool(&self, options: &Options, setup: Setup) -> Result<Pool, StoreError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.as_ref().clone(), self.tls()?, recycling);
        let sql = Arc::new(setup.sql(options));
        Pool::builder(manager)
            .max_size(options.connections.max(2))
            .wait_timeout(Some(options.wait))
            .create_timeout(Some(CONNECT))
            .recycle_timeout(Some(CONNECT))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(move |client, _| {
                let sql = Arc::clone(&sql);
                Box::pin(
                    async move { client.batch_execute(&sql).await.map_err(HookError::Backend) },
                )
            }))
            .build()
            .map_err(|error| StoreError::Down(Box::new(error)))
    }

    /// A connection of its own, for what holds a lock of the session or reads the whole store.
    pub(crate) async fn client(&self, application: Option<&str>) -> Result<Client, StoreError> {
        let mut config = self.config.as_ref().clone();
        if let Some(name) = application {
            config.application_name(name);
        }
        let tls = self.tls()?;
        let connected = tokio::time::timeout(CONNECT, config.connect(tls)).await;
        let (client, connection) = connected
            .map_err(|_| down("the database did not answer in time"))?
            .map_err(store_error)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Ok(client)
    }
}

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// What the connections of a pool are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    Write,
    ReadOnly,
}

impl Setup {
    /// What each new connection is told. Only a weaker `synchronous_commit` is replaced: a step
    /// that was answered survives a power cut, and a site may want even more.
    fn sql(self, options: &Options) -> String {
        let lock = options.lock_timeout.as_millis();
        let statement = options.step_timeout.as_millis();
        let read_only = match self {
            Self::Write => "off",
            Self::ReadOnly => "on",
        };
        format!(
            "SELECT set_config('synchronous_commit', 'on', false)
                WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
            SET default_transaction_isolation = 'read committed';
            SET default_transaction_read_only = {read_only};
            SET jit = off;
            SET enable_seqscan = off;
            SET enable_hashjoin = off;
            SET enable_mergejoin = off;
            SET lock_timeout = {lock};
            SET statement_timeout = {statement};
            SET idle_in_transaction_session_timeout = {statement};
            SET tcp_keepalives_idle = 10;
            SET tcp_keepalives_interval = 5;
            SET tcp_keepalives_count = 3"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_their_password() {
        for (url, name) in [
            ("postgres://u:secret@db.example:5433/pay", "postgres database pay at db.example"),
            ("postgresql://u@/pay?host=/run/pg", "postgres database pay at /run/pg"),
            ("postgres://u@db/pay?sslmode=require", "postgres database pay at db"),
            ("postgres://u@a,b/pay?target_session_attrs=read-write", "postgres database pay at a"),
        ] {
            let place = DatabaseUrl::parse(url).unwrap();
            assert_eq!(place.name(), name);
            assert!(!format!("{place:?}").contains("secret"), "{place:?}");
        }
        for (url, wrong) in [
            ("postgres://u@db", "names no database"),
            ("postgres:///pay", "names no host"),
            ("postgres://u:secret@db/pay?sslmode=perhaps", "sslmode"),
            ("postgres://u:secret@db:port/pay", "port"),
            ("postgres://u@db/pay?colour=red", "colour"),
        ] {
            let error = DatabaseUrl::parse(url).unwrap_err();
            let text = std::error::Error::source(&error).unwrap().to_string();
            assert!(text.contains(wrong) && !text.contains("secret"), "{url}: {text}");
        }
    }
}
