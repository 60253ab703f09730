//! What a finding is.

use miyun_core::{IndicatorId, MethodVersion, SubjectId, Text};
use serde::{Deserialize, Serialize};

/// What kind of doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One value for longer than this series ever holds one.
    Stuck,
    /// Long at the lowest value of the series: below the detection limit, or stuck there.
    Floor,
    /// A part larger than the whole: PM2.5 above PM10.
    PartAboveWhole,
    /// One series equal to another, or an hour equal to the hour before at every station.
    Copied,
    /// Away and back within hours, farther than air goes, and the neighbours stay.
    Jump,
    /// Labels early or late against the neighbours.
    ClockShift,
    /// Numbers of another unit.
    Unit,
    /// The daily course is gone while the neighbours keep theirs.
    DiurnalLost,
    /// No values.
    Gap,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 9] = [
        Self::Stuck,
        Self::Floor,
        Self::PartAboveWhole,
        Self::Copied,
        Self::Jump,
        Self::ClockShift,
        Self::Unit,
        Self::DiurnalLost,
        Self::Gap,
    ];

    /// The word used in files and options.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Floor => "floor",
            Self::PartAboveWhole => "part-above-whole",
            Self::Copied => "copied",
            Self::Jump => "jump",
            Self::ClockShift => "clock-shift",
            Self::Unit => "unit",
            Self::DiurnalLost => "diurnal-lost",
            Self::Gap => "gap",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> Text {
        let (zh, en) = match self {
            Self::Stuck => ("数值不变", "stuck value"),
            Self::Floor => ("长时间处于最低值", "long at the lowest value"),
            Self::PartAboveWhole => ("倒挂（部分大于整体）", "part above whole"),
            Self::Copied => ("数值复制", "copied values"),
            Self::Jump => ("异常跳变", "impossible jump"),
            Self::ClockShift => ("时钟偏移", "clock shift"),
            Self::Unit => ("单位疑误", "unit confusion"),
            Self::DiurnalLost => ("日变化消失", "lost diurnal cycle"),
            Self::Gap => ("缺测", "gap"),
        };
        Text::new(zh, en)
    }
}

impl std::str::FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|k| k.as_str() == text)
            .ok_or_else(|| {
                format!(
                    "unknown kind {text:?}: use {}",
                    Self::ALL.map(Self::as_str).join(", ")
                )
            })
    }
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Worth knowing; good data can look like this.
    Note,
    /// Hard to explain with air; someone should look.
    Doubt,
    /// Cannot be true of the air.
    Fault,
}

impl Weight {
    /// The word used in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Doubt => "doubt",
            Self::Fault => "fault",
        }
    }
}

/// One doubt about some hours, with its reason. Never a deletion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// Whom it concerns.
    pub subject: SubjectId,
    /// Which indicator; `None` for all of the subject.
    pub indicator: Option<IndicatorId>,
    /// First hour, counted from the network's first day.
    pub first: usize,
    /// Last hour, included.
    pub last: usize,
    /// How much it weighs.
    pub weight: Weight,
    /// How many times the threshold that makes it a finding: 1 is just enough.
    pub score: f64,
    /// Why, with the numbers that made it.
    pub reason: Text,
    /// The method.
    pub method: MethodVersion,
}

impl Finding {
    pub(crate) fn new(
        kind: Kind,
        subject: &SubjectId,
        indicator: Option<&IndicatorId>,
        hours: (usize, usize),
    ) -> Self {
        Self {
            kind,
            subject: subject.clone(),
            indicator: indicator.cloned(),
            first: hours.0,
            last: hours.1,
            weight: Weight::Note,
            score: 1.0,
            reason: Text::new("", ""),
            method: MethodVersion {
                name: format!("miyun-forensics/{}", kind.as_str()),
                version: crate::VERSION.to_owned(),
            },
        }
    }

    pub(crate) fn weighs(mut self, weight: Weight, score: f64) -> Self {
        self.weight = weight;
        // Two decimals: enough to order findings by, and the same on every machine.
        self.score = (score * 100.0).round() / 100.0;
        self
    }

    pub(crate) fn because(mut self, zh: String, en: String) -> Self {
        self.reason = Text::new(zh, en);
        self
    }
}

/// A number with three significant digits at most, without trailing zeros.
pub(crate) fn short(v: f32) -> String {
    let v = f64::from(v);
    let text = match v.abs() {
        a if a >= 100.0 => format!("{v:.0}"),
        a if a >= 10.0 => format!("{v:.1}"),
        a if a >= 1.0 => format!("{v:.2}"),
        _ => format!("{v:.3}"),
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A stored value, exactly.
pub(crate) fn exact(raw: i64) -> String {
    miyun_core::Decimal::new(raw, miyun_core::observation::VALUE_SCALE)
        .normalize()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert!(!kind.name().zh.is_empty());
        }
        assert!("wrong".parse::<Kind>().unwrap_err().contains("clock-shift"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(1234.5), "1234");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(short(2.0), "2");
        assert_eq!(short(0.0421), "0.042");
        assert_eq!(exact(2_000_000), "2");
        assert_eq!(exact(285_600), "0.2856");
    }
}
