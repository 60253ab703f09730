//! Commands of the host to its devices. A request is in the journal, with who asked and why, before
//! the first byte goes out; so is what became of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::civil::DateTime;
use miyun_hj212::{Command, Message, Qn, Stamp, cn};
use serde::{Deserialize, Serialize};

use crate::GatewayError;
use crate::journal::Journal;
use crate::registry::Property;
use crate::server::{Caller, Follow, paths};

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Set the logger's clock to the gateway's time.
    SetClock,
    /// Read the logger's clock.
    ReadClock,
    /// Fetch minute data.
    Minutes {
        /// First interval, local time `YYYYMMDDhhmmss`.
        from: String,
        /// Last interval.
        to: String,
    },
    /// Fetch hour data.
    Hours {
        /// First interval.
        from: String,
        /// Last interval.
        to: String,
    },
    /// Zero and span calibration of an instrument.
    Calibrate {
        /// Factor code.
        factor: String,
    },
    /// Take a sample at once.
    Sample {
        /// Factor code.
        factor: String,
    },
}

impl Ask {
    fn command(&self, now: DateTime) -> Result<Command, String> {
        let stamp = |t: &str| Stamp::parse(t).ok_or_else(|| format!("{t:?}: write 20260301080000"));
        let factor = |f: &str| {
            if (1..=32).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_alphanumeric()) {
                Ok(f.to_owned())
            } else {
                Err(format!("{f:?} is no factor code"))
            }
        };
        Ok(match self {
            Self::SetClock => Command::SetClock {
                factor: None,
                to: Stamp(now),
            },
            Self::ReadClock => Command::ReadClock { factor: None },
            Self::Minutes { from, to } => Command::Fetch {
                cn: cn::MINUTE,
                from: stamp(from)?,
                to: stamp(to)?,
            },
            Self::Hours { from, to } => Command::Fetch {
                cn: cn::HOUR,
                from: stamp(from)?,
                to: stamp(to)?,
            },
            Self::Calibrate { factor: f } => Command::Calibrate { factor: factor(f)? },
            Self::Sample { factor: f } => Command::Sample { factor: factor(f)? },
        })
    }

    /// Checks what was asked.
    ///
    /// # Errors
    /// What is wrong and what to write.
    pub fn check(&self) -> Result<(), String> {
        self.command(jiff::civil::date(2026, 1, 1).at(0, 0, 0, 0))
            .map(drop)
    }
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Number of the request: who makes it up keeps it unique (time and MN do).
    pub id: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// A person asks.
    Asked {
        /// Who.
        by: String,
        /// Why.
        why: String,
        /// The device.
        mn: String,
        /// What.
        #[serde(flatten)]
        ask: Ask,
    },
    /// It was sent, `times` times so far.
    Sent {
        /// Request number.
        qn: String,
        /// How often.
        times: u32,
    },
    /// The device answered 9011.
    Answered {
        /// QnRtn; 1 is "will execute".
        qn_rtn: u16,
    },
    /// It is over.
    Done {
        /// ExeRtn of 9012, if one came.
        exe_rtn: Option<u16>,
        /// In words.
        words: String,
    },
}

/// Appends a request; the running gateway takes it from the journal.
///
/// # Errors
/// [`GatewayError`] if it asks for something that cannot be, or the disk refuses.
pub fn ask(
    dir: &Path,
    at_ms: i64,
    by: &str,
    why: &str,
    mn: &str,
    ask: Ask,
) -> Result<String, GatewayError> {
    ask.check()
        .map_err(|r| GatewayError::setting("command", r))?;
    if by.trim().is_empty() {
        return Err(GatewayError::setting("by", "say who asks"));
    }
    let id = format!("{at_ms}-{mn}");
    let mut journal: Journal<Line> = Journal::open(&paths::commands(dir))?;
    journal.append(&[Line {
        at_ms,
        id: id.clone(),
        what: What::Asked {
            by: by.to_owned(),
            why: why.to_owned(),
            mn: mn.to_owned(),
            ask,
        },
    }])?;
    Ok(id)
}

/// Everything in the journal.
///
/// # Errors
/// [`GatewayError`] if it cannot be read.
pub fn history(dir: &Path) -> Result<Vec<Line>, GatewayError> {
    Journal::open(&paths::commands(dir))?.news()
}

/// How long to wait, how often to send again; from the rulebook (2017 table 1).
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until an answer.
    pub answer: Duration,
    /// Resends.
    pub resends: u32,
    /// From the answer to the result.
    pub result: Duration,
}

struct Open {
    device: u64,
    qn: String,
    bytes: Vec<u8>,
    sent: u32,
    at_ms: i64,
    answered: bool,
}

/// Carries requests out until `stop`.
pub fn run(dir: &Path, follow: &Follow, caller: &Caller, patience: Patience, stop: &AtomicBool) {
    let mut journal: Journal<Line> = match Journal::open(&paths::commands(dir)) {
        Ok(j) => j,
        Err(e) => {
            tracing::error!("{e}");
            return;
        }
    };
    let mut open: HashMap<String, Open> = HashMap::new();
    let mut asked: Vec<Line> = Vec::new();
    let mut ended: std::collections::HashSet<String> = std::collections::HashSet::new();
    let mut first = true;
    while !stop.load(Ordering::Acquire) {
        match journal.news() {
            Ok(news) => {
                for l in news {
                    match &l.what {
                        What::Asked { .. } => asked.push(l),
                        What::Done { .. } => {
                            ended.insert(l.id.clone());
                        }
                        _ => {}
                    }
                }
            }
            Err(e) => tracing::error!("{e}"),
        }
        asked.retain(|l| !ended.contains(&l.id));
        let now = follow.clock.now_ms();
        let mut lines: Vec<Line> = Vec::new();
        let mut done = |id: &str, exe_rtn, words: String, lines: &mut Vec<Line>| {
            ended.insert(id.to_owned());
            lines.push(Line {
                at_ms: now,
                id: id.to_owned(),
                what: What::Done { exe_rtn, words },
            });
        };
        for l in std::mem::take(&mut asked) {
            if first {
                // Asked before the restart: nobody knows whether it went out.
                done(
                    &l.id,
                    None,
                    "the gateway was restarted; ask again".into(),
                    &mut lines,
                );
                continue;
            }
            match begin(&l, follow, caller, now) {
                Ok(o) => {
                    lines.push(Line {
                        at_ms: now,
                        id: l.id.clone(),
                        what: What::Sent {
                            qn: o.qn.clone(),
                            times: 1,
                        },
                    });
                    open.insert(l.id, o);
                }
                Err(words) => done(&l.id, None, words, &mut lines),
            }
        }
        first = false;
        // Listening before anything is sent: a near device answers at once.
        follow.hearing.listen(!open.is_empty());
        // On disk first, then on the wire.
        if !lines.is_empty() {
            if let Err(e) = journal.append(&lines) {
                tracing::error!("{e}");
                std::thread::sleep(Duration::from_secs(1));
                continue;
            }
            for o in open.values_mut().filter(|o| o.sent == 0) {
                o.sent = 1;
                let _ = caller.send(o.device, o.bytes.clone());
            }
            lines.clear();
        }
        for h in follow.hearing.take() {
            let Some((id, o)) = open
                .iter_mut()
                .find(|(_, o)| o.device == h.device && o.qn == h.qn)
            else {
                continue;
            };
            let code = |name: &str| {
                h.region
                    .split([';', ','])
                    .find_map(|t| t.strip_prefix(name)?.strip_prefix('=')?.parse::<u16>().ok())
            };
            let mut over = None;
            match h.cn {
                cn::REQUEST_ANSWER => {
                    let qn_rtn = code("QnRtn").unwrap_or(100);
                    (o.answered, o.at_ms) = (true, now);
                    lines.push(Line {
                        at_ms: now,
                        id: id.clone(),
                        what: What::Answered { qn_rtn },
                    });
                    if qn_rtn != 1 {
                        over = Some((None, format!("refused: QnRtn={qn_rtn}")));
                    }
                }
                cn::RESULT => {
                    let exe = code("ExeRtn").unwrap_or(100);
                    over = Some((Some(exe), format!("ExeRtn={exe}")));
                }
                cn::CLOCK => {
                    lines.push(Line {
                        at_ms: now,
                        id: id.clone(),
                        what: What::Done {
                            exe_rtn: None,
                            words: h.region.chars().take(200).collect(),
                        },
                    });
                    o.at_ms = now;
                }
                _ => {}
            }
            if let Some((exe_rtn, words)) = over {
                let id = id.clone();
                open.remove(&id);
                done(&id, exe_rtn, words, &mut lines);
            }
        }
        for (id, o) in &mut open {
            let waited = Duration::from_millis(u64::try_from(now - o.at_ms).unwrap_or(0));
            if o.answered && waited >= patience.result {
                done(id, None, "9011 came, no result".into(), &mut lines);
            } else if !o.answered && waited >= patience.answer {
                if o.sent > patience.resends {
                    done(
                        id,
                        None,
                        format!(
                            "no answer after {} sendings; the link counts as unusable",
                            o.sent
                        ),
                        &mut lines,
                    );
                } else {
                    o.sent += 1;
                    o.at_ms = now;
                    lines.push(Line {
                        at_ms: now,
                        id: id.clone(),
                        what: What::Sent {
                            qn: o.qn.clone(),
                            times: o.sent,
                        },
                    });
                    let _ = caller.send(o.device, o.bytes.clone());
                }
            }
        }
        open.retain(|id, _| !ended.contains(id));
        if !lines.is_empty()
            && let Err(e) = journal.append(&lines)
        {
            tracing::error!("{e}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn begin(l: &Line, follow: &Follow, caller: &Caller, now_ms: i64) -> Result<Open, String> {
    let What::Asked { mn, ask, .. } = &l.what else {
        return Err("no request".into());
    };
    let device = follow.registry.find(mn).ok_or("no such device")?;
    if !caller.online(device.number) {
        return Err("the device is not connected".into());
    }
    let local =
        jiff::Timestamp::from_millisecond(now_ms + i64::from(follow.utc_offset_minutes) * 60_000)
            .map_err(|e| e.to_string())?;
    let now = jiff::tz::TimeZone::UTC.to_datetime(local);
    let st = follow
        .state
        .device(device.number)
        .map(|s| s.st)
        .filter(|s| !s.is_empty());
    let qn = Qn::new(now);
    let message: Message = ask.command(now)?.message(
        st.as_deref().unwrap_or("31"),
        mn,
        device.at(&Property::Password, now_ms).unwrap_or("123456"),
        qn,
    );
    let bytes = message
        .encode_whole(&device.profile(now_ms))
        .map_err(|e| e.to_string())?;
    Ok(Open {
        device: device.number,
        qn: qn.to_string(),
        bytes,
        sent: 0,
        at_ms: now_ms,
        answered: false,
    })
}
