use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use super::show::Book;
use crate::out::{Format, Rows, print};

#[derive(Args)]
pub struct Codes {
    /// A code, or part of a name; nothing lists all.
    query: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Serialize)]
struct Row {
    table: &'static str,
    code: String,
    name: String,
    unit: String,
    verified: bool,
    note: String,
}

impl Codes {
    pub fn run(self) -> Result<()> {
        let words = Book::embedded().words();
        let mut all: Vec<Row> = Vec::new();
        let mut add = |table, code: &str, name: String, unit: &str, verified, note: &str| {
            all.push(Row {
                table,
                code: code.to_owned(),
                name,
                unit: unit.to_owned(),
                verified,
                note: note.to_owned(),
            });
        };
        for s in &words.systems {
            add(
                "system",
                &s.code,
                format!("{} {}", s.name.zh, s.name.en),
                "",
                s.verified,
                &s.since,
            );
        }
        for c in &words.commands {
            let name = format!("{} {}", c.name.zh, c.name.en);
            let note = format!("{} {} since {} {}", c.direction, c.kind, c.since, c.note);
            add("command", &c.code, name, "", c.verified, note.trim());
        }
        for f in &words.factors {
            let legacy = match f.legacy.as_str() {
                "" => String::new(),
                l => format!("2005: {l}. "),
            };
            add(
                "factor",
                &f.code,
                f.zh.clone(),
                &f.unit,
                f.verified,
                &format!("{legacy}{}", f.note),
            );
        }
        for l in &words.legacy {
            let note = format!("2017: {}", l.code_2017);
            add(
                "factor of 2005",
                &l.code,
                l.zh.clone(),
                "",
                l.verified,
                &note,
            );
        }
        for n in &words.named {
            let table = match n.field.as_str() {
                "Flag" => "data flag",
                "QnRtn" => "QnRtn",
                _ => "ExeRtn",
            };
            add(
                table,
                &n.code,
                format!("{} {}", n.name.zh, n.name.en),
                "",
                true,
                &n.usable,
            );
        }
        if let Some(q) = &self.query {
            let lower = q.to_lowercase();
            let exact = all.iter().any(|r| r.code == *q);
            all.retain(|r| match exact {
                true => r.code == *q,
                false => r.name.to_lowercase().contains(&lower),
            });
            if !exact {
                // Codes with x stand for numbered places.
                if let miyun_rulebook::hj212::Known::Factor(f) = words.factor(q) {
                    all.push(Row {
                        table: "factor",
                        code: f.code.clone(),
                        name: f.zh.clone(),
                        unit: f.unit.clone(),
                        verified: f.verified,
                        note: f.note.clone(),
                    });
                }
            }
            if all.is_empty() {
                bail!("no code and no name like {q:?}");
            }
        }
        print(self.format, &all, || {
            let mut rows = Rows::new(&["table", "code", "name", "unit", "verified", "note"]);
            for r in &all {
                rows.push(vec![
                    r.table.to_owned(),
                    r.code.clone(),
                    r.name.clone(),
                    r.unit.clone(),
                    if r.verified { "yes" } else { "no" }.to_owned(),
                    r.note.clone(),
                ]);
            }
            rows
        })
    }
}
