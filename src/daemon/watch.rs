//! The configuration directory watched for changes.
//!
//! Editors write in many ways: in place, to a new file renamed over the old one, by way of a backup. Whatever happens in the
//! directory or under it, once it has been quiet for a moment the whole is loaded again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// What of the rest of the file system matters; shared with the thread that sees the events.
    files: Arc<Mutex<Files>>,
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
}

/// Files outside the directory that the configuration is made of (`password-file`).
#[derive(Debug, Default)]
struct Files {
    /// The configuration's directory, and the same without symbolic links.
    directories: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

impl Files {
    /// The directories they are in: a file that is replaced by a rename is seen there only.
    fn parents(&self) -> BTreeSet<PathBuf> {
        self.files.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect()
    }

    /// Whether that is in the configuration's directory.
    fn hold(&self, path: &Path) -> bool {
        self.directories.iter().any(|directory| path.starts_with(directory))
    }

    /// Whether an event at that path is about the configuration.
    fn concern(&self, path: &Path) -> bool {
        self.hold(path) || self.files.iter().any(|file| file.starts_with(path))
    }
}

impl Watch {
    /// Wakes `changed` after every change under `directory` and of these files, wherever they are.
    ///
    /// # Errors
    /// What the system said, with the directory.
    pub(super) fn start(
        directory: &Path,
        password_files: &BTreeSet<PathBuf>,
        changed: Arc<Notify>,
    ) -> Result<Watch, String> {
        let files = Arc::new(Mutex::new(Files {
            directories: [Some(plain(directory)), directory.canonicalize().ok()].into_iter().flatten().collect(),
            files: BTreeSet::new(),
        }));
        let seen = Arc::clone(&files);
        let on_events = move |result: DebounceEventResult| {
            if matters(&result, &seen.lock().unwrap_or_else(PoisonError::into_inner)) {
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
        let directory = plain(directory);
        debouncer.watch(&directory, RecursiveMode::Recursive).map_err(describe)?;
        let mut watch = Watch { directory, files, debouncer };
        watch.follow(password_files);
        Ok(watch)
    }

    /// Watches these files outside the directory and no others; `true` where one was not watched before.
    pub(super) fn follow(&mut self, password_files: &BTreeSet<PathBuf>) -> bool {
        let (before, after, more) = {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            let outside = password_files.iter().map(|file| plain(file)).filter(|file| !files.hold(file));
            let (before, fresh) = (files.parents(), outside.collect::<BTreeSet<_>>());
            let more = !fresh.is_subset(&files.files);
            files.files = fresh;
            (before, files.parents(), more)
        };
        for gone in before.difference(&after) {
            let _ = self.debouncer.unwatch(gone);
        }
        for new in after.difference(&before) {
            self.watch_beside(new);
        }
        more
    }

    /// Looks at the directories anew: the one that was watched may have been moved away and another put in its place.
    pub(super) fn renew(&mut self) {
        // It fails where the directory was removed: then there is nothing to unwatch.
        let _ = self.debouncer.unwatch(&self.directory);
        if let Err(error) = self.debouncer.watch(&self.directory, RecursiveMode::Recursive) {
            tracing::warn!("cannot watch {} for changes: {error}", self.directory.display());
            // It is away just now: its coming back is seen beside it, and renews the watch.
            if let Some(parent) = self.directory.parent().map(Path::to_owned) {
                self.watch_beside(&parent);
            }
        }
        let parents = self.files.lock().unwrap_or_else(PoisonError::into_inner).parents();
        for parent in parents {
            let _ = self.debouncer.unwatch(&parent);
            self.watch_beside(&parent);
        }
    }

    fn watch_beside(&mut self, parent: &Path) {
        if let Err(error) = self.debouncer.watch(parent, RecursiveMode::NonRecursive) {
            tracing::warn!("cannot watch {} (password files) for changes: {error}", parent.display());
        }
    }
}

/// The path as events have it: absolute and without `..`, as far as it exists; a symbolic link at its end stays one.
fn plain(path: &Path) -> PathBuf {
    let resolved = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => {
            parent.canonicalize().map(|parent| parent.join(name))
        }
        _ => std::path::absolute(path),
    };
    resolved.unwrap_or_else(|_| path.to_owned())
}

/// Reading files is no change (and our own loading reads them all); a lost event may have been one.
fn matters(result: &DebounceEventResult, files: &Files) -> bool {
    let concerns =
        |event: &DebouncedEvent| event.paths.is_empty() || event.paths.iter().any(|path| files.concern(path));
    let changes = |event: &DebouncedEvent| {
        event.need_rescan() || (!matches!(event.kind, EventKind::Access(_)) && concerns(event))
    };
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
        assert!(!matters(
            &events(&[EventKind::Access(AccessKind::Read), EventKind::Access(AccessKind::Any)]),
            &Files::default()
        ));
        assert!(!matters(&events(&[]), &Files::default()));
    }

    #[test]
    fn a_rename_over_a_file_is_a_change() {
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        assert!(matters(&events(&[EventKind::Access(AccessKind::Read), renamed]), &Files::default()));
        assert!(matters(&events(&[EventKind::Create(CreateKind::File)]), &Files::default()));
    }

    #[test]
    fn lost_events_count_as_a_change() {
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(matters(&Ok(vec![DebouncedEvent::new(lost, std::time::Instant::now())]), &Files::default()));
        assert!(matters(&Err(vec![notify::Error::generic("queue overflow")]), &Files::default()));
    }

    #[test]
    fn beside_a_password_file_only_that_file_matters() {
        let files = Files {
            directories: BTreeSet::from(["/etc/switchboard".into()]),
            files: BTreeSet::from(["/run/secrets/221".into()]),
        };
        let at = |path: &str| {
            let event = Event::new(EventKind::Create(CreateKind::File)).add_path(path.into());
            matters(&Ok(vec![DebouncedEvent::new(event, std::time::Instant::now())]), &files)
        };
        assert!(at("/etc/switchboard/companies/acme.toml") && at("/run/secrets/221"));
        assert!(at("/run/secrets"), "the directory itself was replaced");
        assert!(!at("/run/secrets/other") && !at("/run/secrets/221.tmp"));
    }
}
