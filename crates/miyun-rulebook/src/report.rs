//! What the commands show: lists, differences, exports. Plain data; printing is for the edge.

use miyun_core::rule::{Body, InstrumentKind};
use miyun_core::{Instrument, Period};
use serde::Serialize;

/// One line of the list of instruments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListRow {
    /// Id.
    pub id: String,
    /// Chinese title.
    pub title_zh: String,
    /// English title.
    pub title_en: String,
    /// Kind.
    pub kind: InstrumentKind,
    /// Medium.
    pub medium: String,
    /// Jurisdiction.
    pub jurisdiction: String,
    /// When it is in force.
    pub in_force: Period,
    /// Tables, and how many of them nobody has read in the instrument.
    pub tables: usize,
    /// Tables that are not verified.
    pub tables_unverified: usize,
}

/// The list of instruments.
#[must_use]
pub fn list(instruments: &[Instrument]) -> Vec<ListRow> {
    instruments
        .iter()
        .map(|i| ListRow {
            id: i.id.to_string(),
            title_zh: i.title.zh.clone(),
            title_en: i.title.en.clone(),
            kind: i.kind,
            medium: i.medium.clone(),
            jurisdiction: i.jurisdiction.to_string(),
            in_force: i.in_force,
            tables: i.tables.len(),
            tables_unverified: i.tables.iter().filter(|t| !t.verified).count(),
        })
        .collect()
}

/// One cell of an instrument, flat: what exports and differences are made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CellRow {
    /// Instrument.
    pub instrument: String,
    /// Table id.
    pub table: String,
    /// Clause.
    pub clause: String,
    /// Rule kind.
    pub kind: &'static str,
    /// What the cell is about: indicator, statistic, stage, class, as far as they apply.
    pub key: String,
    /// The value as printed, with its unit.
    pub value: String,
    /// False if the cell was not read in the instrument.
    pub verified: bool,
}

/// Every cell of an instrument.
#[must_use]
pub fn cells(i: &Instrument) -> Vec<CellRow> {
    let mut out = Vec::new();
    for t in &i.tables {
        let mut push = |key: String, value: String, verified: bool| {
            out.push(CellRow {
                instrument: i.id.to_string(),
                table: t.id.clone(),
                clause: t.clause.clone(),
                kind: t.body.kind(),
                key,
                value,
                verified: t.verified && verified,
            });
        };
        match &t.body {
            Body::Limit(rows) => rows.iter().for_each(|r| {
                let parts = [r.stage.as_deref(), r.class.as_deref()]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("/");
                push(
                    format!("{} {} {parts}", r.indicator, r.statistic)
                        .trim_end()
                        .to_owned(),
                    format!("{} {}", r.value, r.unit),
                    r.verified,
                );
            }),
            Body::Breakpoints(b) => {
                for c in &b.columns {
                    for (index, point) in b.index.iter().zip(&c.points) {
                        push(
                            format!("{} {} {}={index}", c.indicator, c.statistic, b.output),
                            format!("{point} {}", c.unit),
                            true,
                        );
                    }
                    push(
                        format!("{} {} above", c.indicator, c.statistic),
                        format!("{:?}", c.above),
                        true,
                    );
                }
            }
            Body::Bands(rows) => rows.iter().for_each(|r| {
                let opt =
                    |v: Option<miyun_core::Decimal>| v.map_or("…".to_owned(), |v| v.to_string());
                push(
                    format!("{} {} {}", r.indicator, r.statistic, r.category),
                    format!(
                        "{}–{} {} = {}–{}",
                        r.low,
                        opt(r.high),
                        r.unit,
                        r.index_low,
                        opt(r.index_high)
                    ),
                    true,
                );
            }),
            Body::Validity(rows) => rows.iter().for_each(|r| {
                let unless = r
                    .unless
                    .as_ref()
                    .map_or(String::new(), |u| format!(" unless {u}"));
                push(
                    format!("{} {} per {}", r.indicator, r.statistic, r.per),
                    format!("{} {}{unless}", r.at_least, r.of),
                    r.verified,
                );
            }),
            Body::Level(rows) => rows.iter().for_each(|r| {
                push(
                    format!("level {}", r.level),
                    format!(
                        "{}–{} {} {}",
                        r.low,
                        r.high.map_or("…".into(), |h| h.to_string()),
                        r.name.zh,
                        r.name.en
                    ),
                    true,
                );
            }),
            Body::Item(rows) => rows.iter().for_each(|r| {
                let p = r.percentile.map_or(String::new(), |p| format!(" p{p}"));
                let w = r.weight.map_or(String::new(), |w| format!(" weight {w}"));
                push(
                    format!("{} {}", r.indicator, r.statistic),
                    format!("of {}{p} against {}{w}", r.of, r.limit),
                    r.verified,
                );
            }),
            Body::Rounding(rows) => rows.iter().for_each(|r| {
                push(
                    format!("{} {}", r.of, r.step),
                    format!("{} decimals, {}", r.decimals, r.rule.as_str()),
                    r.verified,
                )
            }),
            Body::Parameter(rows) => rows.iter().for_each(|r| {
                let of = r
                    .indicator
                    .as_ref()
                    .map_or(String::new(), |i| format!(" {i}"));
                push(
                    format!("{}{of}", r.name),
                    format!("{} {}", r.value, r.unit).trim_end().to_owned(),
                    r.verified,
                );
            }),
            Body::Trigger(rows) => rows.iter().for_each(|r| {
                let with = r
                    .with_above
                    .zip(r.with_days)
                    .map_or(String::new(), |(a, d)| format!(", > {a} on {d} d"));
                push(
                    format!(
                        "{} {} {} for {} d{with}",
                        r.level, r.statistic, r.metric, r.days
                    ),
                    format!("> {}", r.above),
                    r.verified,
                );
            }),
            Body::Condition(rows) => rows.iter().for_each(|r| {
                let state = r
                    .temperature_k
                    .zip(r.pressure_hpa)
                    .map_or("as measured".to_owned(), |(t, p)| format!("{t} K, {p} hPa"));
                push(format!("{} state", r.indicator), state, true);
            }),
        }
    }
    out
}

/// One difference between two instruments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Rule kind.
    pub kind: &'static str,
    /// What the cell is about.
    pub key: String,
    /// Value in the first, `None` if it has no such cell.
    pub a: Option<String>,
    /// Clause in the first.
    pub clause_a: String,
    /// Value in the second.
    pub b: Option<String>,
    /// Clause in the second.
    pub clause_b: String,
    /// False if either cell was not read in its instrument.
    pub verified: bool,
}

/// The cells in which `b` differs from `a`. A stage of one is compared with the stageless cells of
/// the other under `stage_b`.
#[must_use]
pub fn diff(a: &Instrument, b: &Instrument) -> Vec<Difference> {
    let keyed = |i: &Instrument| -> Vec<(&'static str, String, CellRow)> {
        cells(i)
            .into_iter()
            .map(|c| (c.kind, c.key.clone(), c))
            .collect()
    };
    let (left, right) = (spread(a, b, keyed(a)), spread(b, a, keyed(b)));
    let mut out = Vec::new();
    for (kind, key, c) in &left {
        match right.iter().find(|(k, y, _)| (k, y) == (kind, key)) {
            Some((_, _, d)) if d.value == c.value => {}
            other => out.push(Difference {
                kind,
                key: key.clone(),
                a: Some(c.value.clone()),
                clause_a: c.clause.clone(),
                b: other.map(|(_, _, d)| d.value.clone()),
                clause_b: other.map_or(String::new(), |(_, _, d)| d.clause.clone()),
                verified: c.verified && other.is_none_or(|(_, _, d)| d.verified),
            }),
        }
    }
    for (kind, key, d) in right
        .iter()
        .filter(|(k, y, _)| !left.iter().any(|(l, z, _)| (l, z) == (k, y)))
    {
        out.push(Difference {
            kind,
            key: key.clone(),
            a: None,
            clause_a: String::new(),
            b: Some(d.value.clone()),
            clause_b: d.clause.clone(),
            verified: d.verified,
        });
    }
    out
}

/// If only the other instrument has stages, repeats stageless limit cells once per stage, so that
/// each stage has something to be compared with.
fn spread(
    own: &Instrument,
    other: &Instrument,
    rows: Vec<(&'static str, String, CellRow)>,
) -> Vec<(&'static str, String, CellRow)> {
    if !own.stages.is_empty() || other.stages.is_empty() {
        return rows;
    }
    rows.into_iter()
        .flat_map(|(kind, key, c)| {
            let keys = match (kind, key.rsplit_once(' ')) {
                ("limit", Some((head, class))) => other
                    .stages
                    .iter()
                    .map(|s| format!("{head} {}/{class}", s.id))
                    .collect(),
                _ => vec![key],
            };
            keys.into_iter().map(move |k| (kind, k, c.clone()))
        })
        .collect()
}
