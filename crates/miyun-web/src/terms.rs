//! The term base: one word, one meaning, in both languages. Pages and the glossary take from it,
//! and a test holds every pair of texts in the program against it.

use maud::{Markup, html};
use miyun_core::text::Lang;

/// A term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Chinese.
    pub zh: &'static str,
    /// English; forms that are also right follow, separated by `|`.
    pub en: &'static str,
    /// What it means, in Chinese.
    pub meaning_zh: &'static str,
    /// What it means, in English.
    pub meaning_en: &'static str,
}

const fn t(
    zh: &'static str,
    en: &'static str,
    meaning_zh: &'static str,
    meaning_en: &'static str,
) -> Term {
    Term {
        zh,
        en,
        meaning_zh,
        meaning_en,
    }
}

/// The terms.
pub const TERMS: &[Term] = &[
    t(
        "措施",
        "measure",
        "计划中的一项任务，由一个部门牵头。",
        "One task of a plan, led by one department.",
    ),
    t(
        "指标",
        "indicator",
        "被测量的东西，例如 PM2.5。",
        "What is measured, for example PM2.5.",
    ),
    t(
        "统计量",
        "statistic",
        "对什么时段如何取值，例如年平均。",
        "How values of a span are condensed, for example annual mean.",
    ),
    t(
        "限值",
        "limit",
        "标准规定的浓度上限，有条款和施行日期。",
        "The highest value a standard allows, with clause and dates.",
    ),
    t(
        "目标",
        "target",
        "计划要求在期限前达到的值。",
        "The value that a plan asks for by a date.",
    ),
    t(
        "达标",
        "attained|attain",
        "数值经修约后不超过限值。",
        "The value, rounded as the method says, is within the limit.",
    ),
    t(
        "超标",
        "exceeded|exceed|over by|above the daily limit|above the limit",
        "数值经修约后超过限值。",
        "The value, rounded as the method says, is above the limit.",
    ),
    t(
        "有效日",
        "valid day|valid month|days",
        "小时数据足够、可以参与评价的一天。",
        "A day with hours enough to be used in an assessment.",
    ),
    t(
        "首要污染物",
        "primary pollutant",
        "当日空气质量分指数最大的项目。",
        "The indicator with the largest sub-index of the day.",
    ),
    t(
        "优良天数",
        "good days|days of level 1 and 2",
        "空气质量级别为一级或二级的天数。",
        "Days of index level 1 or 2.",
    ),
    t(
        "重污染",
        "heavy|heavily",
        "空气质量级别为五级或六级。",
        "Index level 5 or 6.",
    ),
    t(
        "空气质量指数",
        "air quality index|AQI",
        "按 HJ 633 由各项目浓度算出的无量纲数。",
        "A dimensionless number computed from concentrations under HJ 633.",
    ),
    t(
        "对照点",
        "control",
        "不参加城市均值的背景站点。",
        "A background station that the city mean leaves out.",
    ),
    t("站点", "station", "一个监测点位。", "One monitoring place."),
    t(
        "修约",
        "round",
        "按规则减少小数位；国标用“四舍六入五成双”。",
        "Reducing decimals by rule; the national rule rounds half to even.",
    ),
    t(
        "条款",
        "clause",
        "法律文件或计划中可以单独指到的一句。",
        "One part of an instrument or plan that can be pointed at.",
    ),
    t(
        "出处",
        "citation",
        "规则文字从哪里读到、何时核对。",
        "Where the text of a rule was read, and when it was checked.",
    ),
    t(
        "方法版本",
        "method version|method",
        "算出数值的程序的名称与版本。",
        "Name and version of the code that computed a value.",
    ),
    t(
        "版本",
        "edition|version",
        "某一天有效的一组法律文件；文章的每次修改。",
        "The set of instruments in force on a day; each revision of an article.",
    ),
    t(
        "订正",
        "correct|revis",
        "后来记录的不同数值；旧值保留。",
        "A different value recorded later; the old one is kept.",
    ),
    t(
        "证据",
        "evidence|row",
        "支持一个数值的数据行。",
        "The rows that a value rests on.",
    ),
    t(
        "未核实",
        "not verified|unverified|nobody read|nobody compared",
        "没有人对照原文核对过。",
        "Nobody has compared it with the printed text.",
    ),
    t(
        "规则库",
        "rulebook",
        "以数据形式存放的法律文件。",
        "The legal instruments as data.",
    ),
    t(
        "模拟",
        "simulat",
        "由模拟器生成，不是测量结果。",
        "Made by a simulator, measured nowhere.",
    ),
    t(
        "劣五类",
        "inferior Class V",
        "地表水水质低于五类标准。",
        "Surface water worse than Class V.",
    ),
    t(
        "排污许可",
        "pollutant discharge permit|permit",
        "允许排放的污染物种类、浓度和数量。",
        "What a party may discharge, at which concentration and amount.",
    ),
    t(
        "配额",
        "allowance",
        "排放一吨二氧化碳当量的权利。",
        "The right to emit one tonne of CO2 equivalent.",
    ),
    t(
        "双控",
        "dual control",
        "同时控制碳排放总量与强度。",
        "Control of both total and intensity of carbon emissions.",
    ),
    t(
        "扬尘",
        "dust",
        "工地、道路、裸地扬起的颗粒物。",
        "Particles raised from building sites, roads and bare soil.",
    ),
    t(
        "挥发性有机物",
        "volatile organic compound",
        "参与臭氧生成的有机气体。",
        "Organic gases that take part in making ozone.",
    ),
    t(
        "0.1 微克",
        "0.1 microgram",
        "年均浓度降低 0.1 µg/m³，相当于全年累计少 36.5 µg·天。",
        "A tenth of a microgram of the annual mean: 36.5 ug/m3 times a day over the year.",
    ),
    t(
        "撤回",
        "withdraw",
        "文章不再有效；网址保留并说明原因与日期。",
        "An article no longer stands; its address stays and says why and since when.",
    ),
];

/// The glossary.
#[must_use]
pub fn glossary(lang: Lang) -> Markup {
    html! {
        dl.pairs.terms { @for t in TERMS {
            @let main = t.en.split('|').next().unwrap_or(t.en);
            dt { dfn { (if lang == Lang::Zh { t.zh } else { main }) } " "
                span.soft lang=(if lang == Lang::Zh { "en" } else { "zh-Hans" }) { (if lang == Lang::Zh { main } else { t.zh }) } }
            dd { (if lang == Lang::Zh { t.meaning_zh } else { t.meaning_en }) }
        } }
    }
}

/// What is wrong with a pair of texts: a term of the Chinese text whose English is missing.
#[must_use]
pub fn fault(zh: &str, en: &str) -> Option<&'static Term> {
    let en = en.to_lowercase();
    TERMS.iter().find(|t| {
        zh.contains(t.zh)
            && !t
                .en
                .split('|')
                .any(|form| en.contains(&form.to_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Pairs `"zh", "en"` of neighbouring string literals where the first has Han characters and
    /// the second has none.
    fn pairs(source: &str) -> Vec<(String, String)> {
        let mut strings: Vec<(usize, usize, String)> = Vec::new();
        let bytes = source.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            if bytes[i] == b'"' {
                let start = i;
                i += 1;
                while i < bytes.len() && bytes[i] != b'"' {
                    i += if bytes[i] == b'\\' { 2 } else { 1 };
                }
                strings.push((start, i, source[start + 1..i.min(source.len())].to_owned()));
            }
            i += 1;
        }
        let han = |s: &str| s.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        strings
            .windows(2)
            .filter(|w| {
                let between = source[w[0].1 + 1..w[1].0].trim();
                // The arm of a match is no pair.
                let arm = source[..w[0].0].trim_end().ends_with("=>");
                between == "," && !arm && han(&w[0].2) && !han(&w[1].2)
            })
            .map(|w| (w[0].2.clone(), w[1].2.clone()))
            .collect()
    }

    fn sources(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
        for e in std::fs::read_dir(dir).unwrap() {
            let p = e.unwrap().path();
            if p.is_dir() {
                sources(&p, out);
            } else if p.extension().is_some_and(|e| e == "rs") && !p.ends_with("terms.rs") {
                out.push(p);
            }
        }
    }

    #[test]
    fn every_pair_of_texts_keeps_to_the_term_base() {
        let mut files = Vec::new();
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut files,
        );
        let mut seen = 0;
        let mut faults = Vec::new();
        for f in files {
            for (zh, en) in pairs(&std::fs::read_to_string(&f).unwrap()) {
                seen += 1;
                if let Some(t) = fault(&zh, &en) {
                    faults.push(format!(
                        "{}: {zh:?} / {en:?}: {} is {}",
                        f.display(),
                        t.zh,
                        t.en
                    ));
                }
            }
        }
        assert!(seen > 150, "only {seen} pairs were found");
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn a_wrong_word_is_found() {
        assert_eq!(
            fault("劣五类断面", "worse than class five").unwrap().zh,
            "劣五类"
        );
        assert!(fault("劣五类断面", "sections of inferior Class V").is_none());
    }

    #[test]
    fn terms_are_said_once() {
        for (i, a) in TERMS.iter().enumerate() {
            assert!(
                !TERMS[i + 1..].iter().any(|b| a.zh == b.zh || a.en == b.en),
                "{}",
                a.zh
            );
        }
    }
}
