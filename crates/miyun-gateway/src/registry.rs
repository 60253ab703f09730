//! The device registry: what is known of each device, since when, and who said so. Nothing is
//! guessed per frame: what the gateway learns it proposes, and a person confirms.

mod device;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use self::device::{Dated, Device, Entry, Idea, Property, Proposal, What, good_mn, number_of};
use crate::GatewayError;
use crate::journal::Journal;

#[derive(Debug, Default)]
struct Table {
    devices: HashMap<String, Arc<Device>>,
    by_number: HashMap<u64, String>,
    /// Devices that are not on disk yet.
    unsaved: Vec<Entry>,
    /// Devices that nobody has confirmed.
    unconfirmed: usize,
}

impl Table {
    fn take(&mut self, e: &Entry) {
        if !self.devices.contains_key(&e.mn) {
            let d = blank(e.mn.clone(), e.at_ms);
            self.by_number.insert(d.number, e.mn.clone());
            self.devices.insert(e.mn.clone(), Arc::new(d));
            self.unconfirmed += 1;
        }
        let Some(d) = self.devices.get_mut(&e.mn) else {
            return;
        };
        let d = Arc::make_mut(d);
        match &e.what {
            What::New => {}
            What::Propose {
                property,
                value,
                why,
            } => d.proposals.push(Proposal {
                property: property.clone(),
                value: value.clone(),
                why: why.clone(),
                at_ms: e.at_ms,
            }),
            What::Set {
                property,
                value,
                from_ms,
                ..
            } => {
                if *property == Property::Status && d.last(&Property::Status).is_none() {
                    self.unconfirmed = self.unconfirmed.saturating_sub(1);
                }
                d.proposals.retain(|p| p.property != *property);
                let values = d.properties.entry(property.clone()).or_default();
                values.push(Dated {
                    from_ms: *from_ms,
                    value: value.clone(),
                    by: e.by.clone(),
                });
                // Stable: of two values from one moment the later said one holds.
                values.sort_by_key(|v| v.from_ms);
            }
            What::Refuse {
                property, value, ..
            } => {
                d.proposals
                    .retain(|p| (&p.property, &p.value) != (property, value));
                d.refused.push((property.clone(), value.clone()));
            }
        }
    }
}

fn blank(mn: String, since_ms: i64) -> Device {
    Device {
        number: number_of(&mn),
        mn,
        since_ms,
        properties: BTreeMap::new(),
        proposals: Vec::new(),
        refused: Vec::new(),
    }
}

/// All devices; shared by every thread.
#[derive(Debug)]
pub struct Registry {
    table: RwLock<Table>,
    journal: Mutex<Journal<Entry>>,
    version: AtomicU64,
    unconfirmed_max: usize,
}

impl Registry {
    /// The registry in the journal at `path`. At most `unconfirmed_max` devices that nobody has
    /// confirmed are taken in.
    ///
    /// # Errors
    /// [`GatewayError`] if the journal cannot be read.
    pub fn open(path: &Path, unconfirmed_max: usize) -> Result<Self, GatewayError> {
        Self::until(path, unconfirmed_max, i64::MAX)
    }

    /// The registry as it was at a moment, to look at.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn as_known(path: &Path, until_ms: i64) -> Result<Self, GatewayError> {
        Self::until(path, 0, until_ms)
    }

    fn until(path: &Path, unconfirmed_max: usize, until_ms: i64) -> Result<Self, GatewayError> {
        let mut journal: Journal<Entry> = Journal::open(path)?;
        let mut table = Table::default();
        for e in journal.news()?.iter().filter(|e| e.at_ms <= until_ms) {
            table.take(e);
        }
        Ok(Self {
            table: RwLock::new(table),
            journal: Mutex::new(journal),
            version: AtomicU64::new(1),
            unconfirmed_max,
        })
    }

    /// Grows whenever anything in the registry changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn read<T>(&self, f: impl FnOnce(&Table) -> T) -> T {
        f(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn journal(&self) -> MutexGuard<'_, Journal<Entry>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device with this MN.
    #[must_use]
    pub fn find(&self, mn: &str) -> Option<Arc<Device>> {
        self.read(|t| t.devices.get(mn).cloned())
    }

    /// The device with this number.
    #[must_use]
    pub fn device(&self, number: u64) -> Option<Arc<Device>> {
        self.read(|t| t.devices.get(t.by_number.get(&number)?).cloned())
    }

    /// All devices, in order of MN.
    #[must_use]
    pub fn devices(&self) -> Vec<Arc<Device>> {
        let mut all: Vec<_> = self.read(|t| t.devices.values().cloned().collect());
        all.sort_by(|a, b| a.mn.cmp(&b.mn));
        all
    }

    /// The device with this MN, taken in as a new one if need be; `None` if too many unconfirmed
    /// devices wait already. A new device is in the journal only after [`Registry::save`].
    #[must_use]
    pub fn meet(&self, mn: &str, now_ms: i64) -> Option<Arc<Device>> {
        if let Some(d) = self.find(mn) {
            return Some(d);
        }
        let mut t = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(d) = t.devices.get(mn) {
            return Some(Arc::clone(d));
        }
        if t.unconfirmed >= self.unconfirmed_max {
            return None;
        }
        let entry = Entry {
            at_ms: now_ms,
            by: "gateway".into(),
            mn: mn.to_owned(),
            what: What::New,
        };
        t.take(&entry);
        t.unsaved.push(entry);
        t.devices.get(mn).cloned()
    }

    /// Writes devices that were met into the journal.
    ///
    /// # Errors
    /// [`GatewayError`] if the disk refuses; they stay unsaved.
    pub fn save(&self) -> Result<(), GatewayError> {
        if self.read(|t| t.unsaved.is_empty()) {
            return Ok(());
        }
        let entries = {
            let mut t = self.table.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut t.unsaved)
        };
        match self.journal().append(&entries) {
            Ok(news) => {
                self.take_all(&news);
                Ok(())
            }
            Err(e) => {
                let mut t = self.table.write().unwrap_or_else(PoisonError::into_inner);
                t.unsaved.splice(0..0, entries);
                Err(e)
            }
        }
    }

    fn take_all(&self, news: &[Entry]) {
        if news.is_empty() {
            return;
        }
        let mut t = self.table.write().unwrap_or_else(PoisonError::into_inner);
        for e in news {
            t.take(e);
        }
        drop(t);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes in what other processes wrote.
    ///
    /// # Errors
    /// [`GatewayError`] if the journal is damaged.
    pub fn refresh(&self) -> Result<(), GatewayError> {
        let news = self.journal().news()?;
        self.take_all(&news);
        Ok(())
    }

    /// Sets properties of devices on a person's word; unknown devices are registered.
    ///
    /// # Errors
    /// [`GatewayError`] naming the value that cannot be, or if the disk refuses.
    pub fn set(
        &self,
        by: &str,
        now_ms: i64,
        changes: &[(String, Property, String, i64, String)],
    ) -> Result<(), GatewayError> {
        self.refresh()?;
        for (mn, property, value, _, _) in changes {
            property
                .check(value)
                .map_err(|r| GatewayError::setting(format!("{mn} {property}"), r))?;
            if !good_mn(mn) {
                return Err(GatewayError::setting(
                    format!("MN {mn:?}"),
                    "an MN has 1 to 64 printable characters without ; = & ,",
                ));
            }
        }
        self.save()?;
        let entries: Vec<Entry> = changes
            .iter()
            .map(|(mn, property, value, from_ms, why)| Entry {
                at_ms: now_ms,
                by: by.to_owned(),
                mn: mn.clone(),
                what: What::Set {
                    property: property.clone(),
                    value: value.clone(),
                    from_ms: *from_ms,
                    why: why.clone(),
                },
            })
            .collect();
        let news = self.journal().append(&entries)?;
        self.take_all(&news);
        Ok(())
    }

    /// Proposes values, each unless it holds already, waits already or was refused before, and says
    /// how many are new. One write for all: thousands of devices may be learnt of at once.
    ///
    /// # Errors
    /// [`GatewayError`] if the disk refuses.
    pub fn propose(&self, now_ms: i64, ideas: Vec<Idea>) -> Result<usize, GatewayError> {
        let entries: Vec<Entry> = ideas
            .into_iter()
            .filter(|i| {
                self.find(&i.mn)
                    .is_some_and(|d| !d.was_told(&i.property, &i.value))
            })
            .map(|i| Entry {
                at_ms: now_ms,
                by: "gateway".into(),
                mn: i.mn,
                what: What::Propose {
                    property: i.property,
                    value: i.value,
                    why: i.why,
                },
            })
            .collect();
        if entries.is_empty() {
            return Ok(0);
        }
        self.save()?;
        let news = self.journal().append(&entries)?;
        self.take_all(&news);
        Ok(entries.len())
    }

    /// Refuses a proposal.
    ///
    /// # Errors
    /// [`GatewayError`] if there is no such device or the disk refuses.
    pub fn refuse(
        &self,
        by: &str,
        now_ms: i64,
        mn: &str,
        property: Property,
        value: &str,
        why: &str,
    ) -> Result<(), GatewayError> {
        self.refresh()?;
        if self.find(mn).is_none() {
            return Err(GatewayError::NoDevice(mn.to_owned()));
        }
        let news = self.journal().append(&[Entry {
            at_ms: now_ms,
            by: by.to_owned(),
            mn: mn.to_owned(),
            what: What::Refuse {
                property,
                value: value.to_owned(),
                why: why.to_owned(),
            },
        }])?;
        self.take_all(&news);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use miyun_hj212::CrcDialect;

    use super::*;

    fn set(mn: &str, p: &str, v: &str, from: i64) -> (String, Property, String, i64, String) {
        (mn.into(), p.parse().unwrap(), v.into(), from, "test".into())
    }

    #[test]
    fn properties_are_dated_and_survive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("devices.jsonl");
        let r = Registry::open(&path, 10).unwrap();
        let d = r.meet("A1", 5).unwrap();
        assert_eq!(d.number, number_of("A1"));
        r.save().unwrap();
        r.set(
            "li",
            100,
            &[
                set("A1", "unit.a34004", "ng/m3", 0),
                set("A1", "unit.a34004", "ug/m3", 50),
                set("B2", "crc", "hj212+modbus-low-first", 0),
            ],
        )
        .unwrap();
        let again = Registry::open(&path, 10).unwrap();
        assert_eq!(again.devices(), r.devices());
        let a = again.find("A1").unwrap();
        let unit = Property::Unit("a34004".into());
        assert_eq!(a.at(&unit, 49), Some("ng/m3"));
        assert_eq!(a.at(&unit, 50), Some("ug/m3"));
        r.set(
            "li",
            101,
            &[
                set("B2", "edition", "2017", 0),
                set("B2", "edition", "2025", 70),
            ],
        )
        .unwrap();
        let b = r.find("B2").unwrap();
        assert_eq!(b.profile_holds(69), 0..70);
        assert_eq!(b.profile_holds(70), 70..i64::MAX);
        let crc = again.find("B2").unwrap().profile(1).crc;
        assert!(crc.has(CrcDialect::ModbusLowFirst) && crc.has(CrcDialect::Hj212));
        assert!(
            r.set("li", 1, &[set("A1", "edition", "2020", 0)])
                .unwrap_err()
                .to_string()
                .contains("2017")
        );
    }

    #[test]
    fn a_proposal_waits_for_a_person_and_a_refused_one_stays_refused() {
        let dir = tempfile::tempdir().unwrap();
        let r = Registry::open(&dir.path().join("d.jsonl"), 10).unwrap();
        r.meet("A1", 5).unwrap();
        let propose = || {
            let idea = |mn: &str| Idea {
                mn: mn.into(),
                property: Property::Crc,
                value: "modbus-low-first".into(),
                why: "22 of 22 frames".into(),
            };
            r.propose(6, vec![idea("A1"), idea("unknown")]).unwrap()
        };
        assert_eq!(propose(), 1);
        assert_eq!(propose(), 0, "it waits already");
        let d = r.find("A1").unwrap();
        assert_eq!(d.proposals.len(), 1);
        assert!(
            !d.profile(10).crc.has(CrcDialect::ModbusLowFirst),
            "not before a person says so"
        );
        r.refuse("li", 7, "A1", Property::Crc, "modbus-low-first", "no")
            .unwrap();
        assert_eq!(propose(), 0);
        assert!(r.find("A1").unwrap().proposals.is_empty());
    }

    #[test]
    fn strangers_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let r = Registry::open(&dir.path().join("d.jsonl"), 2).unwrap();
        assert!(r.meet("A", 0).is_some() && r.meet("B", 0).is_some());
        assert!(r.meet("C", 0).is_none());
        assert!(r.meet("A", 0).is_some(), "those known stay known");
        r.set("li", 1, &[set("A", "status", "accepted", 0)])
            .unwrap();
        assert!(r.meet("C", 0).is_some());
    }
}
