//! Answers to operators that cost a look at the whole store: however many ask, at most a tenth of the
//! time goes into them.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// An answer that is kept for nine times as long as it took to find, unless that was next to nothing.
pub(crate) struct Paced<T>(Mutex<Option<Kept<T>>>);

/// An answer, and how old it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated<T> {
    /// What was found.
    pub value: T,
    /// Since it was asked for: it holds at least all that was stored before.
    pub age: Duration,
}

struct Kept<T> {
    value: T,
    asked: Instant,
    until: Instant,
}

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
    ) -> Result<Dated<T>, E> {
        let mut kept = self.0.lock().await;
        if let Some(kept) = &*kept
            && Instant::now() < kept.until
        {
            return Ok(Dated { value: kept.value.clone(), age: kept.asked.elapsed() });
        }
        let asked = Instant::now();
        let value = find.await?;
        let took = asked.elapsed();
        if took >= Self::FREE {
            let until = Instant::now() + (took * 9).min(Self::KEPT_MAX);
            *kept = Some(Kept { value: value.clone(), asked, until });
        }
        Ok(Dated { value, age: took })
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
            paced.get(find).await.map(|dated| (dated.value, dated.age.as_millis()))
        };
        assert_eq!(ask(0, true).await, Ok((1, 0)));
        assert_eq!(ask(0, true).await, Ok((2, 0)));
        assert_eq!(ask(100, false).await, Err(()));
        assert_eq!(ask(100, true).await, Ok((4, 100)));
        tokio::time::advance(Duration::from_millis(890)).await;
        assert_eq!(ask(100, true).await, Ok((4, 990)));
        tokio::time::advance(Duration::from_millis(20)).await;
        assert_eq!(ask(60_000, true).await, Ok((5, 60_000)));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(ask(0, true).await, Ok((6, 0)));
    }
}
