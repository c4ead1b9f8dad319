//! A group of steps of one shard in one transaction of two round trips: `BEGIN` with everything that is
//! inserted, locked or looked up first, then the writes with `COMMIT`.
//!
//! Between the two each step is decided by the pure functions, one after the other, on the values
//! that were locked and on what those before it made of them. A step that needs a row that is not
//! there, is held by others, or does not parse is left out and goes alone afterwards, which tells
//! the difference. If a statement fails, nothing was done, and all go alone.

use std::collections::HashSet;
use std::sync::Arc;

use super::queue::Waiting as _;
use super::statements::{self, Wanted};
use super::step::{GroupEnd, Lane, Promise, Step};
use crate::pool::Connections;
use crate::session::{Ended, Session};
use crate::shards::shard_of;

/// Runs groups on a lane as long as somebody waits.
pub(crate) async fn run(connections: Arc<Connections>, group: Vec<Step>, mut lane: Lane) {
    let mut next = Some(group);
    while let Some(mut group) = next {
        if group.len() == 1
            && lane.lets_one_go_alone()
            && let Some(step) = group.pop()
        {
            return step.go_alone(Some(lane));
        }
        carry_out(&connections, group).await;
        next = lane.next_group();
    }
}

async fn carry_out(connections: &Connections, group: Vec<Step>) {
    let mut batch = Batch { open: group, decided: Vec::new(), left_out: Vec::new() };
    let ended = match connections.get().await {
        Ok(client) => {
            let session = connections.session(client);
            let work = async {
                let ended = batch.work(&session).await;
                session.end().await;
                ended
            };
            let ended = connections.watched(&session, connections.patience(), work).await;
            ended.unwrap_or_else(Ended::Failed)
        }
        Err(error) => Ended::Failed(error),
    };
    if matches!(ended, Ended::Durable) {
        let steps = u32::try_from(batch.decided.len()).unwrap_or(u32::MAX);
        metrics::histogram!(gopay_store::COMMIT_STEPS).record(steps);
    }
    batch.end(&ended.into());
}

struct Batch {
    /// Not decided yet.
    open: Vec<Step>,
    decided: Vec<Promise>,
    /// To go alone, whatever becomes of the others.
    left_out: Vec<Step>,
}

impl Batch {
    async fn work(&mut self, session: &Session) -> Ended {
        let Some(first) = self.open.first() else { return Ended::Undone };
        let shard = shard_of(first.shard());
        self.leave_out_duplicates();
        let begun = statements::begin(session, &Wanted::of(shard, &self.open)).await;
        // Nothing was written, and each will see for itself what is wrong.
        let Ok(mut rows) = begun else { return Ended::Undone };
        for step in std::mem::take(&mut self.open) {
            match rows.decide(step) {
                Ok(promise) => self.decided.push(promise),
                Err(step) => self.left_out.push(step),
            }
        }
        statements::write_and_commit(session, shard, &rows).await
    }

    /// Of payments with the same id only the first can be in a group, because what belongs to a
    /// payment is told apart by the id.
    fn leave_out_duplicates(&mut self) {
        let mut seen = HashSet::new();
        let duplicate = |step: &mut Step| match step {
            Step::Create(creation, _) => !seen.insert(creation.payment.tx_id),
            Step::Apply(..)
            | Step::Answer(..)
            | Step::CheckAt(..)
            | Step::Note(..)
            | Step::Record(..) => false,
        };
        self.left_out.extend(self.open.extract_if(.., duplicate));
    }

    fn end(self, end: &GroupEnd) {
        self.decided.into_iter().for_each(|promise| promise.end(end));
        self.open.into_iter().for_each(|step| step.end(end));
        self.left_out.into_iter().for_each(|step| step.go_alone(None));
    }
}
