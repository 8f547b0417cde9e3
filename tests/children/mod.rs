//! Programs that tests begin, and ports for daemons, so that neither gets in the other's way.
#![allow(dead_code, reason = "not every file of tests needs all of it")]

use std::net::UdpSocket;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// While it is held no child process begins. Between its fork and its exec a child has copies of all our sockets, so that
/// a port that we let go of meanwhile is taken for a moment more.
pub(crate) fn no_child_begins() -> MutexGuard<'static, ()> {
    static CHILDREN: Mutex<()> = Mutex::new(());
    // A test that failed while it held the lock leaves nothing half done.
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a child process.
pub(crate) fn begin(program: &mut Command) -> Child {
    let _alone = no_child_begins();
    program.spawn().unwrap()
}

/// Runs a child process to its end.
pub(crate) fn run(program: &mut Command) -> Output {
    begin(program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())).wait_with_output().unwrap()
}

/// A port for a daemon: no other test of the file is given it, and none of those that the system hands out to whoever asks for any.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    let _alone = no_child_begins();
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port < 25_000, "no free port");
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
