//! Where a store is, as config and command line say it.

use std::path::PathBuf;

/// Where the store is.
#[derive(Clone, Debug)]
pub(crate) enum StoreUrl {
    /// In a file.
    Sqlite(PathBuf),
    /// In a database that instances share.
    #[cfg(feature = "postgres")]
    Postgres(gopay_store_postgres::DatabaseUrl),
}

impl StoreUrl {
    /// What a store's URL may look like.
    pub(crate) const WANTED: &str =
        "sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE, or env:NAME, or file:PATH";

    /// Reads a store's URL. The error does not repeat it: it may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return match path {
                "" => Err("no path".to_owned()),
                path if path.starts_with(":memory:") || path.starts_with("file:") => {
                    Err("a store is a file, and after sqlite: comes its path alone".to_owned())
                }
                path if path.contains('?') => {
                    Err("after sqlite: comes a path alone, without ? and options".to_owned())
                }
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::postgres(url);
        }
        Err("not a store".to_owned())
    }

    #[cfg(feature = "postgres")]
    fn postgres(url: &str) -> Result<Self, String> {
        let place = gopay_store_postgres::DatabaseUrl::parse(url);
        let why = |error| anyhow::Error::from(error).root_cause().to_string();
        place.map(Self::Postgres).map_err(why)
    }

    #[cfg(not(feature = "postgres"))]
    fn postgres(_: &str) -> Result<Self, String> {
        Err("this program was built without the feature postgres".to_owned())
    }

    /// For messages; shows no password.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Postgres(place) => place.name().to_owned(),
        }
    }
}
