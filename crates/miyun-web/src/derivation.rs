//! Derivations in the reader's language.
//!
//! A trace says in English what was done; its words are part of what the figure's id is a digest of.
//! Here each kind of sentence has its Chinese twin. What stands in its places (a statistic, an
//! indicator, a unit, a way of rounding) is named by the catalogue.

use miyun_core::text::Lang;

use crate::show;

/// Sentences with places, in both languages: `{1}` is the second place as it stands,
/// `{1:statistic}` what the catalogue calls it. The first that fits is taken.
const SENTENCES: [(&str, &str); 46] = [
    // What was done.
    ("days by level", "各级别的天数，自一级起"),
    ("days of level 1 and 2", "一级和二级的天数"),
    ("days of level 5 and 6", "五级和六级的天数"),
    (
        "good days in percent of published days",
        "优良天数占已发布天数的百分比",
    ),
    (
        "daily values: mean over {} stations",
        "日值：{0} 个站点的平均",
    ),
    ("{} of each day", "每一天的{0:statistic}"),
    ("mean of {} days", "{0} 天的平均"),
    (
        "percentile {}: rank 1 + ({} - 1) x {} / 100, linear between neighbours",
        "第 {0} 百分位数：序位 1 + ({1} − 1) × {2} / 100，相邻两值之间线性内插",
    ),
    (
        "rounded {} to {} decimals",
        "按“{0:rounding}”修约到 {1} 位小数",
    ),
    ("compared with {}", "与 {0:quantity} 比较"),
    ("hours 0 to 23", "0 时至 23 时"),
    ("mean of {} hours = {} / {}", "{0} 个小时的平均 = {1} / {2}"),
    ("highest hour", "最高的一小时"),
    (
        "highest of {} valid 8-hour windows = {} / {}",
        "{0} 个有效的 8 小时滑动平均中最高的 = {1} / {2}",
    ),
    ("mean of {} stations", "{0} 个站点的平均"),
    (
        "sub-index, interpolated and rounded up",
        "分指数：内插，向上取整",
    ),
    (
        "outlets with a usable hour value in the last 24 hours of data",
        "最近 24 小时数据中有可用小时值的排放口",
    ),
    (
        "usable hour values of all outlets and limited indicators, each from its first value on",
        "全部排放口有限值的指标的可用小时值，各自从第一个值算起",
    ),
    ("{}: hours above the limit", "{0}：超过限值的小时数"),
    // What came of it.
    ("{} valid days", "{0} 个有效日"),
    ("not above, {} to spare", "未超过，余 {0}"),
    ("above by {}", "超过 {0}"),
    ("no valid day", "没有有效日"),
    // What the rules say.
    (
        "{} {}: percentile {} of {}",
        "{0:indicator} {1:statistic}：{3:statistic}的第 {2} 百分位数",
    ),
    (
        "{} {}: mean of {}",
        "{0:indicator} {1:statistic}：{2:statistic}的平均",
    ),
    (
        "{} {}: at least {}, fewer if above the limit",
        "{0:indicator} {1:statistic}：至少 {2} 个，超过限值时可以更少",
    ),
    (
        "{} {}: at least {}",
        "{0:indicator} {1:statistic}：至少 {2} 个",
    ),
    (
        "at least {} valid days in the year",
        "一年至少 {0} 个有效日",
    ),
    (
        "at least {} valid days in the month",
        "一个月至少 {0} 个有效日",
    ),
    (
        "at least {} valid days in the February",
        "二月至少 {0} 个有效日",
    ),
    ("{} decimals, {}", "{0} 位小数，{1:rounding}"),
    (
        "{} {}, class {}, stage {}: {}",
        "{0:indicator} {1:statistic}，{2} 类区，{3} 阶段：{4:quantity}",
    ),
    (
        "{} {}, class {}: {}",
        "{0:indicator} {1:statistic}，{2} 类区：{3:quantity}",
    ),
    (
        "mean of the stations without control stations, a day needs {} % of them",
        "除对照点外各站点的平均，一天要有其中 {0} % 的站点",
    ),
    ("level {} {}: from {}", "{0} 级：自 {2} 起"),
    (
        "sub-indices by interpolation, rounded up; the index is the largest",
        "分指数由内插得到，向上取整；指数取其中最大的",
    ),
    ("at least {}", "至少 {0} 个"),
    ("class {}: {}", "{0} 类区：{1:quantity}"),
    ("{} points", "{0} 个断点"),
    ("{} hourly-mean: {}", "{0:indicator} 小时均值：{1:quantity}"),
    // What is missing, what was declared.
    ("{} days without a published index", "{0} 天没有发布指数"),
    ("{}: {} of {} days", "{0}：{2} 天中有 {1} 天"),
    (
        "edition: {} (law as of {})",
        "版本：{0}（依 {1} 当日的规定）",
    ),
    ("as known on {}", "截至 {0} 所知"),
    (
        "SIMULATED: made by a simulator, measured nowhere",
        "模拟：由模拟器生成，不是任何地方的监测结果",
    ),
    ("simulated", "模拟数据"),
];

/// How labels of hours were read, which stands before a zone of any kind.
const LABELS: [(&str, &str); 2] = [("hour-begin", "小时开始"), ("hour-end", "小时结束")];

/// A sentence of a trace in the reader's language; `None` if it has no twin and stays as it is.
#[must_use]
pub fn sentence(lang: Lang, text: &str) -> Option<String> {
    if lang == Lang::En {
        return Some(quantity(lang, text));
    }
    // Numbers, ids and lists of values read the same in every language.
    if !text.contains(|c: char| c.is_ascii_lowercase()) {
        return Some(text.to_owned());
    }
    if let Some(rest) = text.strip_prefix("labels read as ") {
        let (label, zone) = rest.split_once(", ")?;
        let name = LABELS.iter().find(|l| l.0 == label)?.1;
        return Some(format!("时刻标签读作{name}，{zone}"));
    }
    for (en, zh) in SENTENCES {
        if let Some(places) = places(en, text) {
            return Some(fill(zh, &places));
        }
    }
    if let Some((have, all)) = text.split_once(" of ")
        && is_number(have)
        && is_number(all)
    {
        return Some(format!("{all} 中有 {have}"));
    }
    let (number, _) = text.rsplit_once(' ')?;
    is_number(number).then(|| quantity(lang, text))
}

fn is_number(text: &str) -> bool {
    text.parse::<miyun_core::Decimal>().is_ok()
}

/// What stands in the places of a sentence, if it is one of that kind.
fn places<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let parts: Vec<&str> = parts.collect();
    let mut out = Vec::with_capacity(parts.len());
    for (k, part) in parts.iter().enumerate() {
        let last = k + 1 == parts.len();
        let at = match (last, part.is_empty()) {
            (true, true) => rest.len(),
            (true, false) => rest.len().checked_sub(part.len())?,
            (false, _) => rest.find(part)?,
        };
        if !rest.is_char_boundary(at) || !rest[at..].starts_with(part) || at == 0 {
            return None;
        }
        out.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(out)
}

fn fill(pattern: &str, places: &[&str]) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (place, tail) = after.split_once('}').unwrap_or((after, ""));
        let (number, kind) = place.split_once(':').unwrap_or((place, ""));
        let text = number
            .parse::<usize>()
            .ok()
            .and_then(|n| places.get(n))
            .copied()
            .unwrap_or("");
        out.push_str(&match kind {
            "statistic" => show::statistic(Lang::Zh, text),
            "indicator" => show::indicator(Lang::Zh, text),
            "quantity" => quantity(Lang::Zh, text),
            "rounding" => rounding(text).to_owned(),
            _ => text.to_owned(),
        });
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// A number with its unit as people write it; anything else as it stands.
fn quantity(lang: Lang, text: &str) -> String {
    match text.rsplit_once(' ') {
        Some((number, unit)) if is_number(number) => format!("{number} {}", show::unit(lang, unit))
            .trim_end()
            .to_owned(),
        _ => text.to_owned(),
    }
}

fn rounding(id: &str) -> &str {
    match id {
        "half-even" => "四舍六入五成双",
        "half-up" => "四舍五入",
        "ceiling" => "向上取整",
        "truncate" => "截去",
        other => other,
    }
}

/// What part a rule played, in the reader's language.
#[must_use]
pub fn role(lang: Lang, id: &str) -> &str {
    let zh = match id {
        "limit" => "限值",
        "validity" => "有效性",
        "daily validity" => "日值有效性",
        "annual validity" => "年值有效性",
        "rounding" => "修约",
        "statistic" => "统计量",
        "breakpoints" => "分指数",
        "level" => "级别",
        "reference-state" => "参比状态",
        "city" => "城市均值",
        other => other,
    };
    crate::shell::tr(lang, zh, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_their_twins() {
        let zh = |t: &str| sentence(Lang::Zh, t).unwrap_or_else(|| format!("?{t}"));
        assert_eq!(zh("mean of 366 days"), "366 天的平均");
        assert_eq!(zh("34.2 ug/m3"), "34.2 µg/m³");
        assert_eq!(zh("compared with 35 ug/m3"), "与 35 µg/m³ 比较");
        assert_eq!(
            zh("rounded half-even to 0 decimals"),
            "按“四舍六入五成双”修约到 0 位小数"
        );
        assert_eq!(zh("324 valid days"), "324 个有效日");
        assert_eq!(zh("12 / 200 / 3"), "12 / 200 / 3");
        assert_eq!(zh("2024-02: 26 of 27 days"), "2024-02：27 天中有 26 天");
        assert_eq!(zh("7 of 9"), "9 中有 7");
        assert_eq!(
            zh("mean of 24 hours = 812.5 / 24"),
            "24 个小时的平均 = 812.5 / 24"
        );
        assert_eq!(
            zh("labels read as hour-begin, UTC+8"),
            "时刻标签读作小时开始，UTC+8"
        );
        let says = zh("PM2.5 annual-mean, class 2, stage 1: 30 ug/m3");
        assert!(
            says.starts_with("PM2.5 ") && says.ends_with("，2 类区，1 阶段：30 µg/m³"),
            "{says}"
        );
        assert!(!says.contains("annual-mean"), "{says}");
        assert_eq!(sentence(Lang::Zh, "something quite new was done"), None);
        assert_eq!(
            sentence(Lang::En, "at least 1").as_deref(),
            Some("at least 1")
        );
        assert_eq!(sentence(Lang::En, "34 ug/m3").as_deref(), Some("34 µg/m³"));
        assert_eq!(
            sentence(Lang::En, "mean of 3 days").as_deref(),
            Some("mean of 3 days")
        );
    }

    #[test]
    fn every_twin_uses_places_that_its_sentence_has() {
        for (en, zh) in SENTENCES {
            let n = en.matches("{}").count();
            for k in 0..9 {
                let used = zh.contains(&format!("{{{k}}}")) || zh.contains(&format!("{{{k}:"));
                assert!(!used || k < n, "{en} -> {zh}");
            }
            // A sentence is not swallowed by an earlier, wider one.
            let sample = en.replace("{}", "7");
            let first = SENTENCES.iter().find(|(e, _)| places(e, &sample).is_some());
            assert_eq!(first.map(|f| f.0), Some(en));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,60}") {
            let _ = sentence(Lang::Zh, &text);
            let _ = sentence(Lang::En, &text);
        }
    }
}
