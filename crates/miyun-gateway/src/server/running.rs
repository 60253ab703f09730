//! A gateway that runs: what it tells, who follows its log, how it ends.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::{Door, Recovery, paths, spawn};
use crate::GatewayError;
use crate::command::Patience;
use crate::hearing::Hearing;
use crate::log::Keeping;
use crate::registry::Registry;
use crate::relay::RelayStats;
use crate::settings::Settings;
use crate::shard::{Common, Line, Order};
use crate::state::State;
use crate::writer::{Bell, Progress, SharedClock, Stats};

/// A running gateway.
pub struct Running {
    pub(super) dir: PathBuf,
    pub(super) settings: Settings,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) tls_addresses: Vec<SocketAddr>,
    pub(super) recovery: Recovery,
    pub(super) registry: Arc<Registry>,
    pub(super) stats: Arc<Stats>,
    pub(super) clock: Arc<SharedClock>,
    pub(super) progress: Arc<Progress>,
    pub(super) common: Arc<Common>,
    pub(super) orders: Vec<mpsc::UnboundedSender<Order>>,
    pub(super) door: Arc<Door>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) bell: Arc<Bell>,
    pub(super) quit: Arc<Notify>,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) accept: Option<JoinHandle<()>>,
    pub(super) writer: Option<JoinHandle<()>>,
    pub(super) state: Arc<State>,
    /// Tells those who follow the log to leave.
    pub(super) leave: Arc<AtomicBool>,
    pub(super) followers: Vec<JoinHandle<()>>,
    pub(super) relays: Vec<(String, Arc<RelayStats>)>,
}

impl Running {
    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// Addresses that it listens on in plain TCP.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
    /// Addresses that it listens on in TLS.
    #[must_use]
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls_addresses
    }
    /// What opening found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }
    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }
    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<SharedClock> {
        &self.clock
    }
    /// How far the log is durable.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
    /// What the readers hear beside data.
    #[must_use]
    pub fn hearing(&self) -> &Arc<Hearing> {
        &self.common.hearing
    }
    /// The door for documents.
    #[must_use]
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }
    /// Connections now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.common.open.load(Ordering::Acquire)
    }
    /// A handle that sends to devices.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller {
            common: Arc::clone(&self.common),
            orders: self.orders.clone(),
        }
    }

    /// What those need who follow the log.
    #[must_use]
    pub fn follow(&self) -> Follow {
        Follow {
            log: paths::log(&self.dir),
            progress: Arc::clone(&self.progress),
            registry: Arc::clone(&self.registry),
            hearing: Arc::clone(&self.common.hearing),
            clock: Arc::clone(&self.clock),
            state: Arc::clone(&self.state),
            utc_offset_minutes: self.settings.utc_offset_minutes,
        }
    }

    /// Live state.
    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Counters of the relays, by name.
    #[must_use]
    pub fn relays(&self) -> &[(String, Arc<RelayStats>)] {
        &self.relays
    }

    /// Starts what follows the log: live state, relays, commands, brokers, retention.
    ///
    /// # Errors
    /// [`GatewayError`] if a thread cannot be started or the log cannot be read.
    pub fn attend(&mut self, patience: Patience) -> Result<(), GatewayError> {
        let follow = self.follow();
        let from = crate::state::start_of_hours(&follow.log, self.clock.now_ms())?;
        let (f, stop) = (follow.clone(), Arc::clone(&self.leave));
        self.followers.push(spawn("miyun-state".into(), move || {
            crate::state::follow(&Arc::clone(&f.state), &f, from, &stop);
        })?);
        for to in self.settings.relay.clone() {
            let stats = Arc::new(RelayStats::default());
            self.relays.push((to.name.clone(), Arc::clone(&stats)));
            let (f, stop, dir) = (follow.clone(), Arc::clone(&self.leave), self.dir.clone());
            self.followers
                .push(spawn(format!("miyun-relay-{}", to.name), move || {
                    crate::relay::run(dir, &to, &f, &stats, &stop);
                })?);
        }
        let (f, stop, dir, caller) = (
            follow.clone(),
            Arc::clone(&self.leave),
            self.dir.clone(),
            self.caller(),
        );
        self.followers.push(spawn("miyun-commands".into(), move || {
            crate::command::run(&dir, &f, &caller, patience, &stop);
        })?);
        for from in self.settings.mqtt.clone() {
            let (door, stop, registry, clock) = (
                Arc::clone(&self.door),
                Arc::clone(&self.leave),
                Arc::clone(&self.registry),
                Arc::clone(&self.clock),
            );
            self.followers.push(spawn("miyun-mqtt".into(), move || {
                crate::mqtt::run(&from, &door, &registry, &clock, &stop);
            })?);
        }
        let (f, stop, dir, keep) = (
            follow,
            Arc::clone(&self.leave),
            self.dir.clone(),
            self.settings.keep,
        );
        let mut readers: Vec<String> = self.settings.relay.iter().map(|r| r.name.clone()).collect();
        readers.push("lake".into());
        self.followers.push(spawn("miyun-keep".into(), move || {
            keep_log(&dir, keep, &readers, &f, &stop)
        })?);
        Ok(())
    }

    /// Stops listening, writes what waits, answers it, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.leave.store(true, Ordering::Release);
        self.quit.notify_one();
        if let Some(t) = self.accept.take() {
            let _ = t.join();
        }
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(w) = self.writer.take() {
            let _ = w.join();
        }
        for o in &self.orders {
            let _ = o.send(Order::Stop);
        }
        for t in self.threads.drain(..).chain(self.followers.drain(..)) {
            let _ = t.join();
        }
    }
}

/// Packs and removes old segments once a minute, never one that a reader still needs.
fn keep_log(dir: &Path, keep: Keeping, readers: &[String], f: &Follow, stop: &AtomicBool) {
    let mut waited = 0;
    while !stop.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(500));
        waited += 1;
        if waited % 120 != 1 || keep == Keeping::default() {
            continue;
        }
        let needed = readers
            .iter()
            .map(|r| crate::relay::read_cursor(dir, r))
            .try_fold(f.progress.end(), |least, c| c.map(|c| least.min(c)));
        match needed.and_then(|n| keep.apply(&f.log, n, f.clock.now_ms())) {
            Ok(done) if done.packed + done.removed > 0 => {
                tracing::info!(
                    "log: {} segments packed, {} removed",
                    done.packed,
                    done.removed
                );
            }
            Ok(_) => {}
            Err(e) => tracing::error!("{e}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// What those need who follow a running gateway's log.
#[derive(Clone)]
pub struct Follow {
    /// Folder of the log.
    pub log: PathBuf,
    /// How far it is durable.
    pub progress: Arc<Progress>,
    /// The registry.
    pub registry: Arc<Registry>,
    /// What the readers hear beside data.
    pub hearing: Arc<Hearing>,
    /// The clock.
    pub clock: Arc<SharedClock>,
    /// Live state.
    pub state: Arc<State>,
    /// The gateway's zone.
    pub utc_offset_minutes: i32,
}

/// Sends bytes to devices that are connected.
#[derive(Clone)]
pub struct Caller {
    common: Arc<Common>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
}

impl Caller {
    /// True if the device is connected.
    #[must_use]
    pub fn online(&self, device: u64) -> bool {
        self.line(device).is_some()
    }

    fn line(&self, device: u64) -> Option<Line> {
        self.common
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&device)
            .copied()
    }

    /// Sends `bytes` to a device; false if it is not connected.
    #[must_use]
    pub fn send(&self, device: u64, bytes: Vec<u8>) -> bool {
        self.line(device).is_some_and(|l| {
            self.orders.get(l.shard).is_some_and(|o| {
                o.send(Order::Send {
                    conn: l.conn,
                    generation: l.generation,
                    bytes,
                })
                .is_ok()
            })
        })
    }
}
