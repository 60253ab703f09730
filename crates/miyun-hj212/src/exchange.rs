//! One request of a host, from the first sending to its result.
//!
//! The request is sent again after `OverTime` seconds without an answer, `ReCount` times; then the
//! link counts as unusable. Clauses: HJ 212-2017 6.1, 6.2 and table 1 (rulebook
//! `hj212/timeouts.toml`).

use crate::cn;
use crate::frame::Frame;

/// How long a host waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Milliseconds to an answer.
    pub over_time_ms: i64,
    /// Resends.
    pub re_count: u8,
    /// Milliseconds from 9011 to 9012.
    pub result_ms: i64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Do {
    /// Wait until this time, in the clock of the caller.
    Wait(i64),
    /// Send the request again, byte for byte.
    Resend,
    /// It is over.
    End(End),
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// 9012 came with this code (1 done).
    Result(u16),
    /// 9011 refused with this code.
    Refused(u16),
    /// 9013 came: a notice has no result.
    Noticed,
    /// Nothing came after all resends.
    NoAnswer,
    /// 9011 came and no result.
    NoResult,
}

/// Which answer ends the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sent { at: i64, resends: u8 },
    Taken { at: i64 },
    Over(End),
}

/// A request under way.
#[derive(Debug, Clone)]
pub struct Exchange {
    qn: String,
    cn: u16,
    patience: Patience,
    stage: Stage,
    /// Data frames that came for it.
    pub data_frames: u32,
}

impl Exchange {
    /// A request with request number `qn` and command `cn`, sent at `now_ms`.
    #[must_use]
    pub fn sent(qn: &str, cn: u16, now_ms: i64, patience: Patience) -> Self {
        Self {
            qn: qn.to_owned(),
            cn,
            patience,
            stage: Stage::Sent {
                at: now_ms,
                resends: 0,
            },
            data_frames: 0,
        }
    }

    /// Takes a frame of the device; true if it belongs to this exchange.
    pub fn take(&mut self, frame: &Frame<'_>, now_ms: i64) -> bool {
        let same = frame.qn() == Some(self.qn.as_str());
        let code = |name| {
            frame
                .global(name)
                .and_then(|v| v.parse::<u16>().ok())
                .unwrap_or(100)
        };
        match (frame.cn_number(), self.stage) {
            (_, Stage::Over(_)) => false,
            (Some(cn::REQUEST_ANSWER), Stage::Sent { .. }) if same => {
                self.stage = match code("QnRtn") {
                    1 => Stage::Taken { at: now_ms },
                    other => Stage::Over(End::Refused(other)),
                };
                true
            }
            (Some(cn::RESULT), _) if same => {
                self.stage = Stage::Over(End::Result(code("ExeRtn")));
                true
            }
            (Some(cn::NOTICE_ANSWER), _) if same => {
                self.stage = Stage::Over(End::Noticed);
                true
            }
            // Data of an answer carry the request's number, or one counted up from it.
            (Some(n), _) if n == self.cn => {
                self.data_frames += 1;
                if let Stage::Taken { at } = &mut self.stage {
                    *at = now_ms;
                }
                same
            }
            _ => false,
        }
    }

    /// What to do at `now_ms`; after [`Do::Resend`] the waiting begins anew.
    pub fn tick(&mut self, now_ms: i64) -> Do {
        match self.stage {
            Stage::Over(end) => Do::End(end),
            Stage::Sent { at, resends } => {
                let until = at.saturating_add(self.patience.over_time_ms);
                if now_ms < until {
                    Do::Wait(until)
                } else if resends < self.patience.re_count {
                    self.stage = Stage::Sent {
                        at: now_ms,
                        resends: resends + 1,
                    };
                    Do::Resend
                } else {
                    self.stage = Stage::Over(End::NoAnswer);
                    Do::End(End::NoAnswer)
                }
            }
            Stage::Taken { at } => {
                let until = at.saturating_add(self.patience.result_ms);
                if now_ms < until {
                    Do::Wait(until)
                } else {
                    self.stage = Stage::Over(End::NoResult);
                    Do::End(End::NoResult)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{AnswerTo, Outcome, RequestReturn};
    use crate::frame::decode;
    use crate::profile::DeviceProfile;

    const QN: &str = "20160801085857223";
    const PATIENCE: Patience = Patience {
        over_time_ms: 10_000,
        re_count: 3,
        result_ms: 60_000,
    };

    fn answer(bytes: &[u8], e: &mut Exchange, now: i64) -> bool {
        let mut plain = Vec::new();
        e.take(
            &decode(bytes, &DeviceProfile::default(), &mut plain).unwrap(),
            now,
        )
    }

    fn to(qn: &str) -> AnswerTo {
        AnswerTo {
            qn: qn.into(),
            pw: "123456".into(),
            mn: "A".into(),
        }
    }

    #[test]
    fn a_request_is_sent_again_three_times() {
        let mut e = Exchange::sent(QN, 3012, 0, PATIENCE);
        assert_eq!(e.tick(9_999), Do::Wait(10_000));
        for k in 1..=3 {
            assert_eq!(e.tick(k * 10_000), Do::Resend);
        }
        assert_eq!(e.tick(40_000), Do::End(End::NoAnswer));
    }

    #[test]
    fn taken_then_done() {
        let p = DeviceProfile::default();
        let mut e = Exchange::sent(QN, 3012, 0, PATIENCE);
        let other = to("20160801085857999")
            .request(RequestReturn::Ready, &p)
            .unwrap();
        assert!(!answer(&other, &mut e, 1));
        assert!(answer(
            &to(QN).request(RequestReturn::Ready, &p).unwrap(),
            &mut e,
            5
        ));
        assert_eq!(e.tick(50_000), Do::Wait(60_005));
        assert!(answer(
            &to(QN).result(Outcome::Done, &p).unwrap(),
            &mut e,
            6
        ));
        assert_eq!(e.tick(50_000), Do::End(End::Result(1)));
        let mut e = Exchange::sent(QN, 3012, 0, PATIENCE);
        assert!(answer(
            &to(QN).request(RequestReturn::BadPw, &p).unwrap(),
            &mut e,
            5
        ));
        assert_eq!(e.tick(6), Do::End(End::Refused(3)));
        let mut e = Exchange::sent(QN, 3012, 0, PATIENCE);
        answer(
            &to(QN).request(RequestReturn::Ready, &p).unwrap(),
            &mut e,
            5,
        );
        assert_eq!(e.tick(60_005), Do::End(End::NoResult));
    }
}
