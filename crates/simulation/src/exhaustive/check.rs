//! All histories of a world, by `stateright`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stateright::{Checker as _, HasDiscoveries, Model, Property};

use super::action::Action;
use super::cast::SmallWorld;
use super::play::play;
use crate::verify_passwords;

/// A world as `stateright` sees it.
struct Histories {
    world: &'static SmallWorld,
    /// Nothing new is looked at afterwards.
    until: Option<Instant>,
    /// All is over: what was found is played again, however late it is.
    over: Arc<AtomicBool>,
}

/// A moment, and one history that leads to it.
#[derive(Clone, Debug)]
struct Moment {
    history: Arc<[Action]>,
    enabled: Arc<[Action]>,
    digest: u64,
    good: bool,
    quiet: bool,
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Hash for Moment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl Histories {
    fn moment(&self, history: Vec<Action>) -> Moment {
        let played = play(self.world, &history, false);
        Moment {
            history: history.into(),
            enabled: played.enabled.into(),
            digest: played.digest,
            good: played.problems.is_empty(),
            quiet: played.quiet,
        }
    }
}

impl Histories {
    fn is_late(&self) -> bool {
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        late && !self.over.load(Ordering::Relaxed)
    }
}

const NO_LIE: &str = "no party is told a lie";
const GOOD_END: &str = "all comes to its end, and all books agree";

impl Model for Histories {
    type State = Moment;
    type Action = Action;

    fn init_states(&self) -> Vec<Moment> {
        vec![self.moment(Vec::new())]
    }

    fn actions(&self, state: &Moment, actions: &mut Vec<Action>) {
        if !self.is_late() {
            actions.extend(state.enabled.iter().copied());
        }
    }

    fn next_state(&self, last: &Moment, action: Action) -> Option<Moment> {
        let mut history = last.history.to_vec();
        history.push(action);
        Some(self.moment(history))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_LIE, |_, moment: &Moment| moment.good),
            Property::always(GOOD_END, |histories: &Self, moment: &Moment| {
                // Whatever is under way can be done without a fault, which costs nothing, so that each
                // moment leads to a quiet one.
                !moment.quiet || play(histories.world, &moment.history, true).problems.is_empty()
            }),
        ]
    }
}

/// What came of looking at all histories of a world.
#[derive(Clone, Debug)]
pub struct Explored {
    /// The world.
    pub world: &'static str,
    /// Different moments.
    pub moments: usize,
    /// Moments that were reached, repeats included.
    pub reached: usize,
    /// The longest of the shortest histories.
    pub depth: usize,
    /// Whether there was time for all of that depth.
    pub in_time: bool,
    /// There is nothing beyond that depth.
    pub whole: bool,
    /// How long it took.
    pub took: Duration,
    /// What went wrong, and the shortest history that leads to it.
    pub problem: Option<(String, Vec<Action>)>,
}

impl fmt::Display for Explored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { world, moments, reached, depth, in_time, whole, took, problem } = self;
        let extent = match (in_time, whole) {
            (_, true) => "the whole world",
            (true, false) => "all to this depth",
            (false, false) => "NO TIME FOR ALL",
        };
        let seconds = took.as_secs_f32();
        write!(
            out,
            "{world:<18} {moments:>7} states, reached {reached:>8} times, depth {depth:>2}, {extent}, {seconds:>6.1} s"
        )?;
        if let Some((what, history)) = problem {
            write!(out, "\n  {what}")?;
            for action in history {
                write!(out, "\n    {action}")?;
            }
        }
        Ok(())
    }
}

/// Looks at all histories of a world, of at most `depth` actions, at most for `limit`; stops at the
/// first that goes wrong.
#[must_use]
pub fn explore(
    world: &'static SmallWorld,
    depth: Option<usize>,
    limit: Option<Duration>,
) -> Explored {
    verify_passwords();
    let began = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    let until = limit.map(|limit| began + limit);
    let histories = Histories { world, until, over: Arc::clone(&over) };
    let mut checker = histories.checker().finish_when(HasDiscoveries::AnyFailures);
    if let Some(depth) = depth {
        // The first moment counts.
        checker = checker.target_max_depth(depth.saturating_add(1));
    }
    let done = checker.spawn_bfs().join();
    over.store(true, Ordering::Relaxed);
    let found = done.discoveries().into_iter().next();
    let problem = found.map(|(_, path)| {
        let history = path.into_actions();
        let problems = play(world, &history, true).problems;
        (problems.into_iter().next().unwrap_or_default(), history)
    });
    let in_time = limit.is_none_or(|limit| began.elapsed() < limit);
    Explored {
        world: world.name,
        moments: done.unique_state_count(),
        reached: done.state_count(),
        depth: done.max_depth().saturating_sub(1),
        in_time,
        whole: in_time && depth.is_none_or(|depth| done.max_depth() <= depth),
        took: began.elapsed(),
        problem,
    }
}

/// Looks at these worlds, one on each core at a time; `show` is told of each when it is done. True if
/// nothing went wrong in any.
pub fn explore_all(
    worlds: &[&'static SmallWorld],
    depth: Option<usize>,
    limit: Option<Duration>,
    show: &(dyn Fn(&Explored) + Sync),
) -> bool {
    let next = AtomicUsize::new(0);
    let good = AtomicBool::new(true);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(world) = worlds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let explored = explore(world, depth, limit);
                    good.fetch_and(explored.problem.is_none(), Ordering::Relaxed);
                    show(&explored);
                }
            });
        }
    });
    good.into_inner()
}
