use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use miyun_core::text::Lang;
use miyun_core::{Date, Problem};
use miyun_lake::Lake;
use miyun_plan::{PlanStatus, Standing};
use miyun_rulebook::Rulebook;
use miyun_web::figures::LakeFigures;
use miyun_web::server::Site;

use crate::out::{Format, Rows, line, opt, print};

/// Plans as data: measures bound to indicators, and where each stands.
#[derive(Subcommand)]
pub enum Plan {
    /// Check plan files: every problem with file, line, column and fix.
    ///
    /// Example: miyun plan check plans/
    Check(Files),
    /// List the plans.
    ///
    /// Example: miyun plan list
    List(Files),
    /// Where each measure stands on a day: on track, at risk, missed, no data, not yet bound.
    ///
    /// Example: miyun plan status --plan beijing-2024 --on 2024-09-30
    Status(Status),
}

#[derive(Args)]
pub struct Files {
    /// Files or folders to read instead of the plans in the program.
    files: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Args)]
pub struct Status {
    /// Id of a plan in the program, or a plan file.
    #[arg(long, default_value = "beijing-2024")]
    plan: String,
    /// The day; today if not given.
    #[arg(long, value_parser = super::date)]
    on: Option<Date>,
    /// Language of the words: en or zh.
    #[arg(long, default_value = "en", value_parser = super::lang)]
    lang: Lang,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Plan {
    pub fn run(self, lake: &Path) -> Result<()> {
        match self {
            Self::Check(c) => check(&c),
            Self::List(c) => list(&c),
            Self::Status(c) => c.run(lake),
        }
    }
}

/// Plans and problems of files, or of the program's own plans.
fn read(files: &[PathBuf]) -> Result<(Vec<miyun_plan::Plan>, Vec<Problem>)> {
    let words = Rulebook::embedded().vocabulary();
    let mut texts = std::collections::BTreeMap::new();
    for path in files {
        super::rulebook::collect(path, &mut texts)?;
    }
    if files.is_empty() {
        let own = miyun_plan::EMBEDDED;
        texts.extend(own.map(|(n, t)| (n.to_owned(), t.to_owned())));
    }
    let mut plans = Vec::new();
    let mut problems = Vec::new();
    for (name, text) in &texts {
        let (plan, found) = miyun_plan::read(name, text, words);
        plans.extend(plan);
        problems.extend(found);
    }
    Ok((plans, problems))
}

fn check(c: &Files) -> Result<()> {
    let (plans, problems) = read(&c.files)?;
    super::print_problems(c.format, &problems)?;
    if !problems.is_empty() {
        bail!("{} problems in {} plans", problems.len(), plans.len());
    }
    eprintln!("{} plans, no problem", plans.len());
    Ok(())
}

fn list(c: &Files) -> Result<()> {
    let (plans, _) = read(&c.files)?;
    print(c.format, &plans, || {
        let mut rows = Rows::new(&["plan", "title", "title_zh", "period", "measures#", "bound#"]);
        for p in &plans {
            let bound = p.measures.iter().filter(|m| !m.indicators.is_empty());
            rows.push(vec![
                p.id.clone(),
                p.title.en.clone(),
                p.title.zh.clone(),
                p.period.to_string(),
                p.measures.len().to_string(),
                bound.count().to_string(),
            ]);
        }
        rows
    })
}

impl Status {
    fn run(&self, lake: &Path) -> Result<()> {
        let path = PathBuf::from(&self.plan);
        let files: Vec<PathBuf> = path.is_file().then_some(path).into_iter().collect();
        let (plans, problems) = read(&files)?;
        for p in &problems {
            eprintln!("{p}");
        }
        let plan = if files.is_empty() {
            plans.iter().find(|p| p.id == self.plan).with_context(|| {
                let known: Vec<&str> = plans.iter().map(|p| p.id.as_str()).collect();
                format!(
                    "--plan {:?} is no file and no known plan: {}",
                    self.plan,
                    known.join(", ")
                )
            })?
        } else {
            plans.first().context("the plan file has no usable plan")?
        };
        let on = self.on.unwrap_or_else(super::today);
        let lake = Lake::open(lake)?;
        let site = Site::new(lake, Rulebook::embedded(), Vec::new(), on);
        let figures = LakeFigures::new(&site, None);
        let status = miyun_plan::status(plan, on, &figures);
        let all: Vec<_> = status
            .measures
            .iter()
            .flat_map(|m| &m.indicators)
            .filter_map(|i| Some(i.figure.as_ref()?.assessment.clone()))
            .collect();
        super::keep(&site.lake(), &all)?;
        print(self.format, &status, || rows(&status, self.lang))?;
        if self.format == Format::Table {
            line(&coverage(&status))?;
        }
        Ok(())
    }
}

fn rows(s: &PlanStatus, lang: Lang) -> Rows {
    let mut rows = Rows::new(&[
        "row",
        "measure",
        "status",
        "indicator",
        "value#",
        "target#",
        "unit",
        "in words",
        "why",
    ]);
    for m in &s.measures {
        let head = |standing: Standing| {
            vec![
                m.measure.row.clone(),
                m.measure.title.get(lang).to_owned(),
                standing.text().get(lang).to_owned(),
            ]
        };
        for i in &m.indicators {
            let a = i.figure.as_ref().map(|f| &f.assessment);
            let mut cells = head(i.standing);
            cells.extend([
                format!("{} {}", i.indicator.indicator, i.indicator.statistic),
                opt(a.and_then(|a| a.value)),
                opt(i.target),
                i.indicator.unit.to_string(),
                format!(
                    "{}{}{}",
                    i.words.get(lang),
                    if i.target_clause.is_empty() {
                        String::new()
                    } else {
                        format!(" [{}]", i.target_clause)
                    },
                    if i.indicator.verified {
                        ""
                    } else {
                        " (target not verified)"
                    }
                ),
                a.map_or(String::new(), |a| a.id.to_string()),
            ]);
            rows.push(cells);
        }
        if m.indicators.is_empty() {
            let mut cells = head(m.standing);
            let needs = m.measure.needs.as_ref().map_or("", |n| n.get(lang));
            cells.extend(["", "", "", ""].map(String::from));
            cells.extend([format!("needs {needs}"), String::new()]);
            rows.push(cells);
        }
    }
    rows
}

/// What the plan honestly watches.
fn coverage(s: &PlanStatus) -> String {
    let c = s.coverage;
    format!(
        "{} on {}: {} measures, {} bound to indicators, {} with data enough to judge, {} not yet bound{}\n",
        s.plan,
        s.on,
        c.measures,
        c.bound,
        c.judged,
        c.measures - c.bound,
        if s.simulated {
            "; SIMULATED city, measured nowhere"
        } else {
            ""
        }
    )
}
