//! Plays notifications at a PSP's endpoint as the adapter would send them, and judges what can be seen
//! of it from outside: its answers, their times, and, if it asks us, its questions.
//!
//! Source: `docs/psp-guide.md`, "Notifications".
//!
//! Reading order: `scene` (what is played), `play` (how), `stand_in` (the adapter's part), `judge`
//! (what is wrong), `report`.

mod judge;
mod play;
mod report;
mod scene;
mod stand_in;

pub(crate) use self::play::{Endpoint, Seen};
pub(crate) use self::report::Report;
pub(crate) use self::scene::SCENES;
pub(crate) use self::stand_in::StandIn;
