//! The rulebook: loads, checks and resolves the law as data. Pure; the files compiled in are the
//! ones of the `rulebook/` folder.

mod check;
mod examples;
mod grid;
pub mod hj212;
mod instrument;
pub mod page;
pub mod report;
mod resolve;
mod table;
mod vocabulary;

use std::sync::OnceLock;

use miyun_core::unit::GasState;
use miyun_core::{Date, Instrument, Problem};
pub use resolve::{Candidate, Query, ResolveError, Resolved};
pub use vocabulary::{EditionName, Indicator, NamedUnit, Statistic, Vocabulary};

pub use examples::{Example, ExampleKind, examples};

/// The files of `rulebook/`, compiled in: name and text.
pub const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Instruments and the words they use.
#[derive(Debug, Clone, Default)]
pub struct Rulebook {
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) files: Vec<check::Source>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) editions: Vec<EditionName>,
}

impl Rulebook {
    /// The rulebook compiled into the program. Its tests keep it free of problems.
    #[must_use]
    pub fn embedded() -> &'static Self {
        static BOOK: OnceLock<Rulebook> = OnceLock::new();
        BOOK.get_or_init(|| Self::from_files(EMBEDDED.iter().map(|(n, t)| (*n, *t))).0)
    }

    /// The rulebook of `files` (name, text) and everything wrong with it. Files that do not end in
    /// `.toml` are left out. Instruments with problems are kept as far as they could be read.
    pub fn from_files<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> (Self, Vec<Problem>) {
        let mut book = Self::default();
        let mut problems = Vec::new();
        let mut later = Vec::new();
        for (name, text) in files {
            if !name.ends_with(".toml") {
                continue;
            }
            let mut page = page::Page::new(name, text);
            match toml_edit::Document::parse(text) {
                Err(e) => page.problem(
                    "toml-syntax",
                    e.span(),
                    "",
                    e.message().to_owned(),
                    "mend the syntax; see https://toml.io",
                ),
                Ok(doc) => {
                    let table = doc.as_table();
                    if table.contains_key("vocabulary") {
                        vocabulary::read(&mut page, table, &mut book.vocabulary);
                    } else if table.contains_key("edition") {
                        vocabulary::read_editions(&mut page, table, &mut book.editions);
                    } else if table.contains_key("instrument") {
                        later.push((name, text));
                        continue;
                    } else {
                        page.problem(
                            "unknown-file",
                            Some(0..0),
                            "",
                            "the file has neither [instrument], [vocabulary] nor [[edition]]",
                            "begin it with one of them",
                        );
                    }
                }
            }
            problems.append(&mut page.problems);
        }
        for (name, text) in later {
            let mut page = page::Page::new(name, text);
            if let Ok(doc) = toml_edit::Document::parse(text)
                && let Some(i) = instrument::read(&mut page, doc.as_table(), &book.vocabulary)
            {
                if book.instrument(i.id.as_str()).is_some() {
                    page.problem(
                        "duplicate-id",
                        Some(0..0),
                        "instrument.id",
                        format!("instrument {} is defined in two files", i.id),
                        "keep one",
                    );
                } else {
                    book.instruments.push(i);
                    book.files.push(check::Source::of(&page, doc.as_table()));
                }
            }
            problems.append(&mut page.problems);
        }
        problems.extend(check::across(&book));
        (book, problems)
    }

    /// Every instrument.
    #[must_use]
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// The instrument with this id.
    #[must_use]
    pub fn instrument(&self, id: &str) -> Option<&Instrument> {
        self.instruments.iter().find(|i| i.id == id)
    }

    /// The file that an instrument was read from.
    #[must_use]
    pub fn file_of(&self, id: &str) -> Option<&str> {
        let k = self.instruments.iter().position(|i| i.id == id)?;
        self.files.get(k).map(|f| f.name.as_str())
    }

    /// The words rules may use.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Named editions.
    #[must_use]
    pub fn editions(&self) -> &[EditionName] {
        &self.editions
    }

    /// The reference state at which a concentration of `indicator` is stated on `on`; `None` for
    /// particles measured as they are, or where no instrument says it. An amendment outranks what
    /// it amends.
    #[must_use]
    pub fn gas_state(&self, indicator: &str, on: Date) -> Option<GasState> {
        let mut rows: Vec<_> = self
            .instruments
            .iter()
            .filter(|i| {
                i.in_force.contains(on)
                    || i.adopted
                        .iter()
                        .any(|a| a.from <= on && i.in_force.until.is_none_or(|u| on <= u))
            })
            .flat_map(|i| {
                i.conditions()
                    .map(move |(_, c)| (i.in_force.from, i.amends.is_some(), c))
            })
            .filter(|(_, _, c)| c.indicator == indicator && c.period.contains(on))
            .collect();
        rows.sort_by_key(|(from, amends, _)| (*amends, *from));
        let (_, _, c) = rows.last()?;
        Some(GasState {
            temperature_k: c.temperature_k?,
            pressure_hpa: c.pressure_hpa?,
        })
    }
}
