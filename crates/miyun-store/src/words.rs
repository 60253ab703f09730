//! Words of a text for full-text search: Chinese is segmented when it is written and when it is
//! asked for, so that the database's own index finds two-character words.

use std::sync::OnceLock;

use jieba_rs::Jieba;

/// Terms of the field that a general dictionary would cut apart.
const TERMS: [&str; 40] = [
    "一微克",
    "劣五类",
    "排污许可",
    "排污许可证",
    "减污降碳",
    "碳排放",
    "碳排放权",
    "双控",
    "碳达峰",
    "碳中和",
    "无废城市",
    "新污染物",
    "固定污染源",
    "移动源",
    "污染源",
    "入河排污口",
    "黑臭水体",
    "生态保护红线",
    "分区管控",
    "环境影响评价",
    "环评",
    "危险废物",
    "放射源",
    "挥发性有机物",
    "臭氧",
    "细颗粒物",
    "可吸入颗粒物",
    "京津冀",
    "联防联控",
    "重污染天气",
    "绩效分级",
    "一案双查",
    "损害赔偿",
    "信息公开",
    "配额",
    "清缴",
    "核证自愿减排量",
    "环境空气质量",
    "功能区",
    "生态环境",
];

fn jieba() -> &'static Jieba {
    static JIEBA: OnceLock<Jieba> = OnceLock::new();
    JIEBA.get_or_init(|| {
        let mut jieba = Jieba::new();
        for term in TERMS {
            // Often enough to win against any split of it.
            jieba.add_word(term, Some(100_000), None);
        }
        jieba
    })
}

fn keep(word: &str) -> Option<String> {
    let word: String = word
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    (!word.is_empty() && word.len() <= 100).then_some(word)
}

/// Words of a text to store, with the shorter words inside longer ones.
#[must_use]
pub fn of_text(text: &str) -> Vec<String> {
    jieba()
        .cut_for_search(text, true)
        .iter()
        .filter_map(|t| keep(t.word))
        .collect()
}

/// Words of a query, each once; a text must hold all of them. A long word is asked for by the
/// shorter words inside it, because a text may hold it as a part of a longer one still.
#[must_use]
pub fn of_query(text: &str) -> Vec<String> {
    let text: String = text.chars().take(200).collect();
    let mut out: Vec<String> = Vec::new();
    for token in jieba().cut(&text, true) {
        let parts: Vec<String> = jieba()
            .cut_for_search(token.word, true)
            .iter()
            .map(|t| t.word)
            .filter(|w| *w != token.word && token.word.chars().count() >= 4)
            .filter(|w| w.chars().all(|c| !c.is_ascii()))
            .filter_map(keep)
            .collect();
        let words = if parts.is_empty() {
            keep(token.word).into_iter().collect()
        } else {
            parts
        };
        for word in words {
            if !out.contains(&word) {
                out.push(word);
            }
        }
    }
    out.truncate(20);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_among_what_is_stored() {
        let text = "北京市大气污染防治2024年行动计划：推进减污降碳协同增效，落实碳排放双控，核发排污许可证，PM2.5 年均浓度控制在 32 微克左右。";
        let stored = of_text(text);
        for q in [
            "大气",
            "减污降碳",
            "双控",
            "碳排放",
            "排污许可",
            "PM2",
            "浓度",
            "行动计划",
            "微克",
        ] {
            for w in of_query(q) {
                assert!(stored.contains(&w), "{q}: {w} not in {stored:?}");
            }
        }
        assert!(of_query("  ，。!? ").is_empty());
        assert_eq!(of_query("Air AIR air"), ["air"]);
    }
}
