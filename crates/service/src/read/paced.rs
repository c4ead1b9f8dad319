//! Answers to operators that cost a look at the whole store: however many ask, at most a tenth of the
//! time goes into them.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// An answer that is kept for nine times as long as it took to find, unless that was next to nothing.
pub(crate) struct Paced<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Paced<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Paced<T> {
    /// What is found within this time is not kept: a small store is looked at each time.
    const FREE: Duration = Duration::from_millis(5);
    /// The longest that an answer is kept.
    const KEPT_MAX: Duration = Duration::from_secs(10);

    /// The kept answer, or a new one. One is looked for at a time; an error is not kept.
    pub(crate) async fn get<E>(
        &self,
        find: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut kept = self.0.lock().await;
        if let Some((until, answer)) = &*kept
            && Instant::now() < *until
        {
            return Ok(answer.clone());
        }
        let began = Instant::now();
        let answer = find.await?;
        let took = began.elapsed();
        if took >= Self::FREE {
            *kept = Some((Instant::now() + (took * 9).min(Self::KEPT_MAX), answer.clone()));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_took_long_is_kept_and_what_did_not_is_fresh() {
        let paced = Paced::default();
        let found = Cell::new(0);
        let ask = async |millis: u64, good: bool| {
            let find = async {
                found.set(found.get() + 1);
                tokio::time::sleep(Duration::from_millis(millis)).await;
                if good { Ok(found.get()) } else { Err(()) }
            };
            paced.get(find).await
        };
        assert_eq!(ask(0, true).await, Ok(1));
        assert_eq!(ask(0, true).await, Ok(2));
        assert_eq!(ask(100, false).await, Err(()));
        assert_eq!(ask(100, true).await, Ok(4));
        tokio::time::advance(Duration::from_millis(890)).await;
        assert_eq!(ask(100, true).await, Ok(4));
        tokio::time::advance(Duration::from_millis(20)).await;
        assert_eq!(ask(60_000, true).await, Ok(5));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(ask(0, true).await, Ok(6));
    }
}
