//! Steps that wait while others are committed, and the lanes on which groups of them go.
//!
//! A lane is a right to work, not a connection or a task. A step that finds a free one goes by
//! itself, at once, on its caller's task. Otherwise it waits, and the lane that is free next takes
//! along all that wait. Nobody waits for a timer.
//!
//! One large group costs much less than two that are half as large. So the second lane is taken
//! only when enough wait for a group of their own.
//!
//! What a step is and how a group runs is not known here: the queue is handed its runner.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use gopay_store::StoreError;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::error::down;

/// A lane that is busy with one group for so long is waiting for somebody else's lock, or for a
/// server that is; as long as it does, there is one lane more.
const STUCK: Duration = Duration::from_millis(250);

/// What can wait.
pub(crate) trait Waiting: Send + 'static {
    /// Nobody wants its result any more.
    fn abandoned(&self) -> bool;

    /// Where its rows are: those of a group are in one shard.
    fn shard(&self) -> u16;
}

/// How a step that waited ended.
pub(crate) enum Outcome<T, S: Waiting> {
    /// It was done in a group.
    Done(Result<T, StoreError>),
    /// Nothing was done: the step goes by itself, on this lane if there is one.
    Alone(Option<Lane<S>>),
}

/// To whom a group tells how a step ended.
pub(crate) type ReplyTo<T, S> = oneshot::Sender<Outcome<T, S>>;

/// The work of a group.
pub(crate) type Run = BoxFuture<'static, ()>;

/// Runs a group on a lane, and then the groups that the lane has next.
pub(crate) type Runner<S> = Box<dyn Fn(Vec<S>, Lane<S>) -> Run + Send + Sync>;

pub(crate) struct Queue<S: Waiting> {
    state: Mutex<State<S>>,
    bounds: Bounds,
    /// Where groups run, whoever their callers are.
    runtime: Handle,
    runner: Runner<S>,
}

/// How many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Lanes as long as none is stuck. All but the first are for when many wait.
    pub(crate) lanes: usize,
    /// How many are many.
    pub(crate) many: usize,
    /// Lanes at most.
    pub(crate) lanes_max: usize,
    /// Steps in a group at most.
    pub(crate) group_max: usize,
    /// Steps that nobody else waits with go in groups too.
    pub(crate) always: bool,
}

struct State<S> {
    /// With their numbers, which grow.
    waiting: VecDeque<(u64, S)>,
    /// The lanes in use: their numbers, and when each began with what it is doing.
    busy: Vec<(u64, Instant)>,
    next_number: u64,
}

impl<S: Waiting> State<S> {
    const fn number(&mut self) -> u64 {
        self.next_number = self.next_number.wrapping_add(1);
        self.next_number
    }

    fn lane_is_free(&self, bounds: &Bounds) -> bool {
        if self.busy.is_empty() {
            return true;
        }
        if self.busy.len() >= bounds.lanes_max {
            return false;
        }
        let now = Instant::now();
        let stuck = self.busy.iter().filter(|(_, began)| now.duration_since(*began) >= STUCK);
        let many = self.waiting.len() >= bounds.many;
        let lanes = if many { bounds.lanes } else { 1 };
        self.busy.len() < lanes.saturating_add(stuck.count())
    }

    fn begin(&mut self) -> u64 {
        let lane = self.number();
        self.busy.push((lane, Instant::now()));
        lane
    }

    /// The next group: those who wait and are still wanted, of the shard of the first. The others keep
    /// their places.
    fn gather(&mut self, most: usize) -> Vec<S> {
        let (mut group, mut others): (Vec<S>, VecDeque<_>) = (Vec::new(), VecDeque::new());
        while group.len() < most {
            let Some((number, step)) = self.waiting.pop_front() else { break };
            if step.abandoned() {
                continue;
            }
            if group.first().is_none_or(|first| first.shard() == step.shard()) {
                group.push(step);
            } else {
                others.push_back((number, step));
            }
        }
        others.append(&mut self.waiting);
        self.waiting = others;
        group
    }
}

impl<S: Waiting> Queue<S> {
    pub(crate) fn new(bounds: Bounds, runtime: Handle, runner: Runner<S>) -> Self {
        let state = State { waiting: VecDeque::new(), busy: Vec::new(), next_number: 0 };
        Self { state: Mutex::new(state), bounds, runtime, runner }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lane to a caller that finds it free, before it has even made its step ready to
    /// wait.
    pub(crate) fn free_lane(self: &Arc<Self>) -> Option<Lane<S>> {
        if self.bounds.always {
            return None;
        }
        let mut state = self.state();
        let free = state.waiting.is_empty() && state.lane_is_free(&self.bounds);
        free.then(|| Lane::new(self, state.begin()))
    }

    /// Puts a step among those that wait.
    pub(crate) fn enter<T>(
        self: &Arc<Self>,
        make: impl FnOnce(ReplyTo<T, S>) -> S,
    ) -> Ticket<T, S> {
        let (sender, reply) = oneshot::channel();
        let step = make(sender);
        let mut state = self.state();
        let number = state.number();
        state.waiting.push_back((number, step));
        drop(state);
        // A lane may have become free meanwhile, or others may be stuck.
        self.start_if_free();
        Ticket { queue: Arc::clone(self), number, reply, ended: false }
    }

    /// Starts a group if a lane is free.
    fn start_if_free(self: &Arc<Self>) {
        let mut state = self.state();
        if !state.lane_is_free(&self.bounds) {
            return;
        }
        let group = state.gather(self.bounds.group_max);
        if group.is_empty() {
            return;
        }
        let lane = Lane::new(self, state.begin());
        drop(state);
        self.spawn(group, lane);
    }

    fn spawn(&self, group: Vec<S>, lane: Lane<S>) {
        self.runtime.spawn((self.runner)(group, lane));
    }

    /// Takes a waiting step out; false if a group has it already.
    fn withdraw(&self, number: u64) -> bool {
        let mut state = self.state();
        let found = state.waiting.binary_search_by_key(&number, |(number, _)| *number);
        found.is_ok_and(|at| state.waiting.remove(at).is_some())
    }
}

/// A lane in use. When it is dropped, those who wait have it.
pub(crate) struct Lane<S: Waiting> {
    queue: Arc<Queue<S>>,
    number: u64,
    given_back: bool,
}

impl<S: Waiting> Lane<S> {
    fn new(queue: &Arc<Queue<S>>, number: u64) -> Self {
        Self { queue: Arc::clone(queue), number, given_back: false }
    }

    /// Whether a group of one is better off alone, where it takes fewer statements.
    pub(crate) fn lets_one_go_alone(&self) -> bool {
        !self.queue.bounds.always
    }

    /// The next group; if nobody waits, the lane is given back.
    pub(crate) fn next_group(&mut self) -> Option<Vec<S>> {
        let mut state = self.queue.state();
        let group = state.gather(self.queue.bounds.group_max);
        let place = state.busy.iter().position(|(lane, _)| *lane == self.number)?;
        if group.is_empty() {
            state.busy.swap_remove(place);
            self.given_back = true;
            return None;
        }
        if let Some((_, began)) = state.busy.get_mut(place) {
            *began = Instant::now();
        }
        Some(group)
    }
}

impl<S: Waiting> Drop for Lane<S> {
    fn drop(&mut self) {
        if self.given_back {
            return;
        }
        if let Some(group) = self.next_group() {
            self.queue.spawn(group, Self::new(&self.queue, self.number));
        }
        self.given_back = true;
    }
}

/// A step in the queue, or in a group. When it is dropped, a step that no group has is gone.
pub(crate) struct Ticket<T, S: Waiting> {
    queue: Arc<Queue<S>>,
    number: u64,
    reply: oneshot::Receiver<Outcome<T, S>>,
    ended: bool,
}

impl<T, S: Waiting> Ticket<T, S> {
    /// Waits for a group for so long, and then for the group's end, which has a limit of its own.
    pub(crate) async fn outcome(mut self, wait: Duration) -> Outcome<T, S> {
        let until = Instant::now() + wait;
        loop {
            let tick = until.min(Instant::now() + STUCK);
            match timeout_at(tick, &mut self.reply).await {
                Ok(outcome) => return self.end(outcome),
                Err(_) if Instant::now() < until => self.queue.start_if_free(),
                Err(_) => break,
            }
        }
        if self.queue.withdraw(self.number) {
            self.ended = true;
            return Outcome::Done(Err(StoreError::Busy));
        }
        let outcome = (&mut self.reply).await;
        self.end(outcome)
    }

    fn end(&mut self, outcome: Result<Outcome<T, S>, oneshot::error::RecvError>) -> Outcome<T, S> {
        self.ended = true;
        outcome
            .unwrap_or_else(|_| Outcome::Done(Err(down("a group of steps ended without a word"))))
    }
}

impl<T, S: Waiting> Drop for Ticket<T, S> {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.withdraw(self.number);
        }
    }
}
