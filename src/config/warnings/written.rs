//! A company's file as it is written, with each of its tables made once: every warning looks at them.

use super::super::tree::{At, Entry, Table, Value};

/// What a company's file has, each in the order written.
pub(super) struct Written<'t> {
    pub(super) hours: Vec<Thing<'t>>,
    pub(super) numbers: Vec<Thing<'t>>,
    pub(super) departments: Vec<Thing<'t>>,
    pub(super) users: Vec<Thing<'t>>,
}

/// One of its tables under a name.
pub(super) struct Thing<'t> {
    pub(super) name: &'t str,
    /// Where the name stands.
    pub(super) at: At,
    table: Table<'t>,
}

impl<'t> Written<'t> {
    pub(super) fn of(root: &Table<'t>) -> Written<'t> {
        let things = |name: &str| Thing::all(root, name);
        Written {
            hours: things("hours"),
            numbers: things("numbers"),
            departments: things("departments"),
            users: things("users"),
        }
    }
}

impl<'t> Thing<'t> {
    /// Every table in that table of a file.
    pub(super) fn all(root: &Table<'t>, name: &str) -> Vec<Thing<'t>> {
        let table = root.value(name).and_then(Value::peek_table);
        let thing = |entry: &Entry<'t>| {
            Some(Thing { name: entry.name, at: entry.at.clone(), table: entry.value.peek_table()? })
        };
        table.iter().flat_map(Table::entries).filter_map(thing).collect()
    }

    /// The value under a key.
    pub(super) fn value(&self, key: &str) -> Option<&Value<'t>> {
        self.table.value(key)
    }

    /// The key with its value.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry<'t>> {
        self.table.entry(key)
    }
}
