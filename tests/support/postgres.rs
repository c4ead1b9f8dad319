//! The PostgreSQL of the tests of one binary, and cases that run on both engines.

use gopay_store_postgres::cluster::{Cluster, Durability};
use tokio::sync::OnceCell;

static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();

/// The cluster that the tests of this binary share; none if this machine has no PostgreSQL.
pub(crate) async fn cluster() -> Option<&'static Cluster> {
    let started = CLUSTER.get_or_init(async || {
        let start = || Cluster::start(Durability::On).expect("PostgreSQL starts");
        tokio::task::spawn_blocking(start).await.expect("no panic")
    });
    started.await.as_ref()
}

/// Which store the program under test has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    /// With tables in parts, see `Cluster::partitioned`.
    Parts,
}

impl Engine {
    /// SQLite, unless `GOPAY_TEST_STORE=postgres` or `GOPAY_TEST_STORE=parts` asks for another.
    pub(crate) fn wanted() -> Self {
        match std::env::var("GOPAY_TEST_STORE").as_deref() {
            Ok("postgres") => Self::Postgres,
            Ok("parts") => Self::Parts,
            Ok(_) | Err(_) => Self::Sqlite,
        }
    }

    /// What a case for PostgreSQL runs on: whole tables, unless those in parts are asked for.
    #[allow(dead_code, reason = "not every test binary has such cases")]
    pub(crate) fn of_postgres() -> Self {
        if Self::wanted() == Self::Parts { Self::Parts } else { Self::Postgres }
    }

    /// A new database; none for a file, or if this machine has no PostgreSQL.
    pub(crate) async fn database(self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(cluster().await?.migrated().await.expect("a database")),
            Self::Parts => Some(cluster().await?.partitioned().await.expect("a database")),
        }
    }
}

/// Makes a test of each case on each engine; a case takes the engine. One that is not listed is
/// dead code, which no build passes.
#[allow(unused_macros, reason = "not every test binary has such cases")]
macro_rules! on_both_engines {
    ($($case:ident,)+) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case($crate::support::postgres::Engine::Sqlite).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                if $crate::support::postgres::cluster().await.is_some() {
                    super::$case($crate::support::postgres::Engine::of_postgres()).await;
                }
            })+
        }
    };
}
#[allow(unused_imports, reason = "not every test binary has such cases")]
pub(crate) use on_both_engines;
