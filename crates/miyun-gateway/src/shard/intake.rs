//! What a reader does with the bytes of a connection: frames into records with their answers.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use miyun_hj212::answer::{Wanted, wanted_by_device};
use miyun_hj212::finding::Reason;
use miyun_hj212::{CrcDialect, DeviceProfile, Edition, Event, Frame, Framer, Profiles, Rejected};

use super::{Known, Line, Shard};
use crate::answer::{self, Answer};
use crate::conn::Conn;
use crate::log::{BACKFILL, Kind, put_record};
use crate::merkle::sha256;
use crate::registry::good_mn;
use crate::writer::{Ack, Class, Queues};

/// Profiles for one step of a framer.
struct Lookup<'a> {
    shard: &'a Shard,
    last: &'a RefCell<Option<Rc<Known>>>,
    found: OnceCell<Rc<Known>>,
}

impl Profiles for Lookup<'_> {
    fn profile(&self, mn: &str) -> &DeviceProfile {
        &self
            .found
            .get_or_init(|| self.shard.known(mn, self.last))
            .profile
    }
}

impl Shard {
    /// Takes bytes of a connection; false if it must be closed.
    pub fn feed(&self, conn: &Conn, bytes: &[u8]) -> bool {
        let mut framer = conn
            .framer
            .take()
            .or_else(|| self.spare.borrow_mut().take())
            .unwrap_or_else(|| Box::new(Framer::with_limit(self.common.limits.segment_bytes)));
        framer.push(bytes);
        let go_on = self.events(conn, &mut framer);
        if framer.pending() > 0 {
            if conn.begun_s.get().is_none() {
                conn.begun_s.set(Some(self.seconds()));
            }
            conn.framer.replace(Some(framer));
        } else {
            conn.begun_s.set(None);
            self.spare.replace(Some(framer));
        }
        go_on
    }

    /// Takes all events of a framer.
    pub fn events(&self, conn: &Conn, framer: &mut Framer) -> bool {
        let now_ms = self.common.clock.now_ms();
        let mut go_on = true;
        let mut added = [0usize; 2];
        {
            let mut queues = self.inbox.lock();
            loop {
                let lookup = Lookup {
                    shard: self,
                    last: &conn.last,
                    found: OnceCell::new(),
                };
                let Some(event) = framer.next(&lookup) else {
                    break;
                };
                match event {
                    Event::Frame(f) => {
                        conn.noise.set(0);
                        conn.begun_s.set(None);
                        let known = lookup.found.into_inner();
                        self.frame(conn, &f, known, now_ms, &mut queues, &mut added);
                    }
                    Event::Rejected(r) => {
                        conn.noise.set(conn.noise.get() + r.bytes.len() as u64);
                        self.rejected(conn, &r, now_ms, &mut queues, &mut added);
                    }
                    Event::Noise(n) => {
                        conn.noise.set(conn.noise.get() + n.len() as u64);
                        self.common
                            .stats
                            .noise
                            .fetch_add(n.len() as u64, Ordering::Relaxed);
                    }
                }
                if conn.noise.get() > self.common.limits.noise_bytes {
                    go_on = false;
                    break;
                }
            }
        }
        let mut rung = false;
        for class in [Class::New, Class::Backfill] {
            if added[class as usize] > 0 {
                self.inbox.added(class, added[class as usize]);
                rung = true;
            }
        }
        if rung {
            self.common.bell.ring();
        }
        go_on
    }

    fn frame(
        &self,
        conn: &Conn,
        f: &Frame<'_>,
        known: Option<Rc<Known>>,
        now_ms: i64,
        queues: &mut Queues,
        added: &mut [usize; 2],
    ) {
        let mn = f.mn().unwrap_or("");
        let mut known = known.unwrap_or_else(|| self.known(mn, &conn.last));
        if known.device.is_none() {
            let met = if good_mn(mn) {
                self.common.registry.meet(mn, now_ms)
            } else {
                None
            };
            match met {
                // Not cached by `known` above, which only keeps devices that the registry has.
                Some(_) => known = self.known(mn, &conn.last),
                None => {
                    self.common
                        .stats
                        .turned_away
                        .fetch_add(1, Ordering::Relaxed);
                    self.refuse(conn, f, known.profile.crc.first(), "QnRtn=4");
                    return;
                }
            }
        }
        if known.refused {
            self.refuse(conn, f, known.profile.crc.first(), "QnRtn=2");
            return;
        }
        let Some(device) = &known.device else {
            return;
        };
        let number = device.number;
        let changed = conn
            .last
            .borrow()
            .as_ref()
            .is_none_or(|k| !Rc::ptr_eq(k, &known));
        if changed {
            self.common
                .lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(
                    number,
                    Line {
                        shard: self.id,
                        conn: conn.key,
                        generation: conn.generation,
                    },
                );
        }
        conn.proven.set(true);
        let cn = f.cn_number().unwrap_or(0);
        let is_answer = miyun_hj212::cn::is_answer(cn);
        let class = if !is_answer && (f.is_back_fill() || self.is_old(f, now_ms)) {
            Class::Backfill
        } else {
            Class::New
        };
        conn.class.set(class);
        let raw = f.raw();
        let chunk = queues.open(class);
        let before = chunk.body.len() + chunk.answers.len();
        let hash = sha256(raw);
        let flags = if class == Class::Backfill {
            BACKFILL
        } else {
            0
        };
        put_record(
            &mut chunk.body,
            Kind::Frame,
            flags,
            number,
            now_ms,
            &hash,
            raw,
        );
        let answers = chunk.answers.len();
        let wanted = match wanted_by_device(f) {
            Wanted::DataAnswer => Some((answer::DATA, "")),
            Wanted::NoticeAnswer => Some((answer::NOTICE, "")),
            Wanted::RequestAnswer => Some((answer::REQUEST, "QnRtn=1")),
            Wanted::Nothing => None,
        };
        if let Some((command, region)) = wanted
            && let Some(a) = Answer::to(f, known.profile.edition, known.profile.crc.first())
        {
            a.put(command, region, &mut chunk.answers);
        }
        chunk.acks.push(Ack {
            conn: conn.key,
            generation: conn.generation,
            answer: u32::try_from(chunk.answers.len() - answers).unwrap_or(0),
        });
        conn.outstanding.set(conn.outstanding.get() + 1);
        added[class as usize] += chunk.body.len() + chunk.answers.len() - before;
        if is_answer || !f.wants_answer() || cn / 1000 == 1 {
            self.common.hearing.heard(number, cn, f, now_ms);
        }
        if changed {
            conn.last.replace(Some(known));
        }
    }

    /// An answer that nothing was stored for: it may go at once.
    fn refuse(&self, conn: &Conn, f: &Frame<'_>, crc: CrcDialect, code: &str) {
        if f.wants_answer()
            && let Some(a) = Answer::to(f, None::<Edition>, crc)
        {
            let mut bytes = Vec::new();
            a.put(answer::REQUEST, code, &mut bytes);
            conn.push(&bytes);
        }
    }

    fn rejected(
        &self,
        conn: &Conn,
        r: &Rejected<'_>,
        now_ms: i64,
        queues: &mut Queues,
        added: &mut [usize; 2],
    ) {
        // A stray `##` is noise; something with a device's name and a check is worth keeping.
        let Some(device) = r.mn.and_then(|mn| {
            self.common.registry.find(mn).or_else(|| {
                // A new device whose check follows a known other algorithm: its extent is certain.
                (r.dialect.is_some() && good_mn(mn))
                    .then(|| self.common.registry.meet(mn, now_ms))
                    .flatten()
            })
        }) else {
            return;
        };
        self.common
            .hearing
            .rejected(device.number, r.reason, r.dialect);
        let minute = u32::try_from(now_ms / 60_000 % 1_000_000).unwrap_or(0);
        let (m, n) = conn.quarantined.get();
        let n = if m == minute { n } else { 0 };
        if n >= self.common.limits.quarantine_per_minute {
            return;
        }
        conn.quarantined.set((minute, n + 1));
        self.common
            .stats
            .quarantined
            .fetch_add(1, Ordering::Relaxed);
        let chunk = queues.open(Class::New);
        let before = chunk.body.len() + chunk.answers.len();
        let hash = sha256(r.bytes);
        put_record(
            &mut chunk.body,
            Kind::Quarantined,
            0,
            device.number,
            now_ms,
            &hash,
            r.bytes,
        );
        let answers = chunk.answers.len();
        let bad_check = matches!(
            r.reason,
            Reason::BadCrc | Reason::CrcDialectNotAllowed | Reason::NoKey | Reason::WrongKey
        );
        if let (true, Some(qn), Some(mn)) = (bad_check && r.dialect.is_some(), r.qn, r.mn) {
            let a = Answer {
                qn,
                pw: "",
                mn,
                version: device
                    .profile(now_ms)
                    .edition
                    .unwrap_or(Edition::E2017)
                    .version(),
                crc: r.dialect.unwrap_or(CrcDialect::Hj212),
            };
            a.put(answer::REQUEST, "QnRtn=9", &mut chunk.answers);
        }
        chunk.acks.push(Ack {
            conn: conn.key,
            generation: conn.generation,
            answer: u32::try_from(chunk.answers.len() - answers).unwrap_or(0),
        });
        conn.outstanding.set(conn.outstanding.get() + 1);
        added[Class::New as usize] += chunk.body.len() + chunk.answers.len() - before;
    }

    /// True if the frame's DataTime is older than what counts as new.
    fn is_old(&self, f: &Frame<'_>, now_ms: i64) -> bool {
        let (mut old, at) = self.old.get();
        if now_ms - at >= 1_000 {
            let limit = now_ms - i64::from(self.common.limits.backfill_after_s) * 1_000
                + i64::from(self.common.utc_offset_minutes) * 60_000;
            old = digits14(limit);
            self.old.set((old, now_ms));
        }
        let Some(t) = f.global("DataTime") else {
            return false;
        };
        let b = t.as_bytes();
        if b.len() < 14 {
            return false;
        }
        let mut v = 0u64;
        for d in &b[..14] {
            let d = d.wrapping_sub(b'0');
            if d > 9 {
                return false;
            }
            v = v * 10 + u64::from(d);
        }
        // Hours and days carry the start of their interval: one that ended lately is new.
        let slack = match f.cn_number() {
            Some(2061 | 2062) => 10_000,
            Some(2031 | 2041) => 1_000_000,
            _ => 0,
        };
        v + slack < old
    }
}

/// A local time as the number YYYYMMDDhhmmss.
fn digits14(local_ms: i64) -> u64 {
    let Ok(t) = jiff::Timestamp::from_millisecond(local_ms) else {
        return 0;
    };
    let d = jiff::tz::TimeZone::UTC.to_datetime(t);
    let part = |n: i64| u64::try_from(n).unwrap_or(0);
    part(i64::from(d.year())) * 10_000_000_000
        + part(i64::from(d.month())) * 100_000_000
        + part(i64::from(d.day())) * 1_000_000
        + part(i64::from(d.hour())) * 10_000
        + part(i64::from(d.minute())) * 100
        + part(i64::from(d.second()))
}
