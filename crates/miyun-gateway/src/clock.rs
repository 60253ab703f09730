//! A clock that does not jump: wall time carried by the monotonic clock, so that a step of the
//! machine's time moves neither the order of frames nor the day of a published root.

use std::time::{Duration, Instant};

/// A difference between wall clock and carried clock that is drift, not a jump.
const DRIFT_MS: i64 = 2_000;
/// How long a jump must last before it is believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(600);

/// Reads the machine's wall clock, milliseconds since 1970 UTC.
#[must_use]
pub fn wall_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A jump of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// By how much, in milliseconds; negative backwards.
    pub by_ms: i64,
    /// True once it lasted long enough to be taken over.
    pub believed: bool,
}

/// Wall time carried by the monotonic clock.
#[derive(Debug)]
pub struct Clock {
    base_ms: i64,
    since: Instant,
    last_ms: i64,
    jumped: Option<Instant>,
}

impl Clock {
    /// A clock that starts at `wall_ms`, or at `not_before_ms` if that is later: a log never goes
    /// back behind its last batch.
    #[must_use]
    pub fn new(wall_ms: i64, not_before_ms: i64, now: Instant) -> Self {
        let base_ms = wall_ms.max(not_before_ms);
        Self {
            base_ms,
            since: now,
            last_ms: base_ms,
            jumped: None,
        }
    }

    /// The time at `now`; never less than a time that it gave before.
    pub fn at(&mut self, now: Instant) -> i64 {
        let t = self.base_ms + millis(now.saturating_duration_since(self.since));
        self.last_ms = self.last_ms.max(t);
        self.last_ms
    }

    /// Compares with the wall clock; to be called about once a second. Small differences are taken
    /// over, a jump only after it has lasted ten minutes.
    pub fn compare(&mut self, wall_ms: i64, now: Instant) -> Option<Jump> {
        let carried = self.base_ms + millis(now.saturating_duration_since(self.since));
        let by_ms = wall_ms - carried;
        if by_ms.abs() <= DRIFT_MS {
            (self.base_ms, self.since, self.jumped) = (wall_ms, now, None);
            return None;
        }
        match self.jumped {
            None => {
                self.jumped = Some(now);
                Some(Jump {
                    by_ms,
                    believed: false,
                })
            }
            Some(first) if now.saturating_duration_since(first) >= BELIEVED_AFTER => {
                (self.base_ms, self.since, self.jumped) = (wall_ms, now, None);
                Some(Jump {
                    by_ms,
                    believed: true,
                })
            }
            Some(_) => None,
        }
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_moves_nothing_until_it_lasts() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut c = Clock::new(1_000_000, 0, start);
        assert_eq!(c.at(at(1)), 1_001_000);
        // The wall clock says a year later.
        let year = 31_536_000_000;
        let j = c.compare(1_002_000 + year, at(2)).unwrap();
        assert_eq!((j.by_ms, j.believed), (year, false));
        assert_eq!(c.at(at(3)), 1_003_000);
        assert_eq!(c.compare(1_004_000 + year, at(4)), None, "said once");
        assert!(c.compare(1_700_000 + year, at(700)).unwrap().believed);
        assert!(c.at(at(701)) > year);
        // And backwards: time stands, it never goes back.
        let before = c.at(at(702));
        c.compare(1_703_000, at(703)).unwrap();
        c.compare(2_400_000, at(1_400)).unwrap();
        assert!(c.at(at(1_401)) >= before);
    }

    #[test]
    fn it_does_not_start_behind_the_log() {
        let now = Instant::now();
        assert_eq!(Clock::new(5, 9, now).at(now), 9);
    }
}
