//! Charts of the air report.

use maud::Markup;
use miyun_air::annual::date_of;
use miyun_assess::air::AirEvaluation;
use miyun_core::text::Lang;

use crate::chart::{CalendarDay, Line, LineChart, Mark, Segment, bars, stack};
use crate::shell::tr;
use crate::show;

const MONTHS_EN: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const MONTHS_ZH: [&str; 12] = [
    "1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月",
];

pub(crate) fn month_names(lang: Lang) -> &'static [&'static str; 12] {
    match lang {
        Lang::Zh => &MONTHS_ZH,
        Lang::En => &MONTHS_EN,
    }
}

fn level_name(lang: Lang, ev: &AirEvaluation, level: u8) -> &str {
    ev.edition
        .edition
        .levels
        .iter()
        .find(|l| l.value.level == u32::from(level))
        .map_or("", |l| l.value.name.get(lang))
}

/// One calendar per year of the period.
pub(crate) fn calendar(lang: Lang, ev: &AirEvaluation) -> Markup {
    let days: Vec<CalendarDay> = ev
        .range()
        .map(|d| {
            let (date, i) = (date_of(ev.first_day, d), &ev.city.indices[d]);
            let primary: Vec<&str> = ev
                .edition
                .edition
                .primary_names(i)
                .iter()
                .map(|n| n.as_str())
                .collect();
            let title = match (i.aqi, i.level) {
                (Some(a), Some(l)) => format!(
                    "{date} AQI {a} {} {}",
                    level_name(lang, ev, l),
                    primary.join("+")
                ),
                _ => format!("{date} {}", tr(lang, "未发布", "not published")),
            };
            CalendarDay {
                date,
                level: i.level,
                title,
                ringed: i.status == miyun_air::Completeness::Partial,
            }
        })
        .collect();
    let c = &ev.city.counts;
    maud::html! {
        @for year in days.chunk_by(|a, b| a.date.year() == b.date.year()) {
            @let y = year.first().map_or(0, |d| d.date.year());
            (crate::chart::calendar(
                &format!("{} {y}", tr(lang, "日 AQI 日历", "Calendar of the daily AQI")),
                year,
                month_names(lang),
                &match lang {
                    Lang::Zh => format!("{y} 年每日空气质量级别，每列一周，自周一起；灰格为未发布，虚线框为缺项日。期内重污染 {} 天。", c.heavy),
                    Lang::En => format!("Level of each day of {y}; a column is a week from Monday. Grey: not published; dashed: an indicator is missing. {} heavy days in the period.", c.heavy),
                },
            ))
        }
    }
}

/// Days by level.
pub(crate) fn levels(lang: Lang, ev: &AirEvaluation) -> Markup {
    let parts: Vec<Segment> = ev
        .city
        .counts
        .levels
        .iter()
        .zip(1u8..)
        .map(|(n, l)| Segment {
            name: level_name(lang, ev, l).to_owned(),
            value: f64::from(*n),
            class: format!("l{l}"),
            text_class: format!("t{l}"),
        })
        .collect();
    let caption: Vec<String> = parts
        .iter()
        .map(|p| format!("{} {}", p.name, p.value))
        .collect();
    stack(
        tr(lang, "各级别天数", "Days by level"),
        &parts,
        &format!(
            "{}: {}",
            tr(lang, "各级别天数", "Days by level"),
            caption.join(", ")
        ),
    )
}

/// Monthly means of an annual item over the record, with its limit.
pub(crate) fn months(lang: Lang, ev: &AirEvaluation, k: usize) -> Markup {
    let item = &ev.edition.edition.annual[k];
    let months = ev.months(&ev.city, k);
    let unit = show::unit(lang, ev.edition.edition.slots[item.slot].unit.as_str());
    let name = show::indicator(lang, item.item.indicator.as_str());
    let every = (months.len() / 24).max(1);
    let labels = months
        .iter()
        .enumerate()
        .map(|(i, m)| {
            if m.month == 1 || (i % every == 0 && months.len() <= 24) {
                if m.month == 1 {
                    m.year.to_string()
                } else {
                    month_names(lang)[usize::from(m.month.unsigned_abs()) - 1].to_owned()
                }
            } else {
                String::new()
            }
        })
        .collect();
    let values: Vec<Option<f64>> = months.iter().map(|m| m.mean).collect();
    let missing = values.iter().filter(|v| v.is_none()).count();
    let high = months
        .iter()
        .filter(|m| m.mean.is_some())
        .max_by(|a, b| a.mean.unwrap_or(0.0).total_cmp(&b.mean.unwrap_or(0.0)));
    let caption = match (lang, high) {
        (Lang::Zh, Some(m)) => format!(
            "{} 月均值，最高 {}-{:02}（{:.1} {unit}）；{missing} 个月有效日不足，不连线。",
            name,
            m.year,
            m.month,
            m.mean.unwrap_or(0.0)
        ),
        (Lang::En, Some(m)) => format!(
            "Monthly means of {}, highest in {}-{:02} ({:.1} {unit}); {missing} months have too few valid days and leave a gap.",
            name,
            m.year,
            m.month,
            m.mean.unwrap_or(0.0)
        ),
        (_, None) => tr(lang, "没有有效月份。", "No valid month.").to_owned(),
    };
    let marks = item
        .limit
        .iter()
        .map(|l| Mark {
            at: l.value.limit.value.to_string().parse().unwrap_or(0.0),
            label: format!("{} {}", tr(lang, "限值", "limit"), l.value.limit.value),
        })
        .collect();
    LineChart {
        title: format!("{name} {}", tr(lang, "月均值", "monthly means")),
        unit: format!("{name} {unit}"),
        x_labels: labels,
        lines: vec![Line {
            name,
            values,
            class: "s1",
            dots: true,
        }],
        bands: Vec::new(),
        marks,
        caption,
    }
    .render()
}

/// Days above the daily limit by month and indicator.
pub(crate) fn exceedances(lang: Lang, ev: &AirEvaluation) -> Markup {
    let e = &ev.edition.edition;
    const CLASSES: [&str; 6] = ["s1", "s2", "s3", "s4", "s5", "s6"];
    let slots: Vec<usize> = (0..e.slots.len())
        .filter(|k| e.slots[*k].limit.is_some() && e.slots[*k].statistic != "daily-max-1h")
        .collect();
    let mut groups: Vec<(String, Vec<f64>)> = month_names(lang)
        .iter()
        .map(|m| ((*m).to_owned(), vec![0.0; slots.len()]))
        .collect();
    let mut total = 0;
    for d in ev.range() {
        let month = usize::from(date_of(ev.first_day, d).month().unsigned_abs()) - 1;
        for (i, k) in slots.iter().enumerate() {
            let (slot, value) = (&e.slots[*k], ev.city.series[*k][d]);
            let above = value.zip(slot.limit.as_ref()).is_some_and(|(v, l)| {
                l.value.limit.breach.broken(
                    v.round(slot.rounding.value.decimals, slot.rounding.value.rule),
                    l.value.limit.value,
                )
            });
            if above {
                groups[month].1[i] += 1.0;
                total += 1;
            }
        }
    }
    let names: Vec<(String, &'static str)> = slots
        .iter()
        .zip(CLASSES)
        .map(|(k, c)| (show::indicator(lang, e.slots[*k].indicator.as_str()), c))
        .collect();
    let caption = match lang {
        Lang::Zh => format!(
            "城市日均值（臭氧为日最大 8 小时）超过日限值的天数，按月与项目，共 {total} 项次。"
        ),
        Lang::En => format!(
            "Days on which the city's daily value (ozone: highest eight hours) is above the daily limit, by month and indicator; {total} in all."
        ),
    };
    bars(
        tr(lang, "超标日", "Days above the daily limit"),
        tr(lang, "天", "days"),
        &names,
        &groups,
        &caption,
    )
}
