//! Packets of a split message put together again, in bounded memory.
//!
//! Each packet is a frame of its own with its own time, whole factor groups and its own answer, so
//! storing frame by frame loses nothing. Putting together is for whole messages (long answers,
//! logs) and to know which packets never came. Devices number packets in two ways: with one
//! request number for all, or growing by 1 ms (2017 C.50); both are taken.

use std::collections::HashMap;

use crate::frame::Frame;
use crate::time::Qn;

/// Bounds of a [`Reassembler`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitLimits {
    /// Unfinished messages of one device.
    pub per_device: usize,
    /// Unfinished messages in all.
    pub messages: usize,
    /// Bytes held in all.
    pub bytes: usize,
    /// Packets of one message.
    pub packets: u16,
    /// Age after which an unfinished message is given out as partial.
    pub age_ms: i64,
}

impl Default for SplitLimits {
    fn default() -> Self {
        Self {
            per_device: 4,
            messages: 10_000,
            bytes: 64 << 20,
            packets: 256,
            age_ms: 120_000,
        }
    }
}

/// What became of an offered frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// The frame is not part of a split message.
    NotSplit,
    /// Taken; the message is not complete.
    Waiting {
        /// Packets here.
        have: u16,
        /// Packets of the message.
        of: u16,
    },
    /// The packet was here already.
    Repeated,
    /// The message is complete.
    Whole(Joined),
    /// Not taken: a bound is reached. The frame itself is as good as before.
    Refused(&'static str),
}

/// A message from its packets, or what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Device.
    pub mn: String,
    /// Command.
    pub cn: String,
    /// Request number of the first packet that came.
    pub qn: String,
    /// Region: the packets' groups in the order of PNO; `DataTime` once.
    pub region: String,
    /// Packets that came.
    pub have: u16,
    /// Packets of the message.
    pub of: u16,
    /// Packet numbers that never came.
    pub missing: Vec<u16>,
}

#[derive(Debug)]
struct Pending {
    qn: String,
    /// Request number of packet 1 if numbers grow.
    base: Option<Qn>,
    since_ms: i64,
    parts: Vec<Option<String>>,
    have: u16,
    bytes: usize,
}

/// Device, command and number of packets.
type Key = (String, String, u16);

/// Puts packets together.
#[derive(Debug, Default)]
pub struct Reassembler {
    limits: SplitLimits,
    pending: HashMap<Key, Vec<Pending>>,
    /// Unfinished messages of each device.
    devices: HashMap<String, usize>,
    messages: usize,
    bytes: usize,
}

impl Reassembler {
    /// An empty one.
    #[must_use]
    pub fn new(limits: SplitLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Unfinished messages.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Takes a frame; `now_ms` is the receiver's clock, monotonic.
    pub fn offer(&mut self, now_ms: i64, frame: &Frame<'_>) -> Offer {
        let Some((number, total)) = frame.packet() else {
            return Offer::NotSplit;
        };
        if total > self.limits.packets {
            return Offer::Refused("more packets than the receiver puts together");
        }
        let region = frame.region();
        // A packet's place in the vector of parts counts as well.
        let cost = region.len() + PART;
        let mn = frame.mn().unwrap_or("");
        let key = (mn.to_owned(), frame.cn().unwrap_or("").to_owned(), total);
        let qn = frame.qn().unwrap_or("");
        let base = frame.qn_time().map(|q| q.plus_ms(1 - i64::from(number)));
        let list = self.pending.entry(key.clone()).or_default();
        let found = list
            .iter()
            .position(|p| p.qn == qn || (base.is_some() && p.base == base));
        let at = match found {
            Some(at) => {
                if list[at].parts[usize::from(number) - 1].is_some() {
                    return Offer::Repeated;
                }
                at
            }
            None => {
                let of_device = self.devices.get(mn).copied().unwrap_or(0);
                let refused = if self.messages >= self.limits.messages {
                    Some("too many unfinished messages")
                } else if of_device >= self.limits.per_device {
                    Some("too many unfinished messages of this device")
                } else if self.bytes + usize::from(total) * PART > self.limits.bytes {
                    Some("too many bytes of unfinished messages")
                } else {
                    None
                };
                if let Some(why) = refused {
                    if list.is_empty() {
                        self.pending.remove(&key);
                    }
                    return Offer::Refused(why);
                }
                self.messages += 1;
                *self.devices.entry(mn.to_owned()).or_default() += 1;
                self.bytes += usize::from(total) * PART;
                list.push(Pending {
                    qn: qn.to_owned(),
                    base,
                    since_ms: now_ms,
                    parts: vec![None; usize::from(total)],
                    have: 0,
                    bytes: usize::from(total) * PART,
                });
                list.len() - 1
            }
        };
        if self.bytes + cost > self.limits.bytes {
            return Offer::Refused("too many bytes of unfinished messages");
        }
        let p = &mut list[at];
        p.parts[usize::from(number) - 1] = Some(region.to_owned());
        p.have += 1;
        p.bytes += cost;
        self.bytes += cost;
        if p.have < total {
            return Offer::Waiting {
                have: p.have,
                of: total,
            };
        }
        let done = list.swap_remove(at);
        if list.is_empty() {
            self.pending.remove(&key);
        }
        self.forget(&key.0, done.bytes);
        Offer::Whole(join(key, done))
    }

    /// Messages whose packets did not come in time, as far as they came.
    pub fn expire(&mut self, now_ms: i64) -> Vec<Joined> {
        let oldest = now_ms.saturating_sub(self.limits.age_ms);
        let mut out = Vec::new();
        let mut freed = Vec::new();
        self.pending.retain(|key, list| {
            let mut k = 0;
            while k < list.len() {
                if list[k].since_ms <= oldest {
                    let p = list.swap_remove(k);
                    freed.push((key.0.clone(), p.bytes));
                    out.push(join(key.clone(), p));
                } else {
                    k += 1;
                }
            }
            !list.is_empty()
        });
        for (mn, bytes) in freed {
            self.forget(&mn, bytes);
        }
        out
    }

    fn forget(&mut self, mn: &str, bytes: usize) {
        self.messages -= 1;
        self.bytes -= bytes;
        if let Some(n) = self.devices.get_mut(mn) {
            *n -= 1;
            if *n == 0 {
                self.devices.remove(mn);
            }
        }
    }
}

/// What a packet costs beyond its text.
const PART: usize = size_of::<Option<String>>();

fn join(key: Key, p: Pending) -> Joined {
    let mut region = String::with_capacity(p.bytes);
    let mut missing = Vec::new();
    for (k, part) in p.parts.iter().enumerate() {
        let Some(part) = part else {
            missing.push(k as u16 + 1);
            continue;
        };
        let mut part = part.as_str();
        if !region.is_empty() {
            // Packets repeat the time; once is enough if it is the same.
            let (lead, rest) = part.split_once(';').unwrap_or((part, ""));
            if lead.starts_with("DataTime=")
                && region.split(';').next().is_some_and(|first| first == lead)
            {
                part = rest;
            }
            if !part.is_empty() && !region.ends_with(';') {
                region.push(';');
            }
        }
        region.push_str(part);
    }
    Joined {
        mn: key.0,
        cn: key.1,
        qn: p.qn,
        region,
        have: p.have,
        of: key.2,
        missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Message, Region};
    use crate::frame::decode;
    use crate::profile::{DeviceProfile, Edition};

    fn packets(mn: &str, qn: &str, factors: usize) -> Vec<Vec<u8>> {
        let mut region = Region::new().item("DataTime", "20160801080000");
        for k in 0..factors {
            region = region.factor(&format!("w{k:05}"), &[("Avg", &1.5), ("Flag", &'N')]);
        }
        Message::new("32", 2061, mn)
            .qn(Qn::parse(qn).unwrap())
            .region(region)
            .encode(&DeviceProfile::of(Edition::E2017))
            .unwrap()
    }

    fn offer(r: &mut Reassembler, now: i64, bytes: &[u8]) -> Offer {
        let mut plain = Vec::new();
        let f = decode(bytes, &DeviceProfile::default(), &mut plain).unwrap();
        r.offer(now, &f)
    }

    #[test]
    fn packets_in_any_order_make_one_message() {
        let mut r = Reassembler::new(SplitLimits::default());
        let p = packets("A", "20160801085857999", 100);
        assert!(p.len() > 2);
        assert_eq!(
            offer(&mut r, 0, &p[2]),
            Offer::Waiting {
                have: 1,
                of: p.len() as u16
            }
        );
        assert_eq!(offer(&mut r, 0, &p[2]), Offer::Repeated);
        let mut whole = None;
        for k in (0..p.len()).filter(|k| *k != 2) {
            if let Offer::Whole(w) = offer(&mut r, 1, &p[k]) {
                whole = Some(w);
            }
        }
        let w = whole.unwrap();
        assert_eq!(crate::Items::new(&w.region).count(), 201);
        assert!(w.missing.is_empty());
        assert_eq!((r.bytes(), r.messages()), (0, 0));
    }

    #[test]
    fn what_never_comes_is_named() {
        let mut r = Reassembler::new(SplitLimits::default());
        let p = packets("A", "20160801085857000", 100);
        offer(&mut r, 0, &p[1]);
        assert!(r.expire(119_999).is_empty());
        let partial = r.expire(120_000);
        assert_eq!(partial[0].have, 1);
        assert!(partial[0].missing.contains(&1));
        assert_eq!((r.bytes(), r.messages()), (0, 0));
    }

    #[test]
    fn one_device_cannot_fill_the_memory() {
        let mut r = Reassembler::new(SplitLimits {
            bytes: 100_000,
            ..SplitLimits::default()
        });
        let mut refused = 0;
        for k in 0..1000 {
            let qn = format!("201608010858{:02}{:03}", k % 60, k);
            let p = packets("A", &qn, 100);
            if matches!(offer(&mut r, 0, &p[0]), Offer::Refused(_)) {
                refused += 1;
            }
            let other = packets(&format!("D{k}"), "20160801085857000", 100);
            offer(&mut r, 0, &other[0]);
            assert!(r.bytes() <= 100_000);
        }
        assert!(refused > 900, "{refused}");
        r.expire(1_000_000);
        assert_eq!((r.bytes(), r.messages()), (0, 0));
    }
}
