//! The daemon: the only impure code beside the control socket and the command line.
//!
//! Two threads. The *engine's thread* owns the engine and the sockets' readiness (`engine_loop`): datagrams, timers and
//! orders go in one after the other, and it never waits for anything else. The *supervisor's thread* does what may take long:
//! loading the configuration, watching it, looking up trunks, serving the control socket; its results reach the engine as
//! orders. `run` adds what a service needs: signals, systemd, the log.
//!
//! Clocks are read in `clock` and nowhere else. Obeys R-9.

mod clock;
mod counters;
mod engine_loop;
mod hep;
mod listeners;
mod log;
pub mod metrics;
mod notify_systemd;
mod reload;
mod run;
mod start;
mod store;
mod supervisor;
mod trunks;
mod udp;
mod watch;

pub use clock::{Clock, wall};
pub use listeners::{Change, ListenError, Listeners, Numbered};
pub use log::{LogFormat, LogSettings};
pub(crate) use log::{change_level as change_log_level, level as log_level};
pub use notify_systemd::Announce;
pub use reload::{ReloadOutcome, Warnings};
pub use run::{RunError, RunSettings, run};
pub use start::{Client, ControlSocket, Daemon, Gone, Handle, Report, StartError, Watching};
pub use store::{Keeper, StoreReport, StoreStatus, StoreWatch, Tell};
pub use udp::BindError;
