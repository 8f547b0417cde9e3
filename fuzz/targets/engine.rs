//! A live engine under a sequence of inputs drawn from the bytes: calls, answers, registrations, changed and raw
//! datagrams, time, reloads, commands, kills. It never panics or reports a defect, its timers are true, whoever has
//! proved nothing gets no more than an answer, and in the end nothing is left (invariants 11, 13, 14, 18, 20, 25).

mod letters;
mod scene;
#[path = "../../tests/suite/shelf.rs"]
mod shelf;

use std::hash::{DefaultHasher, Hasher};

use super::choices::Choices;
use scene::Scene;

/// The most things that happen in one run.
const STEPS: usize = 120;

pub fn run(bytes: &[u8]) {
    let first = play(bytes);
    // Equal inputs give equal bytes (invariant 25). Looked at now and then: it costs a whole run.
    if bytes.len() % 16 == 7 {
        assert_eq!(first, play(bytes), "equal inputs give equal bytes");
    }
}

/// Plays all of it, and gives a hash of whatever came out.
fn play(bytes: &[u8]) -> u64 {
    let mut choices = Choices::new(bytes);
    let mut scene = Scene::new(&mut choices);
    for _ in 0..STEPS {
        if choices.is_over() {
            break;
        }
        scene.step(&mut choices);
    }
    scene.end();
    let mut hasher = DefaultHasher::new();
    hasher.write(&scene.said);
    hasher.finish()
}
