//! How single things are written: units, indicators, figures that open their why, days.

use maud::{Markup, html};
use miyun_core::text::Lang;
use miyun_core::{Assessment, Date, Decimal, Verdict};
use miyun_rulebook::Rulebook;

use crate::shell::{View, tr};

/// A unit as people write it: `ug/m3` is `µg/m³`.
#[must_use]
pub fn unit(lang: Lang, id: &str) -> &str {
    match id {
        "ug/m3" => "µg/m³",
        "mg/m3" => "mg/m³",
        "ng/m3" => "ng/m³",
        "degC" => "°C",
        "d" => tr(lang, "天", "d"),
        "h" => tr(lang, "小时", "h"),
        "min" => tr(lang, "分钟", "min"),
        "1" => "",
        other => other,
    }
}

/// An indicator as people write it: `SO2` is `SO₂`; counted ones by name.
#[must_use]
pub fn indicator(lang: Lang, id: &str) -> String {
    match id {
        "SO2" => "SO₂".into(),
        "NO2" => "NO₂".into(),
        "O3" => "O₃".into(),
        "PM10" => "PM₁₀".into(),
        "PM2.5" => "PM2.5".into(),
        "CO" | "AQI" => id.into(),
        other => Rulebook::embedded()
            .vocabulary()
            .indicator(other)
            .map_or(other.to_owned(), |i| i.name.get(lang).to_owned()),
    }
}

/// A statistic by name.
#[must_use]
pub fn statistic(lang: Lang, id: &str) -> String {
    Rulebook::embedded()
        .vocabulary()
        .statistic(id)
        .map_or(id.to_owned(), |s| s.name.get(lang).to_owned())
}

/// A value, or a dash for a missing one: never a zero.
#[must_use]
pub fn value(v: Option<Decimal>) -> String {
    v.map_or("–".to_owned(), |v| v.to_string())
}

/// A decimal as a float, for drawing only.
#[must_use]
pub fn float(d: Decimal) -> f64 {
    d.to_string().parse().unwrap_or(0.0)
}

/// The value of a figure as a link to its why.
#[must_use]
pub fn figure(view: &View, a: &Assessment) -> Markup {
    let hint = view.tr("为什么是这个数", "why this number");
    html! {
        a.figure href=(view.link(&format!("/why/{}", a.id))) title=(hint) data-figure=(a.id) {
            data value=(a.value.map(|v| v.to_string()).unwrap_or_default()) { (value(a.value)) }
        }
    }
}

/// Value and unit of a figure.
#[must_use]
pub fn figure_unit(view: &View, a: &Assessment) -> Markup {
    html! { (figure(view, a)) " " span.unit { (unit(view.lang, a.unit.as_str())) } }
}

/// A verdict with sign, word and colour.
#[must_use]
pub fn verdict(lang: Lang, v: &Verdict) -> Markup {
    crate::report::verdict(lang, v)
}

/// Shape and number of a level of the index, on its colour.
#[must_use]
pub fn level(name: &str, level: u8) -> Markup {
    let shape = crate::chart::LEVEL_SHAPES
        .get(usize::from(level.max(1)) - 1)
        .unwrap_or(&"");
    html! { span class={ "level l" (level) } { (shape) " " (name) } }
}

/// A day in words: `2026年11月23日`, `23 November 2026`.
#[must_use]
pub fn day(lang: Lang, d: Date) -> String {
    match lang {
        Lang::Zh => format!("{}年{}月{}日", d.year(), d.month(), d.day()),
        Lang::En => format!(
            "{} {} {}",
            d.day(),
            MONTHS[usize::from(d.month().unsigned_abs()) - 1],
            d.year()
        ),
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Heading of a column that can be sorted by a link; says the order to everyone.
#[must_use]
pub fn sort_head(view: &View, key: &str, text: &str, current: &str, number: bool) -> Markup {
    let (bare, down) = current
        .strip_prefix('-')
        .map_or((current, false), |k| (k, true));
    let here = bare == key;
    let next = if here && !down {
        format!("-{key}")
    } else {
        key.to_owned()
    };
    let state = here.then_some(if down { "descending" } else { "ascending" });
    html! {
        th scope="col" .n[number] aria-sort=[state] {
            a href=(view.with(&[("sort", &next)])) { (text) @if here { span aria-hidden="true" { (if down { " ▼" } else { " ▲" }) } } }
        }
    }
}

/// A table of a page as files: the path of its API with its query, and its name in both languages.
pub(crate) type File = (String, &'static str, &'static str);

/// The tables of a page as CSV, Parquet and JSON, as known at the page's moment.
pub(crate) fn downloads(view: &View, files: &[File]) -> Markup {
    let known = view.known.as_ref().map_or(String::new(), |k| {
        format!("&known={}", crate::shell::encode(k))
    });
    html! { ul.downloads { @for (path, zh, en) in files { li {
        (view.tr(zh, en)) ": "
        @let join = if path.contains('?') { "&" } else { "?" };
        @for (format, name) in [("csv", "CSV"), ("parquet", "Parquet"), ("json", "JSON")] {
            a href={ (path) (join) "format=" (format) (known) @if format != "json" { "&per_page=100000" } } rel="nofollow" { (name) } " "
        }
    } } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_days_read_well() {
        assert_eq!(unit(Lang::Zh, "ug/m3"), "µg/m³");
        let d = Date::constant(2026, 11, 3);
        assert_eq!(day(Lang::En, d), "3 November 2026");
        assert_eq!(day(Lang::Zh, d), "2026年11月3日");
        assert_eq!(indicator(Lang::Zh, "heavy-days"), "重污染天数");
        assert_eq!(value(None), "–");
    }

    #[test]
    fn a_sorted_column_offers_the_other_way() {
        let view = View::plain(Lang::En, "/map?sort=value");
        let text = sort_head(&view, "value", "Value", "value", true).into_string();
        assert!(text.contains(r#"aria-sort="ascending""#) && text.contains("/en/map?sort=-value"));
    }
}
