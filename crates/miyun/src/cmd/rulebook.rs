use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use miyun_core::rule::InstrumentKind;
use miyun_core::{Date, Problem};
use miyun_rulebook::{EMBEDDED, Query, Rulebook as Book, report};

use crate::out::{Format, Rows, line, print};

/// Example: miyun rulebook show CN/GB-3095-2026 --on 2031-01-01
#[derive(Subcommand)]
pub enum Rulebook {
    /// Check rule files: every problem with file, line, column and fix.
    ///
    /// Example: miyun rulebook check rulebook/
    Check(Check),
    /// List instruments.
    ///
    /// Example: miyun rulebook list --on 2026-03-01
    List(List),
    /// Show one instrument, its tables as printed.
    ///
    /// Example: miyun rulebook show CN/HJ-633-2026
    Show(Show),
    /// Which rule decides, for an indicator, statistic, class of place and date.
    ///
    /// Example: miyun rulebook resolve --indicator PM2.5 --statistic daily-mean --on 2026-03-01
    Resolve(Resolve),
    /// Cells in which two instruments differ.
    ///
    /// Example: miyun rulebook diff CN/GB-3095-2012 CN/GB-3095-2026
    Diff(Diff),
    /// Every cell of every instrument, for other programs.
    ///
    /// Example: miyun rulebook export --format csv
    Export(Export),
}

#[derive(Args)]
pub struct Source {
    /// Files or folders to read instead of the rulebook in the program. Vocabulary is taken from
    /// the program if the files have none.
    files: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    source: Source,
}

#[derive(Args)]
pub struct List {
    /// Only what is in force on this day.
    #[arg(long, value_parser = super::date)]
    on: Option<Date>,
    #[command(flatten)]
    source: Source,
}

#[derive(Args)]
pub struct Show {
    /// The instrument, for example CN/GB-3095-2026.
    id: String,
    /// Only the stage that holds on this day.
    #[arg(long, value_parser = super::date)]
    on: Option<Date>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Args)]
pub struct Resolve {
    /// What is measured, for example PM2.5.
    #[arg(long)]
    indicator: String,
    /// Over what it is taken, for example daily-mean.
    #[arg(long)]
    statistic: String,
    /// Where: CN/11 is Beijing.
    #[arg(long, default_value = "CN/11")]
    jurisdiction: String,
    /// Class of the place.
    #[arg(long, default_value = "2")]
    class: String,
    /// When.
    #[arg(long, value_parser = super::date)]
    on: Date,
    /// A value to judge.
    #[arg(long)]
    value: Option<miyun_core::Decimal>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Args)]
pub struct Diff {
    /// The first instrument.
    a: String,
    /// The second.
    b: String,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Args)]
pub struct Export {
    /// How to print.
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

impl Rulebook {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Check(c) => check(&c.source),
            Self::List(c) => list(&c),
            Self::Show(c) => show(&c),
            Self::Resolve(c) => resolve(&c),
            Self::Diff(c) => diff(&c),
            Self::Export(c) => {
                let rows: Vec<_> = Book::embedded()
                    .instruments()
                    .iter()
                    .flat_map(report::cells)
                    .collect();
                print(c.format, &rows, || cell_rows(&rows))
            }
        }
    }
}

fn read(source: &Source) -> Result<(Book, Vec<Problem>)> {
    if source.files.is_empty() {
        return Ok(Book::from_files(EMBEDDED.iter().map(|(n, t)| (*n, *t))));
    }
    let mut files = BTreeMap::new();
    for path in &source.files {
        collect(path, &mut files)?;
    }
    let has_words = files.values().any(|t: &String| t.contains("[vocabulary]"));
    let words = EMBEDDED
        .iter()
        .filter(|(n, _)| !has_words && n.contains("/vocabulary/"))
        .copied();
    Ok(Book::from_files(words.chain(
        files.iter().map(|(n, t)| (n.as_str(), t.as_str())),
    )))
}

/// Texts of the TOML files below `path`.
pub fn collect(path: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    let context = || format!("{}", path.display());
    if path.is_dir() {
        for entry in std::fs::read_dir(path).with_context(context)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.extension().is_some_and(|e| e == "toml") {
        files.insert(
            path.display().to_string(),
            std::fs::read_to_string(path).with_context(context)?,
        );
    }
    Ok(())
}

fn check(source: &Source) -> Result<()> {
    let (book, problems) = read(source)?;
    super::print_problems(source.format, &problems)?;
    if !problems.is_empty() {
        bail!(
            "{} problems in {} instruments",
            problems.len(),
            book.instruments().len()
        );
    }
    eprintln!(
        "{} instruments, {} cells, no problem",
        book.instruments().len(),
        book.instruments()
            .iter()
            .map(|i| report::cells(i).len())
            .sum::<usize>()
    );
    Ok(())
}

fn list(c: &List) -> Result<()> {
    let (book, _) = read(&c.source)?;
    let kept: Vec<_> = book
        .instruments()
        .iter()
        .filter(|i| c.on.is_none_or(|d| i.in_force.contains(d)))
        .cloned()
        .collect();
    let list = report::list(&kept);
    print(c.source.format, &list, || {
        let mut rows = Rows::new(&[
            "instrument",
            "title",
            "名称",
            "in force",
            "tables#",
            "not verified#",
        ]);
        for r in &list {
            rows.push(vec![
                r.id.clone(),
                r.title_en.clone(),
                r.title_zh.clone(),
                r.in_force.to_string(),
                r.tables.to_string(),
                r.tables_unverified.to_string(),
            ]);
        }
        rows
    })
}

fn find<'b>(book: &'b Book, id: &str) -> Result<&'b miyun_core::Instrument> {
    book.instrument(id).with_context(|| {
        let ids: Vec<&str> = book.instruments().iter().map(|i| i.id.as_str()).collect();
        format!("no instrument {id:?}; there is: {}", ids.join(", "))
    })
}

fn cell_rows(cells: &[report::CellRow]) -> Rows {
    let mut rows = Rows::new(&[
        "instrument",
        "table",
        "clause",
        "kind",
        "key",
        "value",
        "verified",
    ]);
    for c in cells {
        rows.push(vec![
            c.instrument.clone(),
            c.table.clone(),
            c.clause.clone(),
            c.kind.to_owned(),
            c.key.clone(),
            c.value.clone(),
            c.verified.to_string(),
        ]);
    }
    rows
}

fn show(c: &Show) -> Result<()> {
    let i = find(Book::embedded(), &c.id)?;
    let stage = c.on.and_then(|d| i.stage_on(d)).map(|s| s.id.clone());
    if let Some(d) = c.on.filter(|d| !i.in_force.contains(*d)) {
        eprintln!("note: {} is not in force on {d} ({})", i.id, i.in_force);
    }
    let other_stage = |key: &str| {
        stage.as_ref().is_some_and(|s| {
            i.stages
                .iter()
                .any(|o| o.id != *s && key.contains(&format!(" {}/", o.id)))
        })
    };
    let cells: Vec<_> = report::cells(i)
        .into_iter()
        .filter(|r| !other_stage(&r.key))
        .collect();
    if c.format == Format::Json {
        return print(c.format, i, || Rows::new(&[]));
    }
    if c.format == Format::Table {
        let mut head = format!(
            "{}  {}  {}\nin force {}; issued by {}\n",
            i.id,
            i.title.en,
            i.title.zh,
            i.in_force,
            i.issuer.join(", ")
        );
        for x in &i.citations {
            head.push_str(&format!(
                "citation {}: {} (checked {}: {})\n",
                x.id, x.title, x.checked.on, x.checked.how
            ));
        }
        if let Some(n) = &i.note {
            head.push_str(&format!("note: {}\n", n.en));
        }
        line(&head)?;
    }
    print(c.format, &cells, || {
        let mut rows = Rows::new(&["clause", "kind", "key", "value", "verified"]);
        for r in &cells {
            rows.push(vec![
                r.clause.clone(),
                r.kind.to_owned(),
                r.key.clone(),
                r.value.clone(),
                if r.verified { "yes" } else { "NO" }.to_owned(),
            ]);
        }
        rows
    })
}

fn resolve(c: &Resolve) -> Result<()> {
    let query = Query {
        indicator: c.indicator.parse()?,
        statistic: c.statistic.parse()?,
        jurisdiction: c.jurisdiction.parse()?,
        class: Some(c.class.clone()),
        on: c.on,
        kind: InstrumentKind::QualityStandard,
    };
    let r = Book::embedded().resolve(&query)?;
    print(c.format, &r, || {
        let mut rows = Rows::new(&[
            "decides",
            "limit#",
            "unit",
            "instrument",
            "clause",
            "verified",
            "verdict",
        ]);
        for (k, x) in std::iter::once(&r.decides).chain(&r.also).enumerate() {
            let verdict = c.value.map_or("", |v| {
                if x.limit.breach.broken(v, x.limit.value) {
                    "exceeded"
                } else {
                    "attained"
                }
            });
            rows.push(vec![
                if k == 0 { "yes" } else { "" }.into(),
                x.limit.value.to_string(),
                x.limit.unit.to_string(),
                x.rule.instrument.to_string(),
                x.rule.clause.clone(),
                x.rule.verified.to_string(),
                verdict.into(),
            ]);
        }
        rows
    })
}

fn diff(c: &Diff) -> Result<()> {
    let book = Book::embedded();
    let d = report::diff(find(book, &c.a)?, find(book, &c.b)?);
    print(c.format, &d, || {
        let mut rows = Rows::new(&[
            "kind", "key", "a#", "b#", "clause a", "clause b", "verified",
        ]);
        let cell = |v: &Option<String>| v.clone().unwrap_or_else(|| "–".into());
        for x in &d {
            rows.push(vec![
                x.kind.to_owned(),
                x.key.clone(),
                cell(&x.a),
                cell(&x.b),
                x.clause_a.clone(),
                x.clause_b.clone(),
                x.verified.to_string(),
            ]);
        }
        rows
    })
}
