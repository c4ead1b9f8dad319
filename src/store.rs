//! Which engine keeps the store, and what the commands need of it.

mod url;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
#[cfg(feature = "postgres")]
use anyhow::anyhow;
use gopay_core::time::Timestamp;
use gopay_service::{Clock as _, SystemClock};
use gopay_store::Database;
use gopay_store::sealing::{KeyRing, SealedStore, check_keys};
#[cfg(feature = "postgres")]
use gopay_store_postgres::{NumberLease, PgStore};
use gopay_store_sqlite::{NoStore, SqliteStore};

pub(crate) use self::url::StoreUrl;

impl StoreUrl {
    /// Reads a store's URL from the command line. It may hold a password, which does not belong there:
    /// `env:NAME` and `file:PATH` say where it is.
    pub(crate) fn of_option(option: &str, url: &str) -> anyhow::Result<Self> {
        let url = match (url.strip_prefix("env:"), url.strip_prefix("file:")) {
            (Some(name), _) => {
                std::env::var(name).with_context(|| format!("{option}: the variable {name}"))?
            }
            (None, Some(path)) => {
                std::fs::read_to_string(path).with_context(|| format!("{option}: {path}"))?
            }
            (None, None) => url.to_owned(),
        };
        Self::parse(url.trim_end())
            .map_err(|wrong| anyhow::anyhow!("{option}: {wrong}; valid: {}", Self::WANTED))
    }

    /// Writes a consistent copy, also while others run the store.
    pub(crate) async fn backup(&self, to: &Path) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(path) => {
                let store = explained(SqliteStore::open_read_only(path), self)?;
                let written = store.backup(to).await;
                written.with_context(|| format!("cannot write the copy {}", to.display()))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(place) => Err(anyhow!(
                "{}: use pg_dump for a copy, or pg_basebackup with the write-ahead log for \
                 recovery to any moment; backup is for SQLite",
                place.name()
            )),
        }
    }

    /// Writes the file anew, so that nothing stays in its free pages of what was sealed or erased. The
    /// database of instances is left to its own means.
    pub(crate) fn rewrite(&self) -> anyhow::Result<bool> {
        match self {
            Self::Sqlite(path) => explained(SqliteStore::rewrite(path), self).map(|()| true),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(false),
        }
    }

    /// Creates the schema or brings it up to date; its version afterwards.
    pub(crate) async fn migrate(&self) -> anyhow::Result<i64> {
        match self {
            Self::Sqlite(path) => {
                SqliteStore::open(path, gopay_store_sqlite::Options::default())?.close().await?;
                Ok(SqliteStore::schema_version(path)?)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(place) => Ok(PgStore::migrate(place).await?),
        }
    }
}

/// An open store: its engine, and the layer that seals, if there are keys.
#[derive(Clone)]
pub(crate) struct Engine {
    kind: Kind,
    layer: Option<Arc<SealedStore>>,
}

#[derive(Clone)]
enum Kind {
    Sqlite(SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(PgStore),
}

impl Kind {
    fn handle(&self) -> Arc<dyn Database> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// Puts the layer before it, if there are keys or payments that are sealed. `now`: new payments
    /// will be made.
    async fn sealed(self, keys: &KeyRing, now: Option<Timestamp>) -> anyhow::Result<Engine> {
        let checked = check_keys(self.handle().as_ref(), keys, now).await;
        match checked.context("the keys of the store") {
            Ok(sealed) => {
                let layer = || Arc::new(SealedStore::new(self.handle(), keys.clone()));
                let layer = sealed.then(layer);
                Ok(Engine { kind: self, layer })
            }
            Err(error) => {
                self.close().await?;
                Err(error)
            }
        }
    }

    async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(store) => store.close().await.context("closing the store"),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => {
                store.close();
                Ok(())
            }
        }
    }
}

impl Engine {
    /// Opens the store of a running adapter. SQLite brings its schema up to date; PostgreSQL,
    /// which others may be using, leaves that to `migrate`.
    ///
    /// Where there is no store, only `create` makes one, and only in a file.
    pub(crate) async fn open(
        place: &StoreUrl,
        keys: &KeyRing,
        connections: usize,
        create: bool,
    ) -> anyhow::Result<Self> {
        #[cfg(not(feature = "postgres"))]
        let _ = connections;
        let opened = match place {
            StoreUrl::Sqlite(path) => {
                let options = gopay_store_sqlite::Options::default();
                let opened = if create {
                    SqliteStore::open(path, options)
                } else {
                    SqliteStore::open_existing(path, options)
                };
                opened.map(Kind::Sqlite)
            }
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(place) => {
                let options = gopay_store_postgres::Options { connections, ..Default::default() };
                PgStore::open(place, options).await.map(Kind::Postgres)
            }
        };
        explained(opened, place)?.sealed(keys, Some(SystemClock.now())).await
    }

    /// Opens the store for questions, beside those who run it.
    pub(crate) async fn open_read_only(place: &StoreUrl, keys: &KeyRing) -> anyhow::Result<Self> {
        Self::open_as_it_is(place).await?.kind.sealed(keys, None).await
    }

    /// The same without keys, for what is not personal.
    pub(crate) async fn open_as_it_is(place: &StoreUrl) -> anyhow::Result<Self> {
        let opened = match place {
            StoreUrl::Sqlite(path) => SqliteStore::open_read_only(path).map(Kind::Sqlite),
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(place) => PgStore::open_read_only(place).await.map(Kind::Postgres),
        };
        Ok(Self { kind: explained(opened, place)?, layer: None })
    }

    /// Opens the store for finance, beside those who run it: settlements are closed, and runs of
    /// reconciliation and decisions recorded.
    pub(crate) async fn open_for_finance(
        place: &StoreUrl,
        keys: &KeyRing,
        connections: usize,
    ) -> anyhow::Result<Self> {
        #[cfg(not(feature = "postgres"))]
        let _ = connections;
        match place {
            StoreUrl::Sqlite(path) => {
                let opened = SqliteStore::open_for_finance(path).map(Kind::Sqlite);
                explained(opened, place)?.sealed(keys, None).await
            }
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(_) => Self::open(place, keys, connections, false).await,
        }
    }

    pub(crate) fn handle(&self) -> Arc<dyn Database> {
        match &self.layer {
            Some(layer) => {
                let layer: Arc<dyn Database> = Arc::<SealedStore>::clone(layer);
                layer
            }
            None => self.kind.handle(),
        }
    }

    /// The layer that seals, if there is one.
    pub(crate) fn layer(&self) -> Option<Arc<SealedStore>> {
        self.layer.clone()
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.kind.close().await
    }
}

fn explained<T>(opened: Result<T, gopay_store::StoreError>, place: &StoreUrl) -> anyhow::Result<T> {
    let old = matches!(
        &opened,
        Err(gopay_store::StoreError::Schema { found, known }) if found < known
    );
    let none =
        matches!(&opened, Err(gopay_store::StoreError::Down(source)) if source.is::<NoStore>());
    let opened = opened.with_context(|| format!("cannot open the store {}", place.name()));
    if none {
        return opened.context(
            "put the store back or mend `store.url`; only if there never was one, create it with \
             `gopay-adapter migrate`",
        );
    }
    if old { opened.context("run `gopay-adapter migrate` first") } else { opened }
}

/// The number of an instance, held where instances share a store. A file has a lock of its own.
pub(crate) struct Number {
    #[cfg(feature = "postgres")]
    lease: Option<NumberLease>,
}

#[cfg(feature = "postgres")]
impl Number {
    /// The number that the config names; none: this process draws no ids, and takes any that is free.
    pub(crate) async fn take(
        place: &StoreUrl,
        store: &Engine,
        number: Option<u16>,
    ) -> anyhow::Result<Self> {
        /// An instance that is being replaced needs this long to stop.
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
        let lease = match (place, &store.kind) {
            (StoreUrl::Postgres(place), Kind::Postgres(store)) => {
                let lease = store.hold(place, number, PATIENCE).await;
                Some(lease.context("cannot take the number of this instance")?)
            }
            (StoreUrl::Sqlite(_), _) | (_, Kind::Sqlite(_)) => None,
        };
        Ok(Self { lease })
    }

    /// Gives the number back, once everything has ended.
    pub(crate) async fn release(self) {
        if let Some(lease) = self.lease {
            lease.release().await;
        }
    }

    /// Ready when the number went to another instance.
    pub(crate) async fn lost(&self) -> anyhow::Error {
        match &self.lease {
            Some(lease) => lease.lost().await,
            None => std::future::pending().await,
        }
        anyhow!("another instance has the number of this one; it stops")
    }
}

#[cfg(not(feature = "postgres"))]
impl Number {
    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(crate) async fn take(place: &StoreUrl, _: &Engine, _: Option<u16>) -> anyhow::Result<Self> {
        match place {
            StoreUrl::Sqlite(_) => Ok(Self {}),
        }
    }

    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(crate) async fn release(self) {}

    pub(crate) async fn lost(&self) -> anyhow::Error {
        std::future::pending().await
    }
}
