//! Place tables: cities and stations as CSV.

use anyhow::{Context, Result, bail};
use miyun_core::subject::SubjectKind;
use miyun_core::{Subject, Text};

/// Places known without a file.
const BUILT_IN: [(&str, &str); 1] = [("beijing", include_str!("../../../places/beijing.csv"))];

#[derive(serde::Deserialize)]
struct Row {
    id: String,
    kind: String,
    name_zh: String,
    name_en: String,
    jurisdiction: String,
    part_of: String,
    district_zh: String,
    district_en: String,
    lon_deg: Option<f64>,
    lat_deg: Option<f64>,
    zone_class: String,
    control: bool,
}

/// The built-in places of a city, empty if there are none.
pub fn built_in(city: &str) -> Result<Vec<Subject>> {
    match BUILT_IN.iter().find(|(n, _)| *n == city) {
        Some((n, text)) => read(n, text),
        None => Ok(Vec::new()),
    }
}

/// Reads a place table; errors name file and line.
pub fn read(file: &str, text: &str) -> Result<Vec<Subject>> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let mut out = Vec::new();
    for row in reader.deserialize::<Row>() {
        let row = row.with_context(|| format!("{file}: not a place table"))?;
        out.push(subject(row).with_context(|| format!("{file}: place {}", out.len() + 1))?);
    }
    Ok(out)
}

fn subject(r: Row) -> Result<Subject> {
    let kind = match r.kind.as_str() {
        "city" => SubjectKind::City,
        "station" => SubjectKind::Station,
        other => bail!("unknown kind {other:?}: use city or station"),
    };
    let some = |t: String| Some(t).filter(|t| !t.is_empty());
    Ok(Subject {
        id: r.id.parse().with_context(|| format!("id {:?}", r.id))?,
        kind,
        name: Text::new(r.name_zh, r.name_en),
        jurisdiction: r.jurisdiction.parse().context("jurisdiction")?,
        part_of: some(r.part_of)
            .map(|p| p.parse())
            .transpose()
            .context("part_of")?,
        district: some(r.district_zh).map(|zh| Text::new(zh, r.district_en)),
        lon_deg: r.lon_deg,
        lat_deg: r.lat_deg,
        zone_class: some(r.zone_class),
        control: r.control,
        simulated: false,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_places_read() {
        let places = super::built_in("beijing").unwrap();
        assert_eq!(places.len(), 13);
        assert_eq!(places.iter().filter(|p| p.control).count(), 1);
        assert!(super::read("x.csv", "id,kind\n1,2\n").is_err());
    }
}
