//! Equal to results that others computed, in every integer, flag and printed digit.

mod common;

use common::{edition, prsa, rows};
use miyun_air::annual::day_range;
use miyun_air::{Exact, Incomplete, station_days, valid_days};
use miyun_core::observation::IntervalLabel;
use miyun_core::{Date, Period};

const SETS: [(&str, IntervalLabel); 2] = [
    ("expected-visible", IntervalLabel::HourBegin),
    ("expected-visible/hour-end", IntervalLabel::HourEnd),
];
const VISIBLE: [&str; 6] = [
    "Aotizhongxin",
    "Dingling",
    "Guanyuan",
    "Huairou",
    "Shunyi",
    "Wanliu",
];
/// The reference set applies the completeness rule of HJ 633-2026 5.3.1 to both editions.
const REFERENCE: Incomplete = Incomplete::PublishAbove(100);

fn six(v: Option<Exact>) -> String {
    opt(v)
}

fn opt<T: ToString>(v: Option<T>) -> String {
    v.map_or(String::new(), |v| v.to_string())
}

#[test]
fn daily_values_and_indices() {
    let (e12, e26) = (edition("2012"), edition("2026"));
    let columns = [
        ("SO2", "SO2", "daily-mean"),
        ("NO2", "NO2", "daily-mean"),
        ("CO_mg", "CO", "daily-mean"),
        ("O3_1h", "O3", "daily-max-1h"),
        ("O3_8h", "O3", "daily-max-8h"),
        ("PM10", "PM10", "daily-mean"),
        ("PM2.5", "PM2.5", "daily-mean"),
    ];
    for (set, label) in SETS {
        let Some(expected) = rows(&format!("{set}/daily_aqi.csv.gz")) else {
            return;
        };
        let mut compared = 0;
        for station in VISIBLE {
            let hours = prsa(station, label).unwrap();
            let (d12, d26) = (station_days(&hours, &e12), station_days(&hours, &e26));
            let (i12, i26) = (
                e12.day_indices(&e12.rounded_days(&valid_days(&d12)), REFERENCE),
                e26.day_indices(&e26.rounded_days(&valid_days(&d26)), REFERENCE),
            );
            for r in expected.iter().filter(|r| r["station"] == station) {
                let date: Date = r["date"].parse().unwrap();
                let d = day_range(hours.first_day, hours.days, &Period::days(date, date)).start;
                let at = format!("{set} {station} {date}");
                for (column, indicator, statistic) in columns {
                    let slot = e12.slot(indicator, statistic).unwrap();
                    assert_eq!(
                        six(d12.cells[slot][d].valid_value()),
                        r[column],
                        "{at} {column}"
                    );
                    let sub = i12[d].sub[slot];
                    let name = column.replace("_mg", "");
                    assert_eq!(opt(sub), r[&format!("iaqi12_{name}")], "{at} iaqi {column}");
                }
                for (y, e, i) in [("12", &e12, &i12[d]), ("26", &e26, &i26[d])] {
                    let status = i.status.as_str();
                    let primary: Vec<&str> =
                        e.primary_names(i).iter().map(|p| p.as_str()).collect();
                    assert_eq!(status, r[&format!("status{y}")], "{at}");
                    assert_eq!(
                        opt(i.aqi),
                        r[&format!("aqi{y}")].replace("NA", ""),
                        "{at} aqi{y}"
                    );
                    assert_eq!(opt(i.level), r[&format!("level{y}")], "{at} level{y}");
                    assert_eq!(
                        primary.join("+"),
                        r[&format!("primary{y}")],
                        "{at} primary{y}"
                    );
                }
                compared += 1;
            }
        }
        assert_eq!(compared, expected.len(), "{set}");
        assert!(compared > 8_000);
    }
}

#[test]
fn annual_items() {
    let editions = [
        (
            "limit_gb3095_2012_II",
            "meets_2012",
            "exceed_2012",
            edition("2012"),
        ),
        (
            "limit_2026_transition_II",
            "meets_2026t",
            "exceed_2026t",
            edition("2026"),
        ),
        (
            "limit_2031_II",
            "meets_2031",
            "exceed_2031",
            edition("2031"),
        ),
    ];
    for (set, label) in SETS {
        let Some(expected) = rows(&format!("{set}/annual_items.csv")) else {
            return;
        };
        for station in VISIBLE {
            let hours = prsa(station, label).unwrap();
            for year in 2014..=2016i16 {
                let period = Period::year(year).unwrap();
                for (limit, meets, exceed, e) in &editions {
                    let days = valid_days(&station_days(&hours, e));
                    let rounded = e.rounded_days(&days);
                    let values = e.annual_values(hours.first_day, &days, &rounded, &period);
                    for v in &values {
                        let item = &e.annual[v.item];
                        let name = if item.item.indicator == "O3" {
                            "O3_8h"
                        } else {
                            item.item.indicator.as_str()
                        };
                        let stat = item
                            .item
                            .percentile
                            .map_or("mean".to_owned(), |p| format!("p{p}"));
                        let at = format!("{set} {station} {year} {name} {stat}");
                        let r = expected
                            .iter()
                            .find(|r| {
                                r["station"] == station
                                    && r["year"] == year.to_string()
                                    && r["item"] == name
                                    && r["stat"] == stat
                            })
                            .expect(&at);
                        assert_eq!(v.days.to_string(), r["n_valid_days"], "{at}");
                        assert_eq!(v.valid.to_string(), r["valid"], "{at}");
                        assert_eq!(
                            v.months.iter().map(|m| m.have).min().unwrap().to_string(),
                            r["min_days_in_a_month"],
                            "{at}"
                        );
                        let short: Vec<String> =
                            v.short_months().map(|m| m.month.to_string()).collect();
                        assert_eq!(short.join(";"), r["short_months"], "{at}");
                        assert_eq!(six(v.value), r["value"], "{at}");
                        assert_eq!(
                            six(v.value_from_rounded_days),
                            r["value_from_rounded_days"],
                            "{at}"
                        );
                        assert_eq!(opt(v.rounded), r["value_rounded"], "{at}");
                        assert_eq!(
                            opt(item.limit.as_ref().map(|l| l.value.limit.value)),
                            r[*limit],
                            "{at}"
                        );
                        assert_eq!(opt(v.attained), r[*meets], "{at}");
                        assert_eq!(opt(v.multiple), r[*exceed], "{at}");
                    }
                    assert_eq!(values.len(), 10);
                }
            }
        }
    }
}

#[test]
fn annual_summaries() {
    let editions = [("2012", edition("2012")), ("2026", edition("2026"))];
    for (set, label) in SETS {
        let Some(expected) = rows(&format!("{set}/annual_summary.csv")) else {
            return;
        };
        for r in &expected {
            let hours = prsa(&r["station"], label).unwrap();
            let period = Period::year(r["year"].parse().unwrap()).unwrap();
            for (y, e) in &editions {
                let at = format!("{set} {} {} {y}", r["station"], r["year"]);
                let days = valid_days(&station_days(&hours, e));
                let rounded = e.rounded_days(&days);
                let indices = e.day_indices(&rounded, REFERENCE);
                let c = e.day_counts(&indices[day_range(hours.first_day, hours.days, &period)]);
                assert_eq!(
                    c.published.to_string(),
                    r[&format!("days_published_{y}")],
                    "{at}"
                );
                assert_eq!(
                    c.not_published.to_string(),
                    r[&format!("days_NA_{y}")],
                    "{at}"
                );
                for (k, n) in c.levels.iter().enumerate() {
                    assert_eq!(n.to_string(), r[&format!("L{}_{y}", k + 1)], "{at}");
                }
                assert_eq!(c.good.to_string(), r[&format!("good_days_{y}")], "{at}");
                assert_eq!(c.heavy.to_string(), r[&format!("heavy_days_{y}")], "{at}");
                assert_eq!(
                    opt(c.good_percent),
                    r[&format!("good_ratio_pct_{y}")],
                    "{at}"
                );
                let primary: Vec<String> =
                    c.primary.iter().map(|(p, n)| format!("{p}:{n}")).collect();
                assert_eq!(
                    primary.join(";"),
                    r[&format!("primary_on_exceed_days_{y}")],
                    "{at}"
                );
                if *y == "2012" {
                    let values = e.annual_values(hours.first_day, &days, &rounded, &period);
                    assert_eq!(opt(e.composite(&values)), r["composite_index_2012"], "{at}");
                }
            }
        }
    }
}

#[test]
fn trends_of_monthly_means() {
    let e = edition("2012");
    for (set, label) in SETS {
        let Some(expected) = rows(&format!("{set}/trends.csv")) else {
            return;
        };
        for r in &expected {
            let hours = prsa(&r["station"], label).unwrap();
            let days = valid_days(&station_days(&hours, &e));
            let name = if r["item"] == "O3_8h" {
                "O3"
            } else {
                &r["item"]
            };
            let item = e.annual.iter().find(|a| a.item.indicator == *name).unwrap();
            let t = miyun_air::trend::trends(&miyun_air::trend::monthly(
                hours.first_day,
                &days[item.slot],
                item,
            ));
            let at = format!("{set} {} {name}", r["station"]);
            let (plain, seasonal) = (t.plain.unwrap(), t.seasonal.unwrap());
            assert_eq!(t.months.to_string(), r["n_months"], "{at}");
            assert_eq!(plain.s.to_string(), r["mk_S"], "{at}");
            assert_eq!(seasonal.s.to_string(), r["seasonal_mk_S"], "{at}");
            for (value, column) in [
                (plain.slope_per_year, "theil_sen_per_year"),
                (plain.z, "mk_z"),
                (plain.p, "mk_p"),
                (seasonal.slope_per_year, "seasonal_sen_per_year"),
                (seasonal.z, "seasonal_mk_z"),
                (seasonal.p, "seasonal_mk_p"),
            ] {
                let want: f64 = r[column].parse().unwrap();
                assert!(
                    (value - want).abs() <= 0.6e-6,
                    "{at} {column}: {value} {want}"
                );
            }
            assert!(
                plain.low <= plain.slope_per_year && plain.slope_per_year <= plain.high,
                "{at}"
            );
        }
    }
}
