//! The copy of the tree that is rewritten and built.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Stop;

/// Makes `to` what git knows of the repository and what is new in it. Files that are the same already are left alone, so that
/// cargo does not build them again; so are those that are `rewritten` by others.
pub(crate) fn copied(repository: &Path, to: &Path, rewritten: impl Fn(&Path) -> bool) -> Result<PathBuf, Stop> {
    let listed = Command::new("git")
        .current_dir(repository)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()?;
    if !listed.status.success() {
        return Err(String::from_utf8_lossy(&listed.stderr).into_owned().into());
    }
    let names: BTreeSet<PathBuf> = String::from_utf8(listed.stdout)?
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .filter(|name| repository.join(name).is_file())
        .collect();
    for name in names.iter().filter(|name| !rewritten(name)) {
        let from = repository.join(name);
        write(&to.join(name), &fs::read(&from)?)?;
        fs::set_permissions(to.join(name), fs::metadata(&from)?.permissions())?;
    }
    remove_strangers(to, to, &|name| names.contains(name) || rewritten(name))?;
    Ok(to.to_owned())
}

/// Writes a file unless it says so already.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Stop> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    Ok(fs::write(path, content)?)
}

/// What an earlier copy had and the repository has no more.
fn remove_strangers(directory: &Path, root: &Path, stays: &dyn Fn(&Path) -> bool) -> Result<(), Stop> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_strangers(&path, root, stays)?;
        } else if !stays(path.strip_prefix(root)?) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
