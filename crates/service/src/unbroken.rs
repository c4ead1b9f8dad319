//! Work that is not given up when who waits for it goes away.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Polled where it is awaited, which costs no task and wakes no other thread. Dropped unfinished, it
/// becomes a task and runs to its end.
pub(crate) struct Unbroken<T: Send + 'static> {
    /// None once it has ended.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
}

/// The work ended in a panic: a bug.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
pub(crate) struct Panicked(&'static str);

/// Runs `work` to its end, whatever becomes of who asked.
pub(crate) fn unbroken<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Unbroken<T> {
    Unbroken { work: Some(Box::pin(work)) }
}

impl<T: Send + 'static> Future for Unbroken<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(Err(Panicked("polled after its end")));
        };
        // What panicked is dropped and never polled again.
        let ended = match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(done)) => Ok(done),
            Err(panic) => Err(Panicked(words(panic.as_ref()))),
        };
        self.work = None;
        Poll::Ready(ended)
    }
}

impl<T: Send + 'static> Drop for Unbroken<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

/// Words of the source code. What was put together at run time may hold a name or a secret; where it
/// panicked is in the log.
fn words(panic: &(dyn Any + Send)) -> &'static str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("see the log for where")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::{Notify, oneshot};

    use super::*;

    #[tokio::test]
    async fn work_whose_caller_goes_away_runs_to_its_end() {
        let (gate, (done, ended)) = (Arc::new(Notify::new()), oneshot::channel());
        let opened = Arc::clone(&gate);
        let work = unbroken(async move {
            opened.notified().await;
            done.send("booked").unwrap();
        });
        let patience = Duration::from_millis(10);
        assert!(tokio::time::timeout(patience, work).await.is_err(), "it waits at the gate");
        gate.notify_one();
        assert_eq!(ended.await, Ok("booked"));
    }

    #[tokio::test]
    async fn work_that_nobody_polled_runs_too() {
        let (done, ended) = oneshot::channel();
        drop(unbroken(async move { done.send(7).unwrap() }));
        assert_eq!(ended.await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_not_the_end_of_who_waits() {
        let work = async { panic!("no way") };
        assert_eq!(unbroken::<()>(work).await.unwrap_err().0, "no way");
        let name = "Kartini".to_owned();
        let made = unbroken::<()>(async move { panic!("no payment of {name}") }).await;
        assert_eq!(made.unwrap_err().to_string(), "panicked: see the log for where");
        assert_eq!(unbroken(async { 3 }).await.unwrap(), 3);
    }
}
