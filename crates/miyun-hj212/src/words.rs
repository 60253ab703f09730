//! Codes held against the tables of a rulebook, which this crate does not know itself.

use crate::finding::{Finding, FindingCode};
use crate::frame::Frame;

/// What a table says of a factor code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactorWord {
    /// In a table.
    Known,
    /// A code of 2005.
    Legacy,
    /// In no table.
    Unknown,
}

/// Tables of codes.
pub trait Words {
    /// True if the system code is known.
    fn system(&self, st: &str) -> bool;
    /// True if the command code is known.
    fn command(&self, cn: &str) -> bool;
    /// What is known of a factor code.
    fn factor(&self, code: &str) -> FactorWord;
    /// True if the data flag is known.
    fn data_flag(&self, flag: &str) -> bool;
}

impl Frame<'_> {
    /// Codes that the tables do not know; each code once.
    #[must_use]
    pub fn unknown(&self, words: &impl Words) -> Vec<Finding> {
        let mut out: Vec<Finding> = Vec::new();
        let mut say = |code, text: &str| {
            let f = Finding::new(code, text);
            if !out.contains(&f) {
                out.push(f);
            }
        };
        if let Some(st) = self.st().filter(|st| !words.system(st)) {
            say(FindingCode::UnknownSystem, st);
        }
        if let Some(cn) = self.cn().filter(|cn| !words.command(cn)) {
            say(FindingCode::UnknownCommand, cn);
        }
        let mut before = "";
        for item in self.items() {
            let (Some((code, attribute)), Some(value)) = (item.split(), item.value) else {
                continue;
            };
            if attribute == "Flag" && value.len() == 1 && !words.data_flag(value) {
                say(FindingCode::UnknownDataFlag, value);
            }
            // SB1-RS and SB1-RT are running states of treatment equipment, not factors.
            if code == before || code.starts_with("SB") {
                continue;
            }
            before = code;
            match words.factor(code) {
                FactorWord::Known => {}
                FactorWord::Legacy => say(FindingCode::LegacyFactor, code),
                FactorWord::Unknown => say(FindingCode::UnknownFactor, code),
            }
        }
        out
    }
}
