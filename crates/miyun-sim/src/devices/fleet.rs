//! Who the devices are.

use jiff::civil::DateTime;
use serde::Serialize;

use super::act::Acts;
use crate::Random;

/// What stands at the end of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A stack with continuous emission monitoring.
    Stack,
    /// A waste-water outlet.
    Outfall,
    /// A micro station of ambient air.
    AirStation,
    /// A stack with many organic compounds: its messages are split.
    Voc,
    /// A noise meter.
    Noise,
}

impl Kind {
    /// The word used in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Outfall => "outfall",
            Self::AirStation => "air-station",
            Self::Voc => "voc",
            Self::Noise => "noise",
        }
    }

    /// System code (ST).
    #[must_use]
    pub fn system(self) -> &'static str {
        match self {
            Self::Stack => "31",
            Self::Outfall => "32",
            Self::AirStation => "22",
            Self::Voc => "27",
            Self::Noise => "23",
        }
    }

    /// Factor codes with usual value (in thousandths) and the unit that the device uses, which
    /// need not be the default of the standard.
    #[must_use]
    pub fn factors(self) -> &'static [(&'static str, i64, &'static str)] {
        match self {
            Self::Stack => &[
                ("a21026", 12_000, "mg/m3"),
                ("a21002", 31_000, "mg/m3"),
                ("a34013", 3_200, "mg/m3"),
                ("a19001", 8_100, "%"),
                ("a01012", 62_000, "degC"),
                ("a01011", 11_500, "m/s"),
                ("a00000", 48_000, "m3/s"),
            ],
            Self::Outfall => &[
                ("w00000", 21_000, "L/s"),
                ("w01001", 7_300, "1"),
                ("w01018", 24_000, "mg/L"),
                ("w21003", 1_100, "mg/L"),
                ("w21011", 210, "mg/L"),
                ("w21001", 8_900, "mg/L"),
            ],
            Self::AirStation => &[
                ("a34004", 35_000, "ug/m3"),
                ("a34002", 62_000, "ug/m3"),
                ("a21026", 4_000, "ug/m3"),
                ("a21004", 28_000, "ug/m3"),
                ("a21005", 600, "mg/m3"),
                ("a05024", 71_000, "ug/m3"),
            ],
            Self::Voc => &[
                ("a24088", 4_100, "mg/m3"),
                ("a25002", 120, "mg/m3"),
                ("a25003", 340, "mg/m3"),
                ("a25004", 90, "mg/m3"),
                ("a25005", 410, "mg/m3"),
                ("a25006", 80, "mg/m3"),
                ("a25007", 70, "mg/m3"),
                ("a25008", 60, "mg/m3"),
                ("a25010", 40, "mg/m3"),
                ("a25014", 30, "mg/m3"),
                ("a25019", 25, "mg/m3"),
                ("a25020", 20, "mg/m3"),
                ("a25021", 22, "mg/m3"),
                ("a25038", 18, "mg/m3"),
                ("a24036", 55, "mg/m3"),
                ("a24042", 130, "mg/m3"),
                ("a24043", 95, "mg/m3"),
                ("a24053", 210, "mg/m3"),
                ("a31024", 160, "mg/m3"),
                ("a29017", 75, "mg/m3"),
            ],
            Self::Noise => &[("LA", 58_000, "dB"), ("Leq", 56_000, "dB")],
        }
    }
}

/// What is wrong with a device on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Every tenth frame carries a wrong check.
    WrongCrc,
    /// Noise between frames.
    Garbage,
    /// Bytes of a frame get lost.
    CutFrames,
    /// The connection drops again and again.
    Reconnect,
    /// The clock is wrong by minutes.
    ClockOffset,
    /// Every fifth frame is sent twice.
    Duplicates,
    /// Reports are missed, and filled in later.
    BackFill,
    /// One factor no longer moves.
    Stuck,
    /// Maintenance, calibration and faults are flagged.
    Flags,
    /// Frames end without CR LF.
    NoCrLf,
    /// The device id is no 24 hexadecimal digits.
    OddMn,
    /// Treatment falters: nitrogen oxides double from 9 to 12 o'clock.
    Exceeds,
    /// What it measures in three of five hours gets lost for good.
    LowCapture,
    /// It says nothing any more after twenty hours.
    Silent,
}

impl Fault {
    /// Faults of transmission, drawn at random.
    pub const ALL: [Self; 11] = [
        Self::WrongCrc,
        Self::Garbage,
        Self::CutFrames,
        Self::Reconnect,
        Self::ClockOffset,
        Self::Duplicates,
        Self::BackFill,
        Self::Stuck,
        Self::Flags,
        Self::NoCrLf,
        Self::OddMn,
    ];

    /// The word used in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrongCrc => "wrong-crc",
            Self::Garbage => "garbage",
            Self::CutFrames => "cut-frames",
            Self::Reconnect => "reconnect",
            Self::ClockOffset => "clock-offset",
            Self::Duplicates => "duplicates",
            Self::BackFill => "back-fill",
            Self::Stuck => "stuck",
            Self::Flags => "flags",
            Self::NoCrLf => "no-cr-lf",
            Self::OddMn => "odd-mn",
            Self::Exceeds => "exceeds",
            Self::LowCapture => "low-capture",
            Self::Silent => "silent",
        }
    }
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Number in the fleet, from 0.
    pub number: usize,
    /// Device id.
    pub mn: String,
    /// Edition of the standard: 2005, 2017 or 2025.
    pub edition: u16,
    /// Check that it writes: `hj212` or a dialect of the rulebook.
    pub crc: &'static str,
    /// It encrypts its data (2025).
    pub encrypted: bool,
    /// What it measures.
    pub kind: Kind,
    /// Seconds between real-time reports.
    pub rtd_s: i64,
    /// Minutes of a minute report.
    pub minutes: i64,
    /// How far its clock is ahead.
    pub clock_ahead_s: i64,
    /// What is wrong with it, if anything.
    pub fault: Option<Fault>,
    /// Seconds from the start that are history: it says nothing of what lies before, and means but
    /// no real-time values of what lies within.
    #[serde(skip)]
    pub history: (i64, i64),
    seed: u64,
}

impl Device {
    /// What the device does from `start` on, in order of time, without end.
    #[must_use]
    pub fn acts(&self, start: DateTime) -> Acts {
        Acts::new(self.clone(), start, Random::new(self.seed))
    }

    /// Where it stands: longitude and latitude in degrees (WGS 84), spread over the city without
    /// clumps (Roberts' R2 sequence).
    #[must_use]
    pub fn position(&self) -> (f64, f64) {
        let n = self.number as f64;
        let (x, y) = ((n * 0.754_877_67).fract(), (n * 0.569_840_29).fract());
        (117.92 + 0.24 * x, 39.88 + 0.18 * y)
    }
}

/// A fleet of devices from one seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fleet {
    /// The devices.
    pub devices: Vec<Device>,
}

impl Fleet {
    /// `count` devices: of ten, two speak 2005, five 2017 and three 2025; of the older ones each
    /// eighth uses another check; of the newest each second encrypts. Of ten, three have a fault.
    #[must_use]
    pub fn new(seed: u64, count: usize) -> Self {
        let mut r = Random::new(seed);
        let mut pick = |n: usize| (r.uniform() * n as f64) as usize;
        let devices = (0..count)
            .map(|number| {
                let edition =
                    [2005, 2005, 2017, 2017, 2017, 2017, 2017, 2025, 2025, 2025][pick(10)];
                let crc = match pick(8) {
                    0 if edition < 2025 => ["modbus-low-first", "modbus-high-first"][pick(2)],
                    _ => "hj212",
                };
                let encrypted = edition == 2025 && pick(2) == 0;
                let kind = [
                    Kind::Stack,
                    Kind::Stack,
                    Kind::Stack,
                    Kind::Outfall,
                    Kind::Outfall,
                    Kind::AirStation,
                    Kind::AirStation,
                    Kind::Voc,
                    Kind::Noise,
                ][pick(9)];
                let fault = (pick(10) < 3).then(|| Fault::ALL[pick(Fault::ALL.len())]);
                let mn = match fault {
                    Some(Fault::OddMn) => format!("SIM#{number:010}"),
                    _ => format!("51{seed:010X}{number:012X}"),
                };
                // An EPC-96 id has 24 digits; a longer seed is cut, not the number.
                let mn = if mn.len() > 24 {
                    format!("51{:010X}{number:012X}", seed & 0xFF_FFFF_FFFF)
                } else {
                    mn
                };
                let clock_ahead_s = match fault {
                    Some(Fault::ClockOffset) => [-3600, -540, 420, 7200][pick(4)],
                    _ => pick(5) as i64 - 2,
                };
                Device {
                    number,
                    mn,
                    edition,
                    crc,
                    encrypted,
                    kind,
                    rtd_s: 30,
                    minutes: 10,
                    clock_ahead_s,
                    fault,
                    history: (0, 0),
                    seed: seed.wrapping_mul(0x9e37_79b9).wrapping_add(number as u64),
                }
            })
            .collect();
        Self { devices }
    }

    /// The same fleet as a city's officers meet it: of the devices without a fault one stack exceeds
    /// its limits, one outlet loses most of its data and one falls silent.
    #[must_use]
    pub fn of_a_city(seed: u64, count: usize) -> Self {
        let mut fleet = Self::new(seed, count);
        for (fault, kinds) in [
            (Fault::Exceeds, [Kind::Stack, Kind::Stack]),
            (Fault::LowCapture, [Kind::Stack, Kind::Outfall]),
            (Fault::Silent, [Kind::Stack, Kind::Outfall]),
        ] {
            let fits = |d: &&mut Device| d.fault.is_none() && kinds.contains(&d.kind);
            if let Some(d) = fleet.devices.iter_mut().find(fits) {
                d.fault = Some(fault);
            }
        }
        fleet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_is_mixed_and_the_same_again() {
        let f = Fleet::new(7, 2000);
        assert_eq!(f, Fleet::new(7, 2000));
        assert_ne!(f, Fleet::new(8, 2000));
        for edition in [2005, 2017, 2025] {
            assert!(f.devices.iter().filter(|d| d.edition == edition).count() > 200);
        }
        for fault in Fault::ALL {
            assert!(
                f.devices.iter().any(|d| d.fault == Some(fault)),
                "{fault:?}"
            );
        }
        assert!(f.devices.iter().any(|d| d.encrypted));
        assert!(f.devices.iter().all(|d| !d.encrypted || d.edition == 2025));
        assert!(f.devices.iter().any(|d| d.crc == "modbus-low-first"));
        let mut ids: Vec<_> = f.devices.iter().map(|d| &d.mn).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 2000);
        let odd = |d: &&Device| d.fault != Some(Fault::OddMn);
        assert!(f.devices.iter().filter(odd).all(|d| d.mn.len() == 24));
        assert_eq!(Fleet::new(u64::MAX, 1).devices[0].mn.len(), 24);
    }
}
