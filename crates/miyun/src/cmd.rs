//! One module per command.

pub mod air;
pub mod backup;
pub mod doctor;
pub mod forensics;
pub mod gateway;
pub mod hj212;
pub mod import;
pub mod lake;
pub mod ledger;
pub mod plan;
pub mod registry;
pub mod replay;
pub mod rulebook;
pub mod serve;
pub mod simulate;
pub mod sql;
pub mod user;
pub mod why;

use miyun_core::text::Lang;
use miyun_core::{Period, Problem};

use crate::out::{Format, Rows, line, print};

/// Folder of the lake if none is named.
pub const LAKE: &str = "miyun-data";

/// The day by the machine's clock, in UTC+8: the days of plans and of loggers are Beijing's, wherever
/// the machine thinks that it stands.
pub fn today() -> miyun_core::Date {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    zone.to_datetime(jiff::Timestamp::now()).date()
}

/// The moment by the machine's clock, RFC 3339 UTC.
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Keeps assessments in the lake, so that their ids can be asked for.
pub fn keep(lake: &miyun_lake::Lake, assessments: &[miyun_core::Assessment]) -> anyhow::Result<()> {
    let ids: Vec<u8> = assessments
        .iter()
        .flat_map(|a| a.id.as_str().bytes())
        .collect();
    let run = miyun_lake::RunInfo {
        run: blake3::hash(&ids).to_hex()[..24].to_owned(),
        recorded_at: now(),
    };
    lake.put_assessments(&run, assessments)?;
    Ok(())
}

/// A language option.
pub fn lang(text: &str) -> Result<Lang, String> {
    match text {
        "zh" => Ok(Lang::Zh),
        "en" => Ok(Lang::En),
        other => Err(format!("{other:?} is no language here: use en or zh")),
    }
}

/// Problems of files that people write: one paragraph each, or rows for programs.
pub fn print_problems(format: Format, problems: &[Problem]) -> anyhow::Result<()> {
    if format == Format::Table {
        return problems.iter().try_for_each(|p| line(&format!("{p}\n")));
    }
    print(format, &problems, || {
        let mut rows = Rows::new(&["file", "line#", "column#", "code", "field", "reason", "fix"]);
        for p in problems {
            rows.push(vec![
                p.file.clone(),
                p.line.to_string(),
                p.column.to_string(),
                p.code.clone(),
                p.field.clone(),
                p.reason.clone(),
                p.fix.clone(),
            ]);
        }
        rows
    })
}

/// A period option.
pub fn period(text: &str) -> Result<Period, String> {
    text.parse()
        .map_err(|e: miyun_core::period::PeriodError| e.to_string())
}

/// A date option.
pub fn date(text: &str) -> Result<miyun_core::Date, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a date: write 2026-03-01"))
}

/// A label option.
pub fn interval(text: &str) -> Result<miyun_core::IntervalLabel, String> {
    text.parse()
}
