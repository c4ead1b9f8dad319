//! Steps that wait while others are committed, and the lanes on which groups of them go.
//!
//! A lane is a right to work, not a connection or a task. A step that finds a free one goes by
//! itself, at once, on its caller's task. Otherwise it waits, and the lane that is free next takes
//! along all that wait. Nobody waits for a timer.
//!
//! One large group costs much less than two that are half as large. So the second lane is taken
//! only when enough wait for a group of their own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gopay_store::StoreError;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::batch::{self, Step};
use crate::fault::down;
use crate::steps::Steps;

/// A lane that is busy with one group for so long is waiting for somebody else's lock, or for a
/// server that is; as long as it does, there is one lane more.
const STUCK: Duration = Duration::from_millis(250);

/// What a step is told that waited.
pub(crate) enum Told<T> {
    /// It was done in a group.
    Done(Result<T, StoreError>),
    /// Nothing was done: go by yourself, on this lane if there is one.
    Alone(Option<Lane>),
}

/// To whom a step in a group tells how it ended.
pub(crate) type Reply<T> = oneshot::Sender<Told<T>>;

pub(crate) struct Queue {
    state: Mutex<State>,
    bounds: Bounds,
}

/// How many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Lanes as long as none is stuck. All but the first are for those who are many.
    pub(crate) lanes: usize,
    /// How many they are then.
    pub(crate) many: usize,
    /// Lanes at most.
    pub(crate) lanes_max: usize,
    /// Steps in a group at most.
    pub(crate) group_max: usize,
    /// Steps that nobody else waits with go in groups too.
    pub(crate) always: bool,
}

#[derive(Default)]
struct State {
    /// With their numbers, which grow.
    waiting: VecDeque<(u64, Step)>,
    /// The lanes in use: their numbers, and when each began with what it is doing.
    busy: Vec<(u64, Instant)>,
    next_number: u64,
}

impl State {
    fn number(&mut self) -> u64 {
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

    /// Those who wait and are still wanted.
    fn gather(&mut self, most: usize) -> Vec<Step> {
        let mut group = Vec::new();
        while group.len() < most {
            let Some((_, step)) = self.waiting.pop_front() else { break };
            if !step.abandoned() {
                group.push(step);
            }
        }
        group
    }
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { state: Mutex::default(), bounds }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a waiting step out; false if a group has it already.
    fn withdraw(&self, number: u64) -> bool {
        let mut state = self.state();
        let found = state.waiting.binary_search_by_key(&number, |(number, _)| *number);
        found.is_ok_and(|at| state.waiting.remove(at).is_some())
    }
}

/// A lane in use. When it is dropped, those who wait have it.
pub(crate) struct Lane {
    steps: Arc<Steps>,
    number: u64,
    given_back: bool,
}

impl Lane {
    /// Gives the lane to a caller that finds it free, before it has even made its step ready to
    /// wait.
    pub(crate) fn free(steps: &Arc<Steps>) -> Option<Self> {
        let queue = &steps.queue;
        if queue.bounds.always {
            return None;
        }
        let mut state = queue.state();
        let free = state.waiting.is_empty() && state.lane_is_free(&queue.bounds);
        free.then(|| Self::new(steps, state.begin()))
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    fn new(steps: &Arc<Steps>, number: u64) -> Self {
        Self { steps: Arc::clone(steps), number, given_back: false }
    }

    /// Whether a group of one is better off alone, where it takes fewer statements.
    pub(crate) fn lets_one_go_alone(&self) -> bool {
        !self.steps.queue.bounds.always
    }

    /// The next group; if nobody waits, the lane is given back.
    pub(crate) fn next_group(&mut self) -> Option<Vec<Step>> {
        let queue = &self.steps.queue;
        let mut state = queue.state();
        let group = state.gather(queue.bounds.group_max);
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

impl Drop for Lane {
    fn drop(&mut self) {
        if self.given_back {
            return;
        }
        if let Some(group) = self.next_group() {
            let lane = Self::new(&self.steps, self.number);
            spawn(group, lane);
        }
        self.given_back = true;
    }
}

fn spawn(group: Vec<Step>, lane: Lane) {
    let runtime: Handle = lane.steps.runtime.clone();
    runtime.spawn(batch::run(group, lane));
}

/// A step in the queue, or in a group. When it is dropped, a step that no group has is gone.
pub(crate) struct Ticket<T> {
    steps: Arc<Steps>,
    number: u64,
    reply: oneshot::Receiver<Told<T>>,
    told: bool,
}

impl<T> Ticket<T> {
    pub(crate) fn take(steps: &Arc<Steps>, make: impl FnOnce(Reply<T>) -> Step) -> Self {
        let (sender, reply) = oneshot::channel();
        let step = make(sender);
        let mut state = steps.queue.state();
        let number = state.number();
        state.waiting.push_back((number, step));
        drop(state);
        let ticket = Self { steps: Arc::clone(steps), number, reply, told: false };
        // A lane may have become free meanwhile, or others may be stuck.
        ticket.relieve();
        ticket
    }

    /// Sets a lane going if one is free.
    fn relieve(&self) {
        let queue = &self.steps.queue;
        let mut state = queue.state();
        if !state.lane_is_free(&queue.bounds) {
            return;
        }
        let group = state.gather(queue.bounds.group_max);
        if group.is_empty() {
            return;
        }
        let lane = Lane::new(&self.steps, state.begin());
        drop(state);
        spawn(group, lane);
    }

    /// Waits for a group for so long, and then for the group's end, which has a limit of its own.
    pub(crate) async fn told(mut self, wait: Duration) -> Told<T> {
        let until = Instant::now() + wait;
        loop {
            let tick = until.min(Instant::now() + STUCK);
            match timeout_at(tick, &mut self.reply).await {
                Ok(told) => return self.heard(told),
                Err(_) if Instant::now() < until => self.relieve(),
                Err(_) => break,
            }
        }
        if self.steps.queue.withdraw(self.number) {
            self.told = true;
            return Told::Done(Err(StoreError::Busy));
        }
        let told = (&mut self.reply).await;
        self.heard(told)
    }

    fn heard(&mut self, told: Result<Told<T>, oneshot::error::RecvError>) -> Told<T> {
        self.told = true;
        told.unwrap_or_else(|_| Told::Done(Err(down("a group of steps ended without a word"))))
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if !self.told {
            self.steps.queue.withdraw(self.number);
        }
    }
}
