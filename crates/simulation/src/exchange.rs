//! One exchange between two parties: requests and answers that are late or lost, and peers that act
//! on a request whether or not its sender still waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::world::World;

/// What one request meets on its way.
struct Way {
    there: Duration,
    lost: bool,
    answer_lost: bool,
}

impl World {
    fn way(&self) -> Way {
        let rates = self.rates();
        self.chance(|chance| Way {
            there: if chance.of_10_000(rates.late) {
                chance.millis(1_000, 60_000)
            } else {
                chance.millis(1, 40)
            },
            lost: chance.of_10_000(rates.lost),
            answer_lost: chance.of_10_000(rates.answer_lost),
        })
    }

    /// One exchange over a bad wire; none if there is no answer. The peer acts in a task of its
    /// own, as a machine of its own does.
    pub(crate) async fn exchange<T: Send + 'static>(
        self: &Arc<Self>,
        peer: impl Future<Output = Option<T>> + Send + 'static,
    ) -> Option<T> {
        let way = self.way();
        let (reply, answer) = oneshot::channel();
        tokio::spawn(async move {
            tokio::time::sleep(way.there).await;
            if way.lost {
                return;
            }
            if let Some(done) = peer.await
                && !way.answer_lost
            {
                // Nobody may wait any more.
                let _ = reply.send(done);
            }
        });
        let got = answer.await.ok();
        if got.is_none() {
            self.count("exchanges without an answer");
        }
        got
    }
}
