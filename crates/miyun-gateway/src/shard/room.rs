//! Who may read while the disk is behind: connections queue, first come first served, and no more are
//! called at once than there is room for what they may read. Woken all together, they would stand before
//! every live connection, and most of them would find nothing left.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::{SCRATCH, Shard};
use crate::conn::Conn;
use crate::writer::Class;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It neither waits nor was called.
    Free,
    /// It waits for room of a class.
    Queued,
    /// It was woken, and one read of it is counted as if its bytes were there.
    Called(Class),
}

/// Those that wait for room of one class.
#[derive(Default)]
pub(crate) struct Room {
    queue: RefCell<VecDeque<Rc<Conn>>>,
    called: Cell<usize>,
}

impl Shard {
    /// Bytes of a class that may wait for the disk. Back-fill gets a quarter: enough for a batch being
    /// written and the next, and little enough that a live frame never stands behind much of it.
    fn limit(&self, class: Class) -> usize {
        match class {
            Class::New => self.common.limits.waiting_bytes,
            Class::Backfill => self.common.limits.waiting_bytes / 4,
        }
    }

    fn is_full(&self, class: Class) -> bool {
        let called = self.rooms[class as usize].called.get();
        self.inbox.waiting(class) + called * SCRATCH >= self.limit(class)
    }

    /// Whether a connection may read now; if not, it is queued and will be woken.
    pub fn may_read(&self, conn: &Rc<Conn>) -> bool {
        match conn.turn.get() {
            Turn::Called(_) => true,
            Turn::Queued => false,
            Turn::Free => {
                // What it sends is not known before it is read, so there must be room for new data too.
                for class in [Class::New, conn.class.get()] {
                    let mut queue = self.rooms[class as usize].queue.borrow_mut();
                    if !queue.is_empty() || self.is_full(class) {
                        queue.push_back(Rc::clone(conn));
                        conn.turn.set(Turn::Queued);
                        return false;
                    }
                }
                true
            }
        }
    }

    /// A connection that was called has read, or will not: its place goes to the next.
    pub fn turn_over(&self, conn: &Conn) {
        if let Turn::Called(class) = conn.turn.get() {
            conn.turn.set(Turn::Free);
            let called = &self.rooms[class as usize].called;
            called.set(called.get() - 1);
            self.call(class);
        }
    }

    /// A connection that is gone waits for nothing.
    pub fn leave(&self, conn: &Conn) {
        self.turn_over(conn);
        if conn.turn.replace(Turn::Free) == Turn::Queued {
            for room in &self.rooms {
                let mut queue = room.queue.borrow_mut();
                queue.retain(|c| !std::ptr::eq(Rc::as_ptr(c), conn));
            }
        }
    }

    /// Calls those for whom there is room.
    pub fn make_room(&self) {
        self.call(Class::New);
        self.call(Class::Backfill);
    }

    /// While anybody is queued, either bytes wait for the disk, whose answers lead here, or somebody is
    /// called, whose turn's end leads here: nobody is left standing.
    fn call(&self, class: Class) {
        let room = &self.rooms[class as usize];
        while !self.is_full(class) {
            let Some(conn) = room.queue.borrow_mut().pop_front() else {
                return;
            };
            conn.turn.set(Turn::Called(class));
            room.called.set(room.called.get() + 1);
            conn.wake();
        }
    }
}
