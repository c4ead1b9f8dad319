//! Where the database is, how connections to it are made, and what each is told first.

use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use gopay_store::StoreError;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::down;
use crate::hosts::{Asked, Hosts};
use crate::options::Options;

/// The first half of the keys of our advisory locks: the letters "gopa". The second half is the
/// number of an instance, or below zero.
pub(crate) const LOCKS: i32 = 0x676f_7061;

/// Where the database is. Its `Debug` shows no password.
#[derive(Clone, Debug)]
pub struct DatabaseUrl {
    hosts: Arc<Hosts>,
    ssl_mode: SslMode,
    name: String,
    /// A pooler in transaction mode stands before it.
    pooled: bool,
}

/// By this name the database tells who is there, whatever the URL says.
const APPLICATION: &str = "gopay-adapter";

impl DatabaseUrl {
    /// Reads `postgres://user:password@host:port/database?key=value`. Besides the host in its
    /// usual place, `?host=/socket/dir` names the folder of a Unix socket. There may be several hosts,
    /// with commas between them; `connect_timeout` is the time of each, in seconds, two if absent.
    ///
    /// `sslmode` is `disable`, `prefer` (the default) or `require`. A certificate is always held
    /// against the roots of the system, or of the file that `SSL_CERT_FILE` names.
    ///
    /// `pooler=transaction` says that a pooler stands before the database which gives a connection for one
    /// transaction only: then nothing is kept in a session, and the settings must be those of the role.
    ///
    /// # Errors
    /// [`StoreError::Down`] that says what is wrong, without the URL.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let (url, pooled) = without_pooler(url)?;
        let config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            down(format!("not a URL of PostgreSQL: {}", why.unwrap_or_else(|| error.to_string())))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(down("not a URL of PostgreSQL: it names no host"));
        }
        let Some(database) = config.get_dbname() else {
            return Err(down("not a URL of PostgreSQL: it names no database"));
        };
        let hosts = Hosts::of(&config)?;
        let name = format!("postgres database {database} at {}", hosts.names());
        Ok(Self { hosts: Arc::new(hosts), ssl_mode: config.get_ssl_mode(), name, pooled })
    }

    /// Database and hosts, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn is_pooled(&self) -> bool {
        self.pooled
    }

    fn tls(&self) -> Result<MakeRustlsConnect, StoreError> {
        let mut roots = RootCertStore::empty();
        if self.ssl_mode != SslMode::Disable {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 && self.ssl_mode == SslMode::Require {
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

    pub(crate) fn hosts(&self) -> Arc<Hosts> {
        Arc::clone(&self.hosts)
    }

    /// What is asked for the connections of a pool.
    pub(crate) fn asked(&self, options: &Options, setup: Setup) -> Result<Asked, StoreError> {
        Ok(Asked {
            tls: self.tls()?,
            application: APPLICATION.to_owned(),
            writes: setup == Setup::Write,
            setup: (!self.pooled).then(|| setup.sql(options)),
        })
    }

    /// A connection of its own, for what holds a lock of the session or reads the whole store.
    pub(crate) async fn client(
        &self,
        application: Option<&str>,
    ) -> Result<ClientWrapper, StoreError> {
        let application = application.unwrap_or(APPLICATION).to_owned();
        let asked = Asked { tls: self.tls()?, application, writes: true, setup: None };
        Ok(self.hosts.connect(&asked).await?.client)
    }

    /// A connection to any server, a standby too.
    #[cfg(feature = "cluster")]
    pub(crate) async fn reader(&self) -> Result<ClientWrapper, StoreError> {
        let application = "cluster".to_owned();
        let asked = Asked { tls: self.tls()?, application, writes: false, setup: None };
        Ok(self.hosts.connect(&asked).await?.client)
    }
}

/// Takes `pooler` out of a URL, and says whether it is `transaction`.
fn without_pooler(url: &str) -> Result<(String, bool), StoreError> {
    let Some((before, query)) = url.split_once('?') else { return Ok((url.to_owned(), false)) };
    let (own, rest): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|pair| pair.starts_with("pooler="));
    let pooled = match own.as_slice() {
        [] => false,
        ["pooler=transaction"] => true,
        _ => return Err(down("not a URL of PostgreSQL: pooler can be transaction, once")),
    };
    let mark = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{before}{mark}{}", rest.join("&")), pooled))
}

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
            ("postgres://u:secret@db.example:5433/pay", "postgres database pay at db.example:5433"),
            ("postgresql://u@/pay?host=/run/pg", "postgres database pay at /run/pg"),
            ("postgres://u@db/pay?sslmode=require", "postgres database pay at db"),
            (
                "postgres://u@a,b/pay?target_session_attrs=read-write",
                "postgres database pay at a, b",
            ),
        ] {
            let place = DatabaseUrl::parse(url).unwrap();
            assert_eq!(place.name(), name);
            assert!(!format!("{place:?}").contains("secret"), "{place:?}");
        }
        for (url, pooled) in [
            ("postgres://u@db/pay?pooler=transaction", true),
            ("postgres://u@db/pay?sslmode=require&pooler=transaction&connect_timeout=3", true),
            ("postgres://u@db/pay?sslmode=require", false),
        ] {
            assert_eq!(DatabaseUrl::parse(url).unwrap().is_pooled(), pooled, "{url}");
        }
        for (url, wrong) in [
            ("postgres://u@db", "names no database"),
            ("postgres:///pay", "names no host"),
            ("postgres://u:secret@db/pay?sslmode=perhaps", "sslmode"),
            ("postgres://u:secret@db:port/pay", "port"),
            ("postgres://u@db/pay?colour=red", "colour"),
            ("postgres://u@db/pay?pooler=session", "pooler"),
            ("postgres://u@db/pay?pooler=transaction&pooler=transaction", "pooler"),
        ] {
            let error = DatabaseUrl::parse(url).unwrap_err();
            let text = std::error::Error::source(&error).unwrap().to_string();
            assert!(text.contains(wrong) && !text.contains("secret"), "{url}: {text}");
        }
    }
}
