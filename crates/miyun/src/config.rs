//! The one configuration file. Every field has a default, so that no file is a valid one too.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use miyun_web::app::Settings;
use serde::Deserialize;

use crate::telemetry::Traces;

/// Name of the file that is read if none is named.
pub const FILE: &str = "miyun.toml";

/// How the program logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document a line.
    Json,
}

/// What an installation chooses.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder of the lake.
    pub lake: PathBuf,
    /// Where the records are: `sqlite:FILE` or `postgres://USER@HOST/NAME`.
    pub records: Option<String>,
    /// Folder of uploads that wait for an import.
    pub spool: Option<PathBuf>,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// How the program logs.
    pub log: LogFormat,
    /// Where traces go; nowhere if absent.
    pub traces: Option<Traces>,
    /// The platform's own settings.
    pub web: Settings,
    /// Where this was read, for messages.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lake: crate::cmd::LAKE.into(),
            records: None,
            spool: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8212)),
            log: LogFormat::Text,
            traces: None,
            web: Settings::default(),
            file: None,
        }
    }
}

impl Config {
    /// The configuration of `file`, or of `miyun.toml` here if there is one; `lake` wins over it.
    /// Paths in a file are relative to its folder.
    pub fn read(file: Option<&Path>, lake: Option<&Path>) -> Result<Self> {
        let found = file
            .map(Path::to_owned)
            .or_else(|| Some(PathBuf::from(FILE)).filter(|f| f.exists()));
        let mut config = match found {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("configuration {}", path.display()))?;
                let mut c = Self::parse(&text)
                    .with_context(|| format!("configuration {}", path.display()))?;
                let base = path.parent().map(Path::to_owned).unwrap_or_default();
                c.lake = base.join(&c.lake);
                c.spool = c.spool.map(|s| base.join(s));
                c.records = c.records.map(|r| match r.strip_prefix("sqlite:") {
                    Some(f) if !f.starts_with(":memory:") => {
                        format!("sqlite:{}", base.join(f).display())
                    }
                    _ => r,
                });
                c.file = Some(path);
                c
            }
        };
        if let Some(lake) = lake {
            config.lake = lake.to_owned();
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(toml_edit::de::from_str(text)?)
    }

    /// URL of the records; a file beside the lake if none is named.
    pub fn records_url(&self) -> String {
        self.records
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", self.lake.join("records.db").display()))
    }

    /// Folder of uploads.
    pub fn spool(&self) -> PathBuf {
        self.spool
            .clone()
            .unwrap_or_else(|| self.lake.join("spool"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_says_the_defaults() {
        let sample = include_str!("../../../miyun.sample.toml");
        // Every setting is in the sample, commented out with its default.
        let text: String = sample
            .lines()
            .filter_map(|l| l.strip_prefix("#: "))
            .map(|l| format!("{l}\n"))
            .collect();
        let c = Config::parse(&text).unwrap();
        let d = Config::default();
        assert_eq!((c.lake, c.listen, c.log), (d.lake, d.listen, d.log));
        assert_eq!(c.web.session_hours, d.web.session_hours);
        assert_eq!(c.web.session_idle_minutes, d.web.session_idle_minutes);
        assert_eq!(c.web.api_requests_per_minute, d.web.api_requests_per_minute);
        assert_eq!(c.web.sign_ins_per_minute, d.web.sign_ins_per_minute);
        assert_eq!(c.web.upload_mib_max, d.web.upload_mib_max);
        assert_eq!(
            (c.web.https, c.web.behind_proxy),
            (d.web.https, d.web.behind_proxy)
        );
        assert!(c.web.oidc.is_some() && c.records.is_some() && c.spool.is_some());
        assert!(
            c.traces
                .is_some_and(|t| t.share == 1.0 && t.service == "miyun")
        );
        // As it stands, the sample changes nothing.
        let as_it_stands = Config::parse(sample).unwrap();
        assert!(as_it_stands.web.oidc.is_none() && as_it_stands.traces.is_none());
    }

    #[test]
    fn a_word_that_is_no_setting_is_named() {
        let e = format!(
            "{:#}",
            Config::parse("lsiten = \"127.0.0.1:1\"").unwrap_err()
        );
        assert!(e.contains("lsiten") && e.contains("line 1"), "{e}");
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("miyun.toml");
        std::fs::write(&file, "lake = \"data\"\nrecords = \"sqlite:r.db\"\n").unwrap();
        let c = Config::read(Some(&file), None).unwrap();
        assert_eq!(c.lake, dir.path().join("data"));
        assert_eq!(
            c.records_url(),
            format!("sqlite:{}", dir.path().join("r.db").display())
        );
        assert_eq!(
            Config::read(Some(&file), Some(Path::new("x")))
                .unwrap()
                .lake,
            Path::new("x")
        );
    }
}
