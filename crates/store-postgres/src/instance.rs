//! The number of an instance, held while it runs, so that no two instances draw the same ids.
//!
//! Ids carry the number (`gopay_core::ids`), and the keys of the tables would refuse a second row
//! of the same id; the lock makes a wrong set-up visible at the start instead of now and then.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use gopay_store::StoreError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::connect::{DatabaseUrl, LOCKS};
use crate::error::{down, store_error};

/// How often the lock's connection is looked at.
const WATCH: Duration = Duration::from_secs(2);
/// How long the database may take to answer that.
const ANSWER: Duration = Duration::from_secs(5);

/// The lock on an instance's number; given back when dropped.
#[derive(Debug)]
pub struct InstanceLock {
    lost: watch::Receiver<bool>,
    watcher: tokio::task::JoinHandle<()>,
}

impl InstanceLock {
    /// Takes the number. An instance that is just ending is waited for, at most for `patience`.
    ///
    /// The database gives the number free when the connection of its holder ends: at once if the
    /// process dies, after about 25 seconds if its machine does.
    ///
    /// # Errors
    /// [`StoreError::Down`] that names the holder, or says why the database cannot be asked.
    pub async fn take(
        place: &DatabaseUrl,
        number: u16,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let token = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let seeker = Seeker { place: place.clone(), number, token };
        let until = Instant::now() + patience;
        let mut waits = false;
        let client = loop {
            match seeker.seek().await? {
                Sought::Taken(client) => break client,
                Sought::HeldBy(holder) if Instant::now() < until => {
                    if !waits {
                        tracing::warn!(number, holder, ?patience, "the number is taken; waiting");
                    }
                    waits = true;
                    sleep(Duration::from_millis(200)).await;
                }
                Sought::HeldBy(holder) => {
                    return Err(down(format!(
                        "another instance with number {number} is running ({holder}); give each \
                         instance its own [instance] number"
                    )));
                }
            }
        };
        let (sender, lost) = watch::channel(false);
        let watcher = tokio::spawn(async move {
            seeker.keep(client).await;
            sender.send_replace(true);
        });
        Ok(Self { lost, watcher })
    }

    /// Ready when another instance has the number: it took it while the database could not be
    /// reached from here. This one must stop.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // An error means that the watcher is gone, and with it the lock.
        let _ = lost.wait_for(|lost| *lost).await;
    }
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

struct Seeker {
    place: DatabaseUrl,
    number: u16,
    /// Tells our own connections from those of others.
    token: String,
}

enum Sought {
    Taken(ClientWrapper),
    HeldBy(String),
}

impl Seeker {
    fn name(&self) -> String {
        format!("gopay-adapter instance {} {}", self.number, self.token)
    }

    async fn seek(&self) -> Result<Sought, StoreError> {
        let client = self.place.client(Some(&self.name())).await?;
        let sought = timeout(ANSWER, self.lock(&client)).await;
        match sought.map_err(|_| down("the database did not answer in time"))? {
            Ok(None) => Ok(Sought::Taken(client)),
            Ok(Some(holder)) => Ok(Sought::HeldBy(holder)),
            Err(error) => Err(store_error(error)),
        }
    }

    /// Tries to lock; the holder if it could not.
    async fn lock(&self, client: &ClientWrapper) -> Result<Option<String>, tokio_postgres::Error> {
        client
            .batch_execute(
                "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
                 SET tcp_keepalives_count = 3",
            )
            .await?;
        let number = i32::from(self.number);
        let sql = "SELECT pg_try_advisory_lock($1, $2)";
        if client.query_one(sql, &[&LOCKS, &number]).await?.try_get(0)? {
            return Ok(None);
        }
        // A connection of ours that broke without the database noticing is ended, and the next
        // try finds the number free.
        let sql = "SELECT coalesce(a.application_name, ''), coalesce(host(a.client_addr), 'local'),
                CASE WHEN a.application_name = $3 THEN pg_terminate_backend(a.pid) END
            FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
            WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND l.classid = $1::int::oid AND l.objid = $2::int::oid";
        let row = client.query_opt(sql, &[&LOCKS, &number, &self.name()]).await?;
        let holder = row.map_or_else(
            || Ok("it has just gone".to_owned()),
            |row| {
                let (name, host): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                Ok::<_, tokio_postgres::Error>(format!("{name}, from {host}"))
            },
        );
        holder.map(Some)
    }

    /// Watches the connection and takes the lock again when it breaks, until another has it.
    async fn keep(&self, mut client: ClientWrapper) {
        /// So often in a row another must hold the number: our own old connection may need a
        /// moment to end.
        const TRIES: u32 = 5;
        loop {
            sleep(WATCH).await;
            if matches!(timeout(ANSWER, client.batch_execute("SELECT 1")).await, Ok(Ok(()))) {
                continue;
            }
            tracing::warn!(number = self.number, "the lock on the instance's number broke");
            let mut held = 0;
            client = loop {
                match self.seek().await {
                    Ok(Sought::Taken(client)) => break client,
                    Ok(Sought::HeldBy(holder)) => {
                        held += 1;
                        if held >= TRIES {
                            tracing::error!(number = self.number, holder, "the number is taken");
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the number cannot be locked again yet");
                    }
                }
                sleep(Duration::from_secs(1)).await;
            };
            tracing::info!(number = self.number, "the number is locked again");
        }
    }
}
