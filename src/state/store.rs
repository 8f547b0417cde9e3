//! What the daemon asks of a store, whichever it is.

use super::change::{Change, Number};
use super::fault::StoreError;
use crate::time::WallTime;

/// A place where changes are kept. It is used by one thread, which may wait for it.
pub trait Store: Send {
    /// Makes the changes durable, all of them or none. Those up to [`Store::last`] are passed over: to write twice is to write once.
    ///
    /// # Errors
    /// None of them is kept; they may be written again.
    fn write(&mut self, changes: &[(Number, Change)]) -> Result<(), StoreError>;

    /// The last change that is durable.
    fn last(&self) -> Number;

    /// Takes at most `most` records of calls that began before then out of the call log, the oldest first; how many there were. Fewer
    /// than `most`: there are no more.
    ///
    /// # Errors
    /// None was taken out.
    fn prune(&mut self, before: WallTime, most: u32) -> Result<u32, StoreError>;
}
