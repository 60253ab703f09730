//! What a host asks of a device, typed; written by hosts and read by devices.
//!
//! Clauses: HJ 212-2017 table 9 and annex C.1 to C.46; 1002 and 1014 by HJ 212-2025.

use crate::cn;
use crate::encode::{Message, Region};
use crate::frame::Frame;
use crate::time::{Qn, Stamp};

/// A host's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Timeout in seconds and number of resends.
    SetTimeout {
        /// Seconds, 1 to 99.
        over_time_s: u8,
        /// Resends, 1 to 99.
        re_count: u8,
    },
    /// Give a device its MN (2025): the MN of the message is the new one, and the region names the
    /// logger by its id (by one public implementation; the text of 2025 was not read).
    SetMn {
        /// Id of the logger, as it said in its 1001.
        logger: Option<String>,
    },
    /// Read the clock of the logger, or of one instrument.
    ReadClock {
        /// Factor of the instrument.
        factor: Option<String>,
    },
    /// Set the clock of the logger, or of one instrument.
    SetClock {
        /// Factor of the instrument.
        factor: Option<String>,
        /// The time.
        to: Stamp,
    },
    /// Change the SM4 key (2025).
    NewKey {
        /// Time of creation.
        created: Stamp,
        /// The key, as text.
        key: String,
    },
    /// Interval of real-time data in seconds.
    SetRtdInterval(u16),
    /// Interval of minute data in minutes.
    SetMinInterval(u8),
    /// Start real-time data.
    StartRealTime,
    /// Stop real-time data.
    StopRealTime,
    /// Data of a span: `cn` is 2051 minutes, 2061 hours, 2031 days or 2041 running hours.
    Fetch {
        /// Command code.
        cn: u16,
        /// First interval.
        from: Stamp,
        /// Last interval.
        to: Stamp,
    },
    /// Zero and span calibration of one instrument.
    Calibrate {
        /// Factor.
        factor: String,
    },
    /// Sample at once.
    Sample {
        /// Factor.
        factor: String,
    },
    /// Clean or blow back.
    Clean {
        /// Factor.
        factor: String,
    },
    /// Keep a sample because a limit is exceeded.
    KeepSample,
    /// Read the identity of an instrument.
    Identity {
        /// Factor.
        factor: String,
    },
    /// Read information of the site.
    Info {
        /// Factor.
        factor: String,
        /// Information code.
        info: String,
    },
    /// Another command with its region.
    Other {
        /// Command code.
        cn: u16,
        /// Region as text.
        region: String,
    },
}

impl Command {
    /// Its command code.
    #[must_use]
    pub fn cn(&self) -> u16 {
        match self {
            Self::SetTimeout { .. } => cn::SET_TIMEOUT,
            Self::SetMn { .. } => cn::SET_MN,
            Self::ReadClock { .. } => cn::CLOCK,
            Self::SetClock { .. } => cn::SET_CLOCK,
            Self::NewKey { .. } => cn::NEW_KEY,
            Self::SetRtdInterval(_) => cn::SET_RTD_INTERVAL,
            Self::SetMinInterval(_) => cn::SET_MIN_INTERVAL,
            Self::StartRealTime => cn::REAL_TIME,
            Self::StopRealTime => cn::STOP_REAL_TIME,
            Self::Fetch { cn, .. } | Self::Other { cn, .. } => *cn,
            Self::Calibrate { .. } => cn::CALIBRATE,
            Self::Sample { .. } => cn::SAMPLE,
            Self::Clean { .. } => cn::CLEAN,
            Self::KeepSample => cn::KEEP_SAMPLE,
            Self::Identity { .. } => cn::IDENTITY,
            Self::Info { .. } => cn::INFO,
        }
    }

    fn region(&self) -> Region {
        let empty = Region::new();
        match self {
            Self::SetTimeout {
                over_time_s,
                re_count,
            } => empty
                .item("OverTime", over_time_s)
                .item("ReCount", re_count),
            Self::SetMn { logger } => match logger {
                Some(id) => empty.item("i23005-Info", id),
                None => empty,
            },
            Self::ReadClock { factor } => match factor {
                Some(f) => empty.item("PolId", f),
                None => empty,
            },
            Self::SetClock { factor, to } => match factor {
                Some(f) => empty.item("PolId", f),
                None => empty,
            }
            .item("SystemTime", to),
            Self::NewKey { created, key } => empty.item("SKCreateTime", created).item("NewSK", key),
            Self::SetRtdInterval(s) => empty.item("RtdInterval", s),
            Self::SetMinInterval(m) => empty.item("MinInterval", m),
            Self::StartRealTime | Self::StopRealTime | Self::KeepSample => empty,
            Self::Fetch { from, to, .. } => empty.item("BeginTime", from).item("EndTime", to),
            Self::Calibrate { factor }
            | Self::Sample { factor }
            | Self::Clean { factor }
            | Self::Identity { factor } => empty.item("PolId", factor),
            Self::Info { factor, info } => empty.item("PolId", factor).item("InfoId", info),
            Self::Other { region, .. } => Region::from_text(region),
        }
    }

    /// The request as a message to device `mn` of system `st`.
    #[must_use]
    pub fn message(&self, st: &str, mn: &str, pw: &str, qn: Qn) -> Message {
        let mut message = Message::new(st, self.cn(), mn)
            .qn(qn)
            .pw(pw)
            .ack(true)
            .region(self.region());
        message.down = true;
        message
    }

    /// The request in a host's frame; `None` if the frame is an answer, has no command code, or
    /// lacks what its command needs.
    #[must_use]
    pub fn read(frame: &Frame<'_>) -> Option<Self> {
        let number = frame.cn_number().filter(|n| !cn::is_answer(*n))?;
        let text = |name: &str| frame.global(name).map(str::to_owned);
        let time = |name: &str| frame.global(name).and_then(Stamp::parse);
        let factor = || text("PolId");
        Some(match number {
            cn::SET_TIMEOUT => Self::SetTimeout {
                over_time_s: frame.global("OverTime")?.parse().ok()?,
                re_count: frame.global("ReCount")?.parse().ok()?,
            },
            cn::SET_MN => Self::SetMn {
                logger: text("i23005-Info"),
            },
            cn::CLOCK => Self::ReadClock { factor: factor() },
            cn::SET_CLOCK => Self::SetClock {
                factor: factor(),
                to: time("SystemTime")?,
            },
            cn::NEW_KEY => Self::NewKey {
                // Seen with 17 digits as well.
                created: frame
                    .global("SKCreateTime")
                    .and_then(|t| Stamp::parse(t.get(..14).unwrap_or(t)))?,
                key: text("NewSK")?,
            },
            cn::SET_RTD_INTERVAL => {
                Self::SetRtdInterval(frame.global("RtdInterval")?.parse().ok()?)
            }
            cn::SET_MIN_INTERVAL => {
                Self::SetMinInterval(frame.global("MinInterval")?.parse().ok()?)
            }
            cn::REAL_TIME => Self::StartRealTime,
            cn::STOP_REAL_TIME => Self::StopRealTime,
            cn::MINUTE | cn::HOUR | cn::DAY | cn::RUN_DAY => Self::Fetch {
                cn: number,
                from: time("BeginTime")?,
                to: time("EndTime")?,
            },
            cn::CALIBRATE => Self::Calibrate { factor: factor()? },
            cn::SAMPLE => Self::Sample { factor: factor()? },
            cn::CLEAN => Self::Clean { factor: factor()? },
            cn::KEEP_SAMPLE => Self::KeepSample,
            cn::IDENTITY => Self::Identity { factor: factor()? },
            cn::INFO => Self::Info {
                factor: factor()?,
                info: text("InfoId")?,
            },
            _ => Self::Other {
                cn: number,
                region: frame.region().to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::decode;
    use crate::profile::{DeviceProfile, Edition};

    #[test]
    fn what_a_host_writes_a_device_reads() {
        let at = |t| Stamp::parse(t).unwrap();
        let all = [
            Command::SetTimeout {
                over_time_s: 5,
                re_count: 3,
            },
            Command::SetMn {
                logger: Some("LOGGER-7".into()),
            },
            Command::SetMn { logger: None },
            Command::ReadClock { factor: None },
            Command::ReadClock {
                factor: Some("w01018".into()),
            },
            Command::SetClock {
                factor: None,
                to: at("20160801085857"),
            },
            Command::NewKey {
                created: at("20260801085857"),
                key: "0011".into(),
            },
            Command::SetRtdInterval(30),
            Command::SetMinInterval(10),
            Command::StartRealTime,
            Command::StopRealTime,
            Command::Fetch {
                cn: 2061,
                from: at("20160801080000"),
                to: at("20160801100000"),
            },
            Command::Calibrate {
                factor: "w01018".into(),
            },
            Command::Sample {
                factor: "w01018".into(),
            },
            Command::Clean {
                factor: "w01018".into(),
            },
            Command::KeepSample,
            Command::Identity {
                factor: "w01018".into(),
            },
            Command::Info {
                factor: "w01018".into(),
                info: "i13004".into(),
            },
            Command::Other {
                cn: 3017,
                region: "PolId=w01018".into(),
            },
        ];
        let profile = DeviceProfile::of(Edition::E2017);
        let qn = Qn::parse("20160801085857223").unwrap();
        for c in all {
            let bytes = c
                .message("32", "010000A8900016F000169DC0", "123456", qn)
                .encode_whole(&profile)
                .unwrap();
            let mut plain = Vec::new();
            let f = decode(&bytes, &profile, &mut plain).unwrap();
            assert!(f.check().is_empty(), "{:?}", f.report());
            assert_eq!(Command::read(&f), Some(c));
        }
    }

    #[test]
    fn of_a_hosts_requests_only_the_new_key_is_encrypted() {
        let mut profile = DeviceProfile::of(Edition::E2025);
        profile.keys = crate::sm4::Keys::one(crate::sm4::Key::new([3; 16]));
        let qn = Qn::parse("20260801085857223").unwrap();
        let at = Stamp::parse("20260801080000").unwrap();
        let sealed = |c: Command| {
            let bytes = c
                .message("32", "A", "1", qn)
                .encode_whole(&profile)
                .unwrap();
            let mut plain = Vec::new();
            let f = decode(&bytes, &profile, &mut plain).unwrap();
            assert_eq!(Command::read(&f), Some(c));
            assert!(!f.check().has(crate::FindingCode::UnencryptedRegion));
            f.cipher.is_some()
        };
        assert!(sealed(Command::NewKey {
            created: at,
            key: "00112233445566778899AABBCCDDEEFF".into()
        }));
        assert!(!sealed(Command::Fetch {
            cn: 2061,
            from: at,
            to: at
        }));
    }
}
