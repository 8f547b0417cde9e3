//! Where the demonstration plays: a configuration directory of its own that goes when it ends, and free ports on loopback.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::time::WallTime;

const SWITCHBOARD: &str = include_str!("switchboard.toml");
const ACME: &str = include_str!("acme.toml");
const GLOBEX: &str = include_str!("globex.toml");

/// A directory nobody else may read; removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Setting {
    directory: PathBuf,
    /// What every phone proves itself with.
    pub(super) password: String,
}

impl Setting {
    /// Writes the configuration.
    pub(super) fn write(now: WallTime, daemon: SocketAddr, trunk: SocketAddr) -> io::Result<Setting> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let password = format!("{:016x}", u64::from_le_bytes(random));
        let directory = std::env::temp_dir().join(format!("switchboard-demo-{}-{password}", std::process::id()));
        let setting = Setting { directory, password };
        let mut private = fs::DirBuilder::new();
        private.mode(0o700).recursive(true).create(setting.directory.join("companies"))?;
        for (name, text) in
            [("switchboard.toml", SWITCHBOARD), ("companies/acme.toml", ACME), ("companies/globex.toml", GLOBEX)]
        {
            fs::write(setting.directory.join(name), setting.fill(text, now, daemon, trunk))?;
        }
        Ok(setting)
    }

    /// The configuration directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn fill(&self, text: &str, now: WallTime, daemon: SocketAddr, trunk: SocketAddr) -> String {
        let (yesterday, tomorrow) = around(now);
        text.replace("{DAEMON}", &daemon.to_string())
            .replace("{TRUNK}", &trunk.to_string())
            .replace("{DIRECTORY}", &self.directory.display().to_string())
            .replace("{PASSWORD}", &self.password)
            .replace("{YESTERDAY}", &yesterday.to_string())
            .replace("{TOMORROW}", &tomorrow.to_string())
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // It is under the system's directory for temporary files: what cannot be removed now goes another day.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Dates between which it is now, everywhere on earth.
fn around(now: WallTime) -> (NaiveDate, NaiveDate) {
    let today = DateTime::<Utc>::from_timestamp_millis(now.unix_millis()).unwrap_or_default().date_naive();
    let yesterday = today.checked_sub_days(Days::new(1)).unwrap_or(today);
    (yesterday, today.checked_add_days(Days::new(1)).unwrap_or(today))
}

/// A port of loopback that is free now.
pub(super) fn free_port() -> io::Result<SocketAddr> {
    UdpSocket::bind("127.0.0.1:0")?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_blank_is_filled_and_the_directory_goes() {
        let address = SocketAddr::from(([127, 0, 0, 1], 5999));
        let setting = Setting::write(WallTime::from_unix_millis(1_795_323_660_000), address, address).unwrap();
        let directory = setting.directory().to_owned();
        let acme = fs::read_to_string(directory.join("companies/acme.toml")).unwrap();
        assert!(acme.contains("\"2026-11-21..2026-11-23\" = []"), "{acme}");
        for name in ["switchboard.toml", "companies/acme.toml", "companies/globex.toml"] {
            let text = fs::read_to_string(directory.join(name)).unwrap();
            assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{name}");
            for blank in ["{DAEMON}", "{TRUNK}", "{DIRECTORY}", "{PASSWORD}", "{YESTERDAY}", "{TOMORROW}"] {
                assert!(!text.contains(blank), "{name} still has {blank}");
            }
        }
        drop(setting);
        assert!(!directory.exists());
    }
}
