//! What a trace says, in the reader's language. A trace is part of a figure's digest, so it is kept
//! in one language; its sentences are few and fixed, and this is their other half.

use miyun_core::text::Lang;

use crate::show;

/// Sentences and their Chinese. A hole is a name in braces: `s` statistic, `i` indicator, `r` way of
/// rounding, `g` stage, others as they stand. The first that fits is taken.
const SENTENCES: &[(&str, &str)] = &[
    // Steps.
    ("days by level", "各级天数（一级至六级）"),
    ("days of level 1 and 2", "一级和二级的天数"),
    ("days of level 5 and 6", "五级和六级的天数"),
    (
        "good days in percent of published days",
        "优良天数占已发布天数的百分比",
    ),
    (
        "daily values: mean over {n} stations",
        "日值：{n} 个站点的平均",
    ),
    ("mean of {n} days", "{n} 天的平均"),
    (
        "percentile {p}: rank 1 + ({n} - 1) x {q} / 100, linear between neighbours",
        "第 {p} 百分位数：秩 1 + ({n} − 1) × {q} / 100，相邻两值之间线性内插",
    ),
    ("rounded {r} to {n} decimals", "{r}，保留 {n} 位小数"),
    ("compared with {x}", "与 {x} 比较"),
    ("not above, {x} to spare", "未超过，余量 {x}"),
    ("above by {x}", "超过 {x}"),
    ("hours 0 to 23", "0 时至 23 时"),
    ("mean of {n} hours = {x}", "{n} 个小时的平均 = {x}"),
    ("highest hour", "最高的小时值"),
    (
        "highest of {n} valid 8-hour windows = {x}",
        "{n} 个有效 8 小时滑动平均中最高的 = {x}",
    ),
    ("mean of {n} stations", "{n} 个站点的平均"),
    (
        "sub-index, interpolated and rounded up",
        "分指数，内插后进位取整",
    ),
    ("{n} valid days", "{n} 个有效日"),
    ("no valid day", "没有有效日"),
    ("{s} of each day", "每天的{s}"),
    // What rules say.
    ("level {l} {name}: from {x}", "{l} 级：自 {x} 起"),
    (
        "sub-indices by interpolation, rounded up; the index is the largest",
        "分指数内插后进位取整；指数取其中最大的",
    ),
    (
        "at least {n} valid days in the year",
        "全年至少 {n} 个有效日",
    ),
    (
        "at least {n} valid days in the month",
        "每月至少 {n} 个有效日",
    ),
    (
        "at least {n} valid days in the February",
        "二月至少 {n} 个有效日",
    ),
    ("at least {n}", "至少 {n} 个"),
    ("{n} points", "{n} 个分界点"),
    ("{n} decimals, {r}", "保留 {n} 位小数，{r}"),
    (
        "mean of the stations without control stations, a day needs {n} % of them",
        "各站平均，清洁对照点不参加；一天至少要有其中 {n} % 的站点",
    ),
    (
        "{i} {s}: at least {n}, fewer if above the limit",
        "{i} {s}：至少 {n} 个；已超过限值的，可以更少",
    ),
    ("{i} {s}: at least {n}", "{i} {s}：至少 {n} 个"),
    ("{i} {s}: mean of {s}", "{i} {s}：{s}的平均"),
    (
        "{i} {s}: percentile {p} of {s}",
        "{i} {s}：{s}的第 {p} 百分位数",
    ),
    (
        "{i} {s}, class {c}, stage {g}: {x}",
        "{i} {s}，{c} 级，{g}：{x}",
    ),
    ("{i} {s}, class {c}: {x}", "{i} {s}，{c} 级：{x}"),
    ("class {c}: {x}", "{c} 级：{x}"),
    // What is missing.
    ("{m}: {n} of {x} days", "{m} 有效 {n} 天，需要 {x} 天"),
    ("{n} days without a published index", "{n} 天没有发布指数"),
    // Declarations.
    ("edition: {e} (law as of {d})", "版本：{e}（{d} 的法律）"),
    ("as known on {t}", "截至 {t} 所知"),
    ("labels read as {h}, {z}", "时刻标签为{h}，{z}"),
    // Outlets.
    (
        "outlets with a valid hour value in the last 24 hours, of those registered or ever heard",
        "最近 24 小时内有有效小时值的排放口（占已登记或曾有数据者）",
    ),
    ("{o}: not on line", "{o}：不在线"),
    ("silent", "无数据"),
    ("no hour value yet", "尚无小时值"),
    (
        "valid hour values of all outlets and limited indicators, each from its first value on",
        "各排放口受限指标的有效小时值（各自从第一个值起）",
    ),
    ("{o}: valid hour values", "{o}：有效小时值"),
    ("hours judged", "判定的小时数"),
    (
        "hours left out: fewer valid minutes than the standard asks for",
        "未计入的小时：有效分钟少于标准要求",
    ),
    (
        "hours above the limit while start-up or shut-down is marked: a person decides",
        "启停标记期间超过限值的小时：由人认定",
    ),
    (
        "hours left out: no limit holds for them",
        "未计入的小时：无适用限值",
    ),
    (
        "at least {n} valid minutes an hour",
        "每小时至少 {n} 个有效分钟",
    ),
    ("no hour value came", "没有小时值"),
    (
        "no hour could be judged: no limit is known, or no hour is valid",
        "没有可判定的小时：限值未知，或没有有效小时",
    ),
    ("{i}: hours above the limit", "{i}：超过限值的小时数"),
    ("{n} of {x}", "{n} / {x}"),
    (
        "SIMULATED: made by a simulator, measured nowhere",
        "模拟数据：由模拟器生成，未在任何地方测得",
    ),
];

/// A sentence of a trace in the reader's language; one that is not known stays as it is.
#[must_use]
pub fn say(lang: Lang, text: &str) -> String {
    if lang == Lang::Zh {
        for (en, zh) in SENTENCES {
            if let Some(holes) = fit(en, text) {
                return units(lang, &fill(zh, &holes));
            }
        }
    }
    units(lang, text)
}

/// What fills the holes of a pattern, in order, if it fits the whole text.
fn fit<'p, 't>(pattern: &'p str, text: &'t str) -> Option<Vec<(&'p str, &'t str)>> {
    let mut holes = Vec::new();
    let mut rest = text;
    let mut parts = pattern.split('{');
    rest = rest.strip_prefix(parts.next()?)?;
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let (name, after) = part.split_once('}')?;
        let at = match (after, parts.peek()) {
            ("", None) => rest.len(),
            // The last words must end the text.
            (after, None) => rest.len().checked_sub(after.len())?,
            (after, Some(_)) => rest.find(after)?,
        };
        let value = rest.get(..at).filter(|v| !v.is_empty())?;
        // An indicator or a statistic is one word.
        if matches!(name, "i" | "s" | "n") && value.contains(' ') {
            return None;
        }
        rest = rest.get(at..)?.strip_prefix(after)?;
        holes.push((name, value));
    }
    rest.is_empty().then_some(holes)
}

/// The translation with its holes filled: names of one kind in their order.
fn fill(pattern: &str, holes: &[(&str, &str)]) -> String {
    let mut left: Vec<&(&str, &str)> = holes.iter().collect();
    let mut out = String::new();
    let mut parts = pattern.split('{');
    out.push_str(parts.next().unwrap_or(""));
    for part in parts {
        let (name, after) = part.split_once('}').unwrap_or((part, ""));
        if let Some(k) = left.iter().position(|h| h.0 == name) {
            let value = left.remove(k).1;
            match name {
                "s" => out.push_str(&show::statistic(Lang::Zh, value)),
                "i" => out.push_str(&show::indicator(Lang::Zh, value)),
                "g" => out.push_str(stage(Lang::Zh, value)),
                "r" => out.push_str(rounding(value)),
                "h" => out.push_str(label(value)),
                "e" if value == "in-force" => out.push_str("当时有效"),
                _ => out.push_str(value),
            }
        }
        out.push_str(after);
    }
    out
}

/// A stage of a standard by name.
#[must_use]
pub fn stage(lang: Lang, id: &str) -> &str {
    let zh = match id {
        "transitional" => "过渡阶段",
        "final" => "第二阶段",
        other => other,
    };
    crate::shell::tr(lang, zh, id)
}

fn rounding(id: &str) -> &str {
    match id {
        "half-even" => "四舍六入五成双",
        "half-up" => "四舍五入",
        "ceiling" => "进位取整",
        "truncate" => "舍去尾数",
        other => other,
    }
}

fn label(id: &str) -> &str {
    match id {
        "hour-begin" => "每小时的开始",
        "hour-end" => "每小时的结束",
        other => other,
    }
}

/// Units in running text as people write them.
#[must_use]
pub fn units(lang: Lang, text: &str) -> String {
    let mut out = text.replace("ug/m3", "µg/m³").replace("mg/m3", "mg/m³");
    if lang == Lang::Zh {
        for (en, zh) in [(" d；", " 天；"), (" h；", " 小时；")] {
            out = out.replace(en, zh);
        }
        for (en, zh) in [(" d", " 天"), (" h", " 小时")] {
            if let Some(front) = out.strip_suffix(en) {
                out = format!("{front}{zh}");
            }
        }
    }
    out
}

/// Words of clauses that stand between numbers, longest first where one holds another.
const CLAUSES: &[(&str, &str)] = &[
    ("annual items of assessment", "年评价项目"),
    ("rounding of values before evaluation", "评价前的修约"),
    ("recommended levels and interim targets", "推荐值与阶段目标"),
    (
        "Article 1242 repeals the Air Law",
        "第一千二百四十二条废止大气污染防治法",
    ),
    ("advice paraphrased from", "建议语转述自"),
    (
        "pasture, half-farming half-pasture, silkworm areas",
        "牧业区、半农半牧区和蚕桑区",
    ),
    ("farming and forest areas", "农业和林业区"),
    ("urban areas", "城市地区"),
    ("gas + particle", "气态和颗粒态"),
    ("in PM10", "PM₁₀ 中"),
    ("(informative)", "（资料性）"),
    ("levels of warning", "预警分级"),
    (
        "use of reductions filed before 2017-03-14",
        "2017-03-14 前备案减排量的使用",
    ),
    ("trusted account list", "可信账户清单"),
    (
        "surrender deadlines by compliance year",
        "各履约年度的清缴期限",
    ),
    ("sections 1 and 2(1)", "第一部分和第二部分（一）"),
    ("section 1 and 2(1)", "第一部分和第二部分（一）"),
    (
        "repeal of the rules of 2013 and 2014",
        "废止 2013 年和 2014 年的规定",
    ),
    ("reference values S: class II of", "参考值 S：二级，"),
    ("published figures such as", "已公布的数值，例如"),
    (
        "penalties as explained on 2024-03-14",
        "2024-03-14 说明的罚则",
    ),
    ("offset caps", "抵销上限"),
    ("no clause", "无条款"),
    (
        "methodologies and the day from which they may be used",
        "方法学及其可用之日",
    ),
    ("consignment transfer", "委托划转"),
    ("composite index: sum of C / S", "综合指数：C / S 之和"),
    ("compliance codes", "履约代码"),
    ("carry-over, industry", "结转，工业"),
    (
        "carry-over of vintages 2019 to 2024",
        "2019 至 2024 年度配额的结转",
    ),
    ("calculation of the AQI", "AQI 的计算"),
    ("article 9 and registration review", "第 9 条和登记审核"),
    (
        "allowances of 2024 and pre-allocation of 2025",
        "2024 年配额和 2025 年预分配",
    ),
    ("compliance calendar", "履约日历"),
    ("credit projects", "减排项目"),
    ("holding limits", "持仓上限"),
    ("offset use", "抵销的使用"),
    ("accounts and issuance", "账户与签发"),
    ("carry-over", "结转"),
    ("shortfall", "欠缴"),
    ("transfers", "划转"),
    ("simulated, after", "模拟，参照"),
    ("simulated", "模拟"),
    ("amended", "修改后"),
    ("with notes", "及注"),
    ("and notes", "及注"),
    ("notes", "注"),
    ("articles", "条款"),
    ("article", "条款"),
    ("Article", "条款"),
    ("section", "部分"),
    ("Annex", "附录"),
    (" and ", "、"),
    (", 第", "，第"),
    ("; ", "；"),
];

/// A clause as the law names it, with the words around the numbers in the reader's language:
/// `4.4 Table 1, p. 3` is `4.4 表 1，第 3 页`.
#[must_use]
pub fn clause(lang: Lang, text: &str) -> String {
    if lang == Lang::En {
        return text.to_owned();
    }
    // The instrument's id comes first and stays as it is.
    let (id, text) = match text.split_once(", ") {
        Some((id, rest)) if id.contains('/') => (format!("{id}, "), rest),
        _ => (String::new(), text),
    };
    let mut out = numbered(&numbered(text, "Table ", "表 ", ""), "p. ", "第 ", " 页");
    for (en, zh) in CLAUSES {
        out = out.replace(en, zh);
    }
    id + &out
}

/// `p. 3` as `第 3 页`: each number that follows a word, between the two parts of another.
fn numbered(text: &str, word: &str, before: &str, after: &str) -> String {
    let mut parts = text.split(word);
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let rest = rest
            .strip_prefix(", ")
            .map_or_else(|| rest.to_owned(), |r| format!("，{r}"));
        out.push_str(&format!("{before}{number}{after}{rest}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_find_their_other_half() {
        let zh = |t: &str| say(Lang::Zh, t);
        assert_eq!(zh("mean of 328 days"), "328 天的平均");
        assert_eq!(zh("compared with 30 ug/m3"), "与 30 µg/m³ 比较");
        assert_eq!(
            zh("rounded half-even to 0 decimals"),
            "四舍六入五成双，保留 0 位小数"
        );
        assert_eq!(
            zh("PM2.5 annual-mean, class 2, stage transitional: 30 ug/m3"),
            "PM2.5 年平均，2 级，过渡阶段：30 µg/m³"
        );
        assert_eq!(
            zh("2026-11: 24 of 27 days"),
            "2026-11 有效 24 天，需要 27 天"
        );
        assert_eq!(zh("something new"), "something new");
        assert_eq!(say(Lang::En, "27 ug/m3"), "27 µg/m³");
    }

    #[test]
    fn every_hole_is_filled_from_one_of_its_name() {
        for (en, zh) in SENTENCES {
            let names = |t: &str| -> Vec<String> {
                let mut all: Vec<String> = t
                    .split('{')
                    .skip(1)
                    .filter_map(|p| Some(p.split_once('}')?.0.to_owned()))
                    .collect();
                all.sort();
                all
            };
            let (from, to) = (names(en), names(zh));
            assert!(to.iter().all(|n| from.contains(n)), "{en}");
            assert!(to.len() <= from.len(), "{en}");
        }
    }

    #[test]
    fn clauses_of_the_rulebook_are_in_chinese() {
        for i in miyun_rulebook::Rulebook::embedded().instruments() {
            for t in &i.tables {
                let zh = clause(Lang::Zh, &t.clause);
                let mut words = zh.split(|c: char| !c.is_ascii_alphabetic() && c != '/');
                let english = words.find(|w| {
                    w.len() > 2 && !w.contains('/') && w.chars().any(|c| c.is_ascii_lowercase())
                });
                // A reference to another instrument stays: CN/11/offset-2014.
                assert!(
                    english.is_none() || zh.contains('/'),
                    "{}: {zh}: add it to CLAUSES",
                    i.id
                );
            }
        }
    }

    #[test]
    fn units_and_clauses_read_well() {
        assert_eq!(
            units(Lang::Zh, "0，目标至多 5 d；期间已过 90 %"),
            "0，目标至多 5 天；期间已过 90 %"
        );
        assert_eq!(units(Lang::Zh, "目标至多 200 h"), "目标至多 200 小时");
        assert_eq!(clause(Lang::Zh, "4.4 Table 1, p. 3"), "4.4 表 1，第 3 页");
        assert_eq!(clause(Lang::En, "4.4 Table 1, p. 3"), "4.4 Table 1, p. 3");
        assert_eq!(
            clause(
                Lang::Zh,
                "CN/HJ-633-2026, 4.2.4 Table 3, p. 3, with notes b and c"
            ),
            "CN/HJ-633-2026, 4.2.4 表 3，第 3 页，及注 b、c"
        );
        assert_eq!(
            clause(Lang::Zh, "Annex A (informative): in PM10"),
            "附录 A （资料性）: PM₁₀ 中"
        );
    }
}
