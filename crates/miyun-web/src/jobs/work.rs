//! What jobs do. Each kind may begin again from its start without harm: an import is recognised by
//! the digests of its files, an assessment has the id of what it rests on.

use miyun_air::replay::flips;
use miyun_assess::air::plain_station;
use miyun_core::subject::SubjectKind;
use miyun_core::{Period, Subject, SubjectId, Text};
use miyun_import::Declared;
use miyun_lake::{ImportFile, Lake, RunInfo};
use miyun_store::JobKind;
use serde_json::{Value, json};

use super::{Halt, Steps};
use crate::shell::encode;

pub(super) fn work(s: &Steps, what: &JobKind) -> Result<Value, Halt> {
    match what {
        JobKind::Import {
            upload,
            name,
            city,
            interval,
        } => import(s, upload, name, city, interval.as_deref()),
        JobKind::Evaluate {
            city,
            period,
            edition,
        } => evaluate(s, city, period, edition),
        JobKind::Replay {
            city,
            period,
            from,
            to,
        } => replay(s, city, period, from, to),
    }
}

/// Problems of an import that are kept with its result.
const PROBLEMS_KEPT: usize = 100;

fn import(
    s: &Steps,
    upload: &str,
    name: &str,
    city: &str,
    interval: Option<&str>,
) -> Result<Value, Halt> {
    let p = &s.platform;
    let book = p.site.book;
    s.step("reading the file", 0, 4)?;
    let path = p.spool.join(upload);
    let bytes = std::fs::read(&path)
        .map_err(|e| Halt::Failed(format!("the upload is gone ({e}): send it again")))?;
    let digest = blake3::hash(&bytes).to_hex().to_string();
    if digest != upload {
        return Err(Halt::Failed(
            "the upload is not what was sent: send it again".into(),
        ));
    }
    let declared = Declared {
        interval: interval.map(str::parse).transpose().map_err(Halt::Failed)?,
        subject_prefix: format!("{city}/"),
        ..Declared::default()
    };
    let words = miyun_assess::words(book);
    let parsed = if name.ends_with(".parquet") {
        miyun_lake::read_parquet(name, &bytes, &declared, &words).map_err(Halt::failed)?
    } else {
        let bytes = miyun_import::unpack(name, bytes).map_err(Halt::failed)?;
        let layout = miyun_import::detect(name, &bytes).map_err(Halt::failed)?;
        miyun_import::read_csv(name, &bytes, layout, &declared, &words).map_err(Halt::failed)?
    };
    s.step("storing values", 1, 4)?;
    let problems: Vec<String> = parsed
        .problems
        .kept
        .iter()
        .take(PROBLEMS_KEPT)
        .map(ToString::to_string)
        .collect();
    let problems_total = parsed.problems.total;
    let how = parsed.series.first().map_or(String::new(), |x| {
        format!(
            "{}, UTC{:+}",
            x.series.interval.as_str(),
            f64::from(x.series.utc_offset_minutes) / 60.0
        )
    });
    let mut lake = Lake::open(p.site.lake().root()).map_err(Halt::failed)?;
    let subjects = subjects(&lake, city, &parsed.stations)?;
    let file = ImportFile {
        name: name.to_owned(),
        digest,
        declared: how,
        reviewed: false,
        parsed,
    };
    let now = p.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let report = lake
        .import(
            vec![file],
            subjects,
            &|i| miyun_assess::medium(book, i),
            &now,
        )
        .map_err(Halt::failed)?;
    // From here on the values are stored: the job is done even if somebody asks it to stop.
    p.site.reload().map_err(Halt::failed)?;
    if let Err(e) = std::fs::remove_file(&path) {
        tracing::warn!(error = %e, "an imported upload stays in the spool");
    }
    Ok(json!({
        "report": report,
        "problems_total": problems_total,
        "problems": problems,
        "link": format!("/air?city={}", encode(city)),
    }))
}

/// The city and its stations: as the lake knows them, new ones with what the file says.
fn subjects(
    lake: &Lake,
    city: &str,
    stations: &[miyun_import::Station],
) -> Result<Vec<Subject>, Halt> {
    let known = lake.subjects();
    let id: SubjectId = city.parse().map_err(Halt::failed)?;
    let city = match known.iter().find(|x| x.id == id) {
        Some(c) if c.kind == SubjectKind::City => c.clone(),
        Some(_) => return Err(Halt::Failed(format!("{id} is no city"))),
        None => Subject {
            name: Text::new(city, city),
            id,
            kind: SubjectKind::City,
            jurisdiction: "CN".parse().map_err(Halt::failed)?,
            part_of: None,
            district: None,
            lon_deg: None,
            lat_deg: None,
            zone_class: None,
            control: false,
            simulated: false,
        },
    };
    let mut out = vec![city.clone()];
    for x in stations {
        let one = known
            .iter()
            .find(|k| k.id == x.subject)
            .cloned()
            .unwrap_or_else(|| plain_station(&city, &x.subject, &x.name));
        out.push(one);
    }
    Ok(out)
}

fn place_and_time(city: &str, period: &str) -> Result<(SubjectId, Period), Halt> {
    Ok((
        city.parse().map_err(Halt::failed)?,
        period
            .parse()
            .map_err(|e: miyun_core::period::PeriodError| Halt::failed(e))?,
    ))
}

fn evaluate(s: &Steps, city: &str, period: &str, edition: &str) -> Result<Value, Halt> {
    let p = &s.platform;
    let (id, when) = place_and_time(city, period)?;
    let editions: Vec<String> = if edition == "all" {
        std::iter::once("in-force".to_owned())
            .chain(p.site.book.editions().iter().map(|e| e.id.clone()))
            .collect()
    } else {
        vec![edition.to_owned()]
    };
    let total = editions.len() as u64;
    let (mut figures, mut fresh) = (0usize, 0usize);
    for (k, e) in editions.iter().enumerate() {
        s.step(&format!("assessing under edition {e}"), k as u64, total)?;
        let ev = p
            .site
            .evaluation(&id, when, e, &None)
            .map_err(Halt::failed)?;
        let ids: Vec<u8> = ev
            .assessments
            .iter()
            .flat_map(|a| a.id.as_str().bytes())
            .collect();
        let run = RunInfo {
            run: blake3::hash(&ids).to_hex()[..24].to_owned(),
            recorded_at: p.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        };
        figures += ev.assessments.len();
        if p.site
            .lake()
            .put_assessments(&run, &ev.assessments)
            .map_err(Halt::failed)?
        {
            fresh += ev.assessments.len();
        }
    }
    s.step("done", total, total)?;
    Ok(json!({
        "figures": figures,
        "figures_new": fresh,
        "editions": editions,
        "link": format!("/api/v1/air/items?city={}&period={}&edition={}", encode(city), encode(period), encode(editions.first().map_or("in-force", String::as_str))),
    }))
}

/// Changes that are kept with the result of a replay; the number of all is kept too.
const FLIPS_KEPT: usize = 2_000;

fn replay(s: &Steps, city: &str, period: &str, from: &str, to: &str) -> Result<Value, Halt> {
    let p = &s.platform;
    let (id, when) = place_and_time(city, period)?;
    s.step(&format!("assessing under edition {from}"), 0, 3)?;
    let a = p
        .site
        .evaluation(&id, when, from, &None)
        .map_err(Halt::failed)?;
    s.step(&format!("assessing under edition {to}"), 1, 3)?;
    let b = p
        .site
        .evaluation(&id, when, to, &None)
        .map_err(Halt::failed)?;
    s.step("comparing", 2, 3)?;
    let (mut rows, mut total) = (Vec::new(), 0usize);
    for (x, y) in a.places().zip(b.places()) {
        for f in flips(
            &a.edition.edition,
            &x.series,
            &b.edition.edition,
            &y.series,
            a.first_day,
            &when,
        ) {
            total += 1;
            if rows.len() < FLIPS_KEPT {
                let word = |met: bool| if met { "attained" } else { "exceeded" };
                rows.push(json!({
                    "place": x.subject.id,
                    "date": f.date,
                    "indicator": f.indicator,
                    "value": f.value.to_string(),
                    "before": word(f.attained_a),
                    "limit_before": f.limit_a.0,
                    "clause_before": f.limit_a.1.to_string(),
                    "after": word(f.attained_b),
                    "limit_after": f.limit_b.0,
                    "clause_after": f.limit_b.1.to_string(),
                }));
            }
        }
    }
    Ok(json!({"changes": total, "shown": rows.len(), "rows": rows}))
}
