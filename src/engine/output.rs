//! What goes out of the engine.

use bytes::Bytes;

use super::command::{CommandId, Reply};
use super::event::Event;
use crate::flow::Flow;
use crate::state::{CallRecord, Change, Number};

/// One thing for the daemon to do, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this.
    Datagram {
        /// From which socket, to where.
        flow: Flow,
        /// All of it.
        bytes: Bytes,
    },
    /// Have this outlive the daemon, before anything that follows is done: the engine is told with
    /// [`super::Input::Durable`] once it is on the disk.
    Change {
        /// One more than that of the change before.
        number: Number,
        /// What.
        change: Change,
    },
    /// Log this.
    Event(Event),
    /// A call is over: keep its record.
    Record(Box<CallRecord>),
    /// Answer a command.
    Reply {
        /// Which.
        id: CommandId,
        /// The answer.
        reply: Reply,
    },
}
