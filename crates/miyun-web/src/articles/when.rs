//! How long ago something was, in words.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use miyun_core::text::Lang;

/// How long before `now` something was: `3 小时前`, `3 hours ago`; nothing beyond a month, where the
/// date says more.
#[must_use]
pub fn ago(lang: Lang, then: Timestamp, now: Timestamp) -> Option<String> {
    let seconds = now.as_second() - then.as_second();
    let say = |n: i64, zh: &str, en: &str| match lang {
        Lang::Zh => format!("{n} {zh}前"),
        Lang::En if n == 1 => format!("1 {en} ago"),
        Lang::En => format!("{n} {en}s ago"),
    };
    Some(match seconds {
        s if s < -60 => return None,
        s if s < 60 => match lang {
            Lang::Zh => "刚刚".into(),
            Lang::En => "just now".into(),
        },
        s if s < 3_600 => say(s / 60, "分钟", "minute"),
        s if s < 86_400 => say(s / 3_600, "小时", "hour"),
        s if s < 30 * 86_400 => say(s / 86_400, "天", "day"),
        _ => return None,
    })
}

/// Wall time in UTC+8.
#[must_use]
pub fn local(t: Timestamp) -> DateTime {
    Offset::constant(8).to_datetime(t)
}

/// Day and minute in UTC+8: `2026-11-23 08:30 (UTC+8)`.
#[must_use]
pub fn exact(t: Timestamp) -> String {
    format!("{} (UTC+8)", local(t).strftime("%Y-%m-%d %H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        let t = |s: &str| s.parse::<Timestamp>().unwrap();
        let now = t("2026-11-24T12:00:00Z");
        let of = |lang, s| ago(lang, t(s), now).unwrap_or_default();
        assert_eq!(of(Lang::En, "2026-11-24T11:59:30Z"), "just now");
        assert_eq!(of(Lang::Zh, "2026-11-24T11:15:00Z"), "45 分钟前");
        assert_eq!(of(Lang::En, "2026-11-24T11:00:00Z"), "1 hour ago");
        assert_eq!(of(Lang::En, "2026-11-21T12:00:00Z"), "3 days ago");
        assert_eq!(of(Lang::Zh, "2026-09-30T20:00:00Z"), "");
        assert_eq!(of(Lang::En, "2026-12-01T00:00:00Z"), "");
        assert_eq!(exact(t("2026-11-23T00:30:00Z")), "2026-11-23 08:30 (UTC+8)");
    }
}
