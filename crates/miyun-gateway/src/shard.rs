//! One reader thread and its connections.

mod intake;
mod room;

pub(crate) use room::Turn;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use miyun_hj212::{DeviceProfile, Framer};
use slab::Slab;
use tokio::sync::mpsc;

use crate::conn::{self, Conn};
use crate::hearing::Hearing;
use crate::registry::{Device, Registry};
use crate::settings::Limits;
use crate::writer::{Ack, Bell, Inbox, SharedClock, Stats, Written};

/// Bytes read at once from a socket.
pub(crate) const SCRATCH: usize = 16 << 10;

/// What a shard is told.
pub(crate) enum Order {
    /// A new connection.
    Take {
        stream: std::net::TcpStream,
        address: IpAddr,
        tls: bool,
        /// The gateway is full: one that has sent nothing good must go for it.
        instead: bool,
    },
    /// Bytes for a device.
    Send {
        conn: u32,
        generation: u32,
        bytes: Vec<u8>,
    },
    /// Close everything and end.
    Stop,
}

/// Where a device is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub shard: usize,
    pub conn: u32,
    pub generation: u32,
}

/// Shared by all shards.
pub(crate) struct Common {
    pub limits: Limits,
    pub registry: Arc<Registry>,
    pub stats: Arc<Stats>,
    pub clock: Arc<SharedClock>,
    pub bell: Arc<Bell>,
    pub open: AtomicUsize,
    pub per_address: Mutex<HashMap<IpAddr, usize>>,
    pub lines: Mutex<HashMap<u64, Line>>,
    pub hearing: Arc<Hearing>,
    pub utc_offset_minutes: i32,
    pub tls: Option<tokio_rustls::TlsAcceptor>,
}

/// A device as the hot path needs it.
pub(crate) struct Known {
    pub mn: String,
    pub device: Option<Arc<Device>>,
    pub profile: DeviceProfile,
    pub version: u64,
    pub refused: bool,
}

pub(crate) struct Shard {
    pub id: usize,
    pub common: Arc<Common>,
    pub inbox: Arc<Inbox>,
    pub conns: RefCell<Slab<Rc<Conn>>>,
    pub spare: RefCell<Option<Box<Framer>>>,
    pub scratch: RefCell<Vec<u8>>,
    known: RefCell<HashMap<String, Rc<Known>>>,
    /// Connections that wait for room, by class.
    rooms: [room::Room; 2],
    generation: Cell<u32>,
    start: Instant,
    /// `now - backfill_after` as 14 digits, and when that was computed.
    old: Cell<(u64, i64)>,
}

/// Devices cached per shard.
const KNOWN_MAX: usize = 50_000;

impl Shard {
    pub fn new(id: usize, common: Arc<Common>, inbox: Arc<Inbox>) -> Rc<Self> {
        Rc::new(Self {
            id,
            common,
            inbox,
            conns: RefCell::default(),
            spare: RefCell::default(),
            scratch: RefCell::new(vec![0; SCRATCH]),
            known: RefCell::default(),
            rooms: Default::default(),
            generation: Cell::new(0),
            start: Instant::now(),
            old: Cell::new((0, 0)),
        })
    }

    /// Seconds since the shard began.
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// Runs the shard until it is told to stop.
    pub async fn run(
        self: Rc<Self>,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut written: mpsc::UnboundedReceiver<Written>,
    ) {
        let mut sweep = tokio::time::interval(Duration::from_secs(1));
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                Some(w) = written.recv() => {
                    self.answer(w);
                    while let Ok(w) = written.try_recv() {
                        self.answer(w);
                    }
                    self.make_room();
                }
                order = orders.recv() => match order {
                    Some(Order::Take { stream, address, tls, instead }) => self.take(stream, address, tls, instead),
                    Some(Order::Send { conn, generation, bytes }) => {
                        let to = self.conns.borrow().get(conn as usize).filter(|c| c.generation == generation).cloned();
                        if let Some(c) = to {
                            c.push(&bytes);
                            c.wake();
                        }
                    }
                    Some(Order::Stop) | None => return,
                },
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn take(
        self: &Rc<Self>,
        stream: std::net::TcpStream,
        address: IpAddr,
        tls: bool,
        instead: bool,
    ) {
        if instead && !self.evict() {
            self.gone(address);
            self.common
                .stats
                .turned_away
                .fetch_add(1, Ordering::Relaxed);
            return;
        }
        let stream = match stream
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpStream::from_std(stream))
        {
            Ok(s) => s,
            Err(e) => {
                tracing::debug!("{address}: {e}");
                self.gone(address);
                return;
            }
        };
        let _ = stream.set_nodelay(true);
        self.generation.set(self.generation.get().wrapping_add(1));
        let conn = {
            let mut conns = self.conns.borrow_mut();
            let entry = conns.vacant_entry();
            let c = Rc::new(Conn::new(
                u32::try_from(entry.key()).unwrap_or(u32::MAX),
                self.generation.get(),
                address,
                self.seconds(),
            ));
            entry.insert(Rc::clone(&c));
            c
        };
        let shard = Rc::clone(self);
        if tls {
            tokio::task::spawn_local(conn::run_tls(shard, conn, stream));
        } else {
            tokio::task::spawn_local(conn::run(shard, conn, stream));
        }
    }

    /// Closes the youngest connection that has sent nothing good; false if all have.
    fn evict(&self) -> bool {
        let conns = self.conns.borrow();
        let victim = conns
            .iter()
            .map(|(_, c)| c)
            .filter(|c| !c.proven.get() && !c.closing.get())
            .max_by_key(|c| c.opened_s);
        match victim {
            Some(c) => {
                c.close();
                true
            }
            None => false,
        }
    }

    /// Forgets a connection.
    pub fn forget(&self, conn: &Conn) {
        self.conns.borrow_mut().try_remove(conn.key as usize);
        self.leave(conn);
        if let Some(k) = conn.last.borrow().as_ref()
            && let Some(d) = &k.device
        {
            let mut lines = self
                .common
                .lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let here = Line {
                shard: self.id,
                conn: conn.key,
                generation: conn.generation,
            };
            if lines.get(&d.number) == Some(&here) {
                lines.remove(&d.number);
            }
        }
        self.gone(conn.address);
    }

    fn gone(&self, address: IpAddr) {
        self.common.open.fetch_sub(1, Ordering::AcqRel);
        let mut per = self
            .common
            .per_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = per.get_mut(&address) {
            *n -= 1;
            if *n == 0 {
                per.remove(&address);
            }
        }
    }

    /// Hands answers to their connections.
    fn answer(&self, w: Written) {
        let mut at = 0;
        let conns = self.conns.borrow();
        // What was read from a connection at once stands together: one push, one wake.
        let one = |a: &Ack, b: &Ack| (a.conn, a.generation) == (b.conn, b.generation);
        for acks in w.chunk.acks.chunk_by(one) {
            let end = at + acks.iter().map(|a| a.answer as usize).sum::<usize>();
            let to = conns
                .get(acks[0].conn as usize)
                .filter(|c| c.generation == acks[0].generation);
            if let Some(c) = to {
                let answered = u32::try_from(acks.len()).unwrap_or(u32::MAX);
                c.outstanding
                    .set(c.outstanding.get().saturating_sub(answered));
                c.push(&w.chunk.answers[at..end]);
                c.wake();
            }
            at = end;
        }
        drop(conns);
        self.inbox.recycle(w.chunk);
    }

    fn sweep(&self) {
        let now = self.seconds();
        let l = &self.common.limits;
        let mut begun = Vec::new();
        for (_, c) in self.conns.borrow().iter() {
            let age = |from: u32| now.saturating_sub(from);
            let silent = age(c.active_s.get()) > l.idle_s;
            let unproven = !c.proven.get() && age(c.opened_s) > l.first_frame_s;
            if silent || unproven {
                self.common
                    .stats
                    .turned_away
                    .fetch_add(u64::from(unproven), Ordering::Relaxed);
                c.close();
            } else if c.begun_s.get().is_some_and(|s| age(s) > l.frame_s) {
                begun.push(Rc::clone(c));
            }
        }
        for c in begun {
            c.give_up(self);
        }
        // Waiting connections are woken even if no answer comes, for instance after a failed disk.
        self.make_room();
    }

    fn known(&self, mn: &str, last: &RefCell<Option<Rc<Known>>>) -> Rc<Known> {
        let version = self.common.registry.version();
        if let Some(k) = last.borrow().as_ref()
            && k.mn == mn
            && k.version == version
        {
            return Rc::clone(k);
        }
        let mut known = self.known.borrow_mut();
        if let Some(k) = known.get(mn)
            && k.version == version
        {
            return Rc::clone(k);
        }
        let now = self.common.clock.now_ms();
        let device = self.common.registry.find(mn);
        let k = Rc::new(Known {
            mn: mn.to_owned(),
            profile: device.as_ref().map(|d| d.profile(now)).unwrap_or_default(),
            refused: device.as_ref().is_some_and(|d| d.refused_at(now)),
            device,
            version,
        });
        if k.device.is_some() {
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(mn.to_owned(), Rc::clone(&k));
        }
        k
    }
}
