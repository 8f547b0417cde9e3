//! The configuration directory watched for changes.
//!
//! Editors write in many ways: in place, to a new file renamed over the old one, by way of a backup. Whatever happens in the
//! directory or under it, once it has been quiet for a moment the whole is loaded again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify_debouncer_full::notify::{self, EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, DebouncedEvent, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::Notify;

/// How long it must be quiet.
const QUIET: Duration = Duration::from_millis(300);

/// Watches as long as it lives.
#[derive(Debug)]
pub(super) struct Watch {
    directory: PathBuf,
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
}

impl Watch {
    /// Wakes `changed` after every change under `directory`.
    ///
    /// # Errors
    /// What the system said, with the directory.
    pub(super) fn start(directory: &Path, changed: Arc<Notify>) -> Result<Watch, String> {
        let on_events = move |result: DebounceEventResult| {
            if matters(&result) {
                changed.notify_one();
            }
        };
        let describe = |error: notify::Error| {
            format!(
                "cannot watch {} for changes: {error}; `switchboard reload` and SIGHUP still load them",
                directory.display()
            )
        };
        let mut debouncer = new_debouncer(QUIET, None, on_events).map_err(describe)?;
        debouncer.watch(directory, RecursiveMode::Recursive).map_err(describe)?;
        Ok(Watch { directory: directory.to_owned(), debouncer })
    }

    /// Looks at the directory anew: the one that was watched may have been moved away and another put in its place.
    pub(super) fn renew(&mut self) {
        // It fails where the directory was removed: then there is nothing to unwatch.
        let _ = self.debouncer.unwatch(&self.directory);
        if let Err(error) = self.debouncer.watch(&self.directory, RecursiveMode::Recursive) {
            tracing::warn!("cannot watch {} for changes: {error}", self.directory.display());
        }
    }
}

/// Reading files is no change (and our own loading reads them all); a lost event may have been one.
fn matters(result: &DebounceEventResult) -> bool {
    let changes = |event: &DebouncedEvent| event.need_rescan() || !matches!(event.kind, EventKind::Access(_));
    match result {
        Ok(events) => events.iter().any(changes),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag, ModifyKind, RenameMode};
    use notify_debouncer_full::notify::Event;

    use super::*;

    fn events(kinds: &[EventKind]) -> DebounceEventResult {
        let now = std::time::Instant::now();
        Ok(kinds.iter().map(|kind| DebouncedEvent::new(Event::new(*kind), now)).collect())
    }

    #[test]
    fn reading_is_no_change() {
        assert!(!matters(&events(&[EventKind::Access(AccessKind::Read), EventKind::Access(AccessKind::Any)])));
        assert!(!matters(&events(&[])));
    }

    #[test]
    fn a_rename_over_a_file_is_a_change() {
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        assert!(matters(&events(&[EventKind::Access(AccessKind::Read), renamed])));
        assert!(matters(&events(&[EventKind::Create(CreateKind::File)])));
    }

    #[test]
    fn lost_events_count_as_a_change() {
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(matters(&Ok(vec![DebouncedEvent::new(lost, std::time::Instant::now())])));
        assert!(matters(&Err(vec![notify::Error::generic("queue overflow")])));
    }
}
