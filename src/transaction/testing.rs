//! What the machines' tests share.

use std::fmt::Debug;
use std::time::Duration;

use crate::time::Instant;

/// The origin of every test, and not the clock's.
pub(super) const START: Instant = Instant::from_nanos(7_000_000_000);

/// `millis` after the start.
pub(super) fn at(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

/// A machine as its tests drive it.
pub(super) trait Machine: Clone {
    type Effect: Debug;

    fn fire(&mut self, now: Instant) -> Vec<Self::Effect>;
    fn due(&self) -> Option<Instant>;
    /// The state's name, without its data.
    fn state(&self) -> String;
    fn has_ended(&self) -> bool;
}

/// The first word of what `Debug` says.
pub(super) fn first_word(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.split(|symbol: char| !symbol.is_alphanumeric()).next().unwrap().to_owned()
}

/// Serves every deadline on time until there is none; what happened, and when in milliseconds after the start.
pub(super) fn run_out<M: Machine>(machine: &mut M) -> Vec<(u64, String)> {
    let mut log = Vec::new();
    for _ in 0..100 {
        let Some(due) = machine.due() else {
            return log;
        };
        let early = Instant::from_nanos(due.as_nanos() - 1);
        assert!(machine.fire(early).is_empty(), "nothing fires early");
        assert_eq!(machine.due(), Some(due), "asking early changes nothing");
        let effects = machine.fire(due);
        assert!(!effects.is_empty(), "a deadline has something to do");
        let millis = u64::try_from((due - START).as_millis()).unwrap();
        log.extend(effects.iter().map(|effect| (millis, said(effect))));
    }
    panic!("it never ends: {log:?}");
}

/// One cell of a table: what an input made a machine do, and where it stands then.
pub(super) fn cell<M: Machine>(before: &M, effects: impl IntoIterator<Item = String>, after: &M) -> String {
    let did = effects.into_iter().collect::<Vec<_>>().join(", ");
    let did = if did.is_empty() { "-".to_owned() } else { did };
    if before.state() == after.state() { did } else { format!("{did} -> {}", after.state()) }
}

/// `Send(b"ACK")` as `send ACK`, all others as they are.
pub(super) fn said(effect: &impl Debug) -> String {
    let text = format!("{effect:?}");
    match text.strip_prefix("Send(b\"").and_then(|rest| rest.strip_suffix("\")")) {
        Some(bytes) => format!("send {bytes}"),
        None => text,
    }
}

/// An input: its name, and what it does to a machine at a time.
pub(super) type Input<M> = (&'static str, fn(&mut M, Instant) -> Vec<String>);

/// Every state × input, a line each. Each input comes 100 ms after the state was reached; `timer` is the next deadline.
pub(super) fn table<M: Machine>(reached: Instant, states: &[M], inputs: &[Input<M>]) -> String {
    let mut text = String::new();
    for before in states {
        assert_eq!(before.has_ended(), before.state() == "Terminated");
        text.push_str(&before.state());
        text.push('\n');
        for (name, input) in inputs {
            let mut after = before.clone();
            let effects = input(&mut after, reached + Duration::from_millis(100));
            text.push_str(&format!("  {name}: {}\n", cell(before, effects, &after)));
        }
        let mut after = before.clone();
        let line = match before.due() {
            Some(due) => {
                let effects: Vec<_> = after.fire(due).iter().map(said).collect();
                format!("+{} ms {}", (due - reached).as_millis(), cell(before, effects, &after))
            }
            None => "none".to_owned(),
        };
        text.push_str(&format!("  timer: {line}\n"));
    }
    text
}
