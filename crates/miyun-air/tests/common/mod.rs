//! Readers of the shared data for tests; each returns `None`, with a printed reason, where the
//! data are not beside the checkout.
#![allow(dead_code)]

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;

use miyun_air::{Edition, Hours, MISSING, Sources};
use miyun_core::observation::IntervalLabel;
use miyun_core::rule::InstrumentKind;
use miyun_core::{Date, JurisdictionId};
use miyun_rulebook::Rulebook;

pub const STATIONS: [&str; 12] = [
    "Aotizhongxin",
    "Changping",
    "Dingling",
    "Dongsi",
    "Guanyuan",
    "Gucheng",
    "Huairou",
    "Nongzhanguan",
    "Shunyi",
    "Tiantan",
    "Wanliu",
    "Wanshouxigong",
];

pub fn shared(path: &str) -> Option<PathBuf> {
    let p = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/air")
        .join(path);
    if p.exists() {
        Some(p)
    } else {
        println!("skipped: {} is not here", p.display());
        None
    }
}

/// The rows of a CSV file, gzipped or not, by column name.
pub fn rows(path: &str) -> Option<Vec<HashMap<String, String>>> {
    let p = shared(path)?;
    let raw = std::fs::read(&p).unwrap();
    let mut text = String::new();
    if path.ends_with(".gz") {
        flate2::read::GzDecoder::new(raw.as_slice())
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text = String::from_utf8(raw).unwrap();
    }
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    Some(
        reader
            .records()
            .map(|r| {
                header
                    .iter()
                    .zip(r.unwrap().iter())
                    .map(|(h, v)| (h.to_owned(), v.to_owned()))
                    .collect()
            })
            .collect(),
    )
}

/// Hours of one PRSA station, 2013-03-01 to 2017-02-28, read under `label`.
pub fn prsa(station: &str, label: IntervalLabel) -> Option<Hours> {
    let first = Date::constant(2013, 3, 1);
    let mut hours = Hours::empty(first, 1461);
    let columns = ["SO2", "NO2", "CO", "O3", "PM10", "PM2.5"];
    let mut series = vec![vec![MISSING; hours.days * 24]; columns.len()];
    let raw = std::fs::read(shared(&format!(
        "prsa/PRSA_Data_{station}_20130301-20170228.csv.gz"
    ))?)
    .unwrap();
    let mut reader = csv::Reader::from_reader(flate2::read::GzDecoder::new(raw.as_slice()));
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|h| h == name).unwrap();
    let (y, m, d, h) = (at("year"), at("month"), at("day"), at("hour"));
    let cols: Vec<usize> = columns.iter().map(|c| at(c)).collect();
    for record in reader.records() {
        let r = record.unwrap();
        let date = Date::new(
            r[y].parse().unwrap(),
            r[m].parse().unwrap(),
            r[d].parse().unwrap(),
        )
        .unwrap();
        let Some(i) = hours.index(
            i64::from((date - first).get_days()),
            r[h].parse().unwrap(),
            label,
        ) else {
            continue;
        };
        for (k, c) in cols.iter().enumerate() {
            if &r[*c] != "NA" {
                let value: miyun_core::Decimal = r[*c].parse().unwrap();
                let value = if columns[k] == "CO" {
                    value / miyun_core::Decimal::ONE_THOUSAND
                } else {
                    value
                };
                series[k][i] = miyun_air::exact::steps_of(value).unwrap();
            }
        }
    }
    hours.series = columns
        .iter()
        .zip(series)
        .map(|(c, s)| (c.parse().unwrap(), s.into()))
        .collect();
    Some(hours)
}

/// An edition for Beijing, class 2.
pub fn edition(name: &str) -> Edition {
    let book = Rulebook::embedded();
    let on = book.edition("air", name).unwrap().as_of;
    let place: JurisdictionId = "CN/11".parse().unwrap();
    let method = |role| {
        book.in_force(InstrumentKind::Method, "air", role, &place, on)
            .unwrap()
    };
    let criterion = book
        .in_force(InstrumentKind::QualityStandard, "air", "", &place, on)
        .unwrap();
    let sources = Sources {
        criterion,
        index: method("index"),
        method: method("evaluation"),
        ranking: Some(method("ranking")),
    };
    let stage = criterion.stage_on(on).map(|s| s.id.clone());
    Edition::compile(sources, stage.as_deref(), "2").unwrap()
}
