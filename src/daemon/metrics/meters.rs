//! Everything that is counted, where it is added up: one thread counts calls, another may look.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::histogram::Histogram;
use super::tally::{Tallies, Tally};
use crate::daemon::counters::Counters;
use crate::routing::Plan;

/// What is counted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meters {
    counters: Arc<Counters>,
    tallies: Arc<Mutex<Tallies>>,
}

impl Meters {
    /// Nothing counted yet but what the counters say.
    pub(in crate::daemon) fn new(counters: Arc<Counters>) -> Meters {
        Meters { counters, tallies: Arc::default() }
    }

    /// Adds up calls until nobody can count one any more.
    pub(crate) async fn count(self, mut tallies: mpsc::Receiver<Tally>) {
        while let Some(tally) = tallies.recv().await {
            self.locked(|all| all.add(&tally));
        }
    }

    /// Forgets companies that are gone.
    pub fn retain(&self, plan: &Plan) {
        self.locked(|all| all.retain(plan));
    }

    /// Calls that are over.
    pub fn tallies(&self) -> Tallies {
        self.locked(|all| all.clone())
    }

    /// Calls that were not counted.
    pub fn lost(&self) -> u64 {
        self.counters.tallying.lost()
    }

    /// How long the engine's steps took.
    pub fn steps(&self) -> Histogram {
        self.counters.steps.read()
    }

    /// Never held across anything that waits.
    fn locked<T>(&self, work: impl FnOnce(&mut Tallies) -> T) -> T {
        work(&mut self.tallies.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
