//! What Prometheus is told: counted where it happens, added up and written elsewhere.
//!
//! The engine's thread writes two things only: how long each step took (`histogram`), and what counts of a call that is over
//! (`tally`), handed on through a bounded channel. Everything else is read when somebody asks: `exposition` makes the text
//! of one [`Snapshot`], so that a company or trunk that is gone is gone from the gauges too. Labels are names of
//! the configuration and of closed sets, never of persons or numbers.

mod exposition;
mod histogram;
mod meters;
mod tally;

pub use exposition::{CONTENT_TYPE, Snapshot, StoreHealth};
pub use histogram::Histogram;
pub(super) use histogram::StepTimes;
pub use meters::Meters;
pub(super) use tally::Tallying;
pub use tally::{Tallies, Tally};
