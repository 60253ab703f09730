//! Watched folders: CSV and Parquet files go into the lake by the import path that `miyun import`
//! takes, then to `done/`; what cannot be read goes to `refused/` with the reason beside it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use miyun_gateway::settings::Watched;
use miyun_lake::Lake;

use crate::cmd::import::{How, import};

/// A file must have rested this long: it may still be being written.
const RESTED: Duration = Duration::from_secs(2);
/// Files of one run.
const FILES_MAX: usize = 200;

/// Imports what is new in a folder.
pub fn sweep(w: &Watched, lake: &Path, city: &str) -> Result<()> {
    let (done, refused) = (w.path.join("done"), w.path.join("refused"));
    for d in [&done, &refused] {
        std::fs::create_dir_all(d).with_context(|| d.display().to_string())?;
    }
    let how = How {
        city: if w.prefix.is_empty() {
            city.to_owned()
        } else {
            w.prefix.trim_end_matches('/').to_owned()
        },
        places: None,
        interval: Some(w.interval.parse().map_err(anyhow::Error::msg)?),
        tz: w.tz.clone(),
        units: w.units.iter().map(|(i, u)| format!("{i}={u}")).collect(),
        layout: None,
    };
    let mut files: Vec<_> = std::fs::read_dir(&w.path)
        .with_context(|| w.path.display().to_string())?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_file() && is_data(p) && rested(p))
        .collect();
    files.sort();
    for path in files.into_iter().take(FILES_MAX) {
        let name = path.file_name().unwrap_or_default().to_owned();
        let read = Lake::open(lake)
            .map_err(anyhow::Error::from)
            .and_then(|mut l| import(&mut l, std::slice::from_ref(&path), &how));
        let to = match read {
            Ok(r) => {
                tracing::info!(
                    "{}: {} values new, {} revised, {} problems",
                    path.display(),
                    r.report.values_new,
                    r.report.values_revised,
                    r.problems_total
                );
                if r.problems_total > 0 {
                    let text: String = r.problems.iter().map(|p| format!("{p}\n")).collect();
                    std::fs::write(done.join(&name).with_extension("problems.txt"), text)?;
                }
                &done
            }
            // Another import holds the lake: the file stays for the next run.
            Err(e)
                if e.chain().any(|c| {
                    matches!(c.downcast_ref(), Some(miyun_lake::LakeError::Locked(_)))
                }) =>
            {
                continue;
            }
            Err(e) => {
                tracing::warn!("{}: refused: {e:#}", path.display());
                std::fs::write(
                    refused.join(&name).with_extension("reason.txt"),
                    format!("{e:#}\n"),
                )?;
                &refused
            }
        };
        std::fs::rename(&path, to.join(&name)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn is_data(p: &Path) -> bool {
    let name = p
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    [".csv", ".csv.gz", ".parquet"]
        .iter()
        .any(|e| name.ends_with(e))
        && name != "stations.csv"
}

fn rested(p: &Path) -> bool {
    std::fs::metadata(p)
        .and_then(|m| m.modified())
        .is_ok_and(|t| {
            SystemTime::now()
                .duration_since(t)
                .is_ok_and(|d| d >= RESTED)
        })
}
