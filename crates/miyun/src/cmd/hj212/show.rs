//! Frames in plain words.

use std::fmt::Write as _;
use std::io::IsTerminal;

use miyun_core::text::Lang;
use miyun_hj212::{FactorWord, Finding, Frame, Rejected, Weight, Words};
use miyun_rulebook::Rulebook;
use miyun_rulebook::hj212::{Hj212, Known};
use serde::Serialize;

use super::{Color, Reading};

/// The rulebook's tables.
pub struct Book(&'static Hj212);

impl Book {
    pub fn embedded() -> Self {
        Self(&Rulebook::embedded().vocabulary().hj212)
    }

    pub fn words(&self) -> &'static Hj212 {
        self.0
    }

    fn system(&self, st: &str, lang: Lang) -> &str {
        Hj212::system(self.0, st).map_or("", |s| s.name.get(lang))
    }

    fn command(&self, cn: &str, up: bool, lang: Lang) -> &str {
        Hj212::command(self.0, cn, up).map_or("", |c| c.name.get(lang))
    }

    fn factor_name(&self, code: &str) -> String {
        match Hj212::factor(self.0, code) {
            Known::Factor(f) => f.zh.clone(),
            Known::Legacy(l) if l.code_2017.is_empty() => l.zh.clone(),
            Known::Legacy(l) => format!("{} ({})", l.zh, l.code_2017),
            Known::Seen | Known::Unknown => String::new(),
        }
    }
}

impl Words for Book {
    fn system(&self, st: &str) -> bool {
        self.0.system(st).is_some()
    }

    fn command(&self, cn: &str) -> bool {
        self.0.command(cn, true).is_some()
    }

    fn factor(&self, code: &str) -> FactorWord {
        match self.0.factor(code) {
            Known::Factor(_) | Known::Seen => FactorWord::Known,
            Known::Legacy(_) => FactorWord::Legacy,
            Known::Unknown => FactorWord::Unknown,
        }
    }

    fn data_flag(&self, flag: &str) -> bool {
        self.0.named("Flag", flag).is_some()
    }
}

/// One value of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Value {
    pub group: u16,
    pub name: String,
    pub code: String,
    pub attribute: String,
    pub value: Option<String>,
}

/// A frame as other programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    pub number: usize,
    pub offset: u64,
    pub bytes: usize,
    pub qn: Option<String>,
    pub st: Option<String>,
    pub cn: Option<String>,
    pub mn: Option<String>,
    pub flag: Option<u8>,
    pub packet: Option<(u16, u16)>,
    pub back_fill: bool,
    pub data_time: Option<String>,
    pub crc: String,
    pub crc_dialect: &'static str,
    pub encrypted: bool,
    pub conforms: bool,
    pub values: Vec<Value>,
    pub findings: Vec<Finding>,
}

impl Seen {
    pub fn new(number: usize, f: &Frame<'_>, book: &Book) -> Self {
        let own = |t: Option<&str>| t.map(str::to_owned);
        let mut findings = f.report();
        findings.extend(f.unknown(book));
        Self {
            number,
            offset: f.offset,
            bytes: f.raw().len(),
            qn: own(f.qn()),
            st: own(f.st()),
            cn: own(f.cn()),
            mn: own(f.mn()),
            flag: f.flag().map(|f| f.0),
            packet: f.packet(),
            back_fill: f.is_back_fill(),
            data_time: f.data_time().map(|t| t.0.to_string()),
            crc: format!("{:04X}", f.crc),
            crc_dialect: f.dialect.as_str(),
            encrypted: f.cipher.is_some(),
            conforms: findings.iter().all(|f| f.weight != Weight::Violation),
            values: f
                .items()
                .map(|i| {
                    let (code, attribute) = i.split().unwrap_or((i.key, ""));
                    Value {
                        group: i.group,
                        name: if attribute.is_empty() {
                            String::new()
                        } else {
                            book.factor_name(code)
                        },
                        code: code.to_owned(),
                        attribute: attribute.to_owned(),
                        value: own(i.value),
                    }
                })
                .collect(),
            findings,
        }
    }
}

/// Bytes that are no frame, as other programs read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoFrame {
    pub offset: u64,
    pub bytes: usize,
    pub reason: &'static str,
    pub crc_dialect: Option<&'static str>,
    pub mn: Option<String>,
    pub qn: Option<String>,
    pub text: String,
}

impl NoFrame {
    pub fn new(r: &Rejected<'_>) -> Self {
        Self {
            offset: r.offset,
            bytes: r.bytes.len(),
            reason: r.reason.as_str(),
            crc_dialect: r.dialect.map(|d| d.as_str()),
            mn: r.mn.map(str::to_owned),
            qn: r.qn.map(str::to_owned),
            text: r
                .bytes
                .iter()
                .take(80)
                .flat_map(|b| b.escape_ascii())
                .map(char::from)
                .collect(),
        }
    }
}

/// Colours and language.
#[derive(Clone, Copy)]
pub struct Pen {
    pub lang: Lang,
    color: bool,
}

impl Pen {
    pub fn new(r: Reading) -> Self {
        let color = match r.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
            }
        };
        Self {
            lang: r.lang,
            color,
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub fn care(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// One of two texts.
    pub fn say(self, en: &'static str, zh: &'static str) -> &'static str {
        match self.lang {
            Lang::En => en,
            Lang::Zh => zh,
        }
    }
}

/// A frame in a few lines.
pub fn frame(seen: &Seen, book: &Book, pen: Pen) -> String {
    let mut out = String::new();
    let (cn, st) = (
        seen.cn.as_deref().unwrap_or("?"),
        seen.st.as_deref().unwrap_or("?"),
    );
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "{} {}  {}  {}",
        pen.bold(&format!("{} {}", pen.say("frame", "帧"), seen.number)),
        pen.bold(&format!(
            "CN {cn} {}",
            book.command(cn, st != "91", pen.lang)
        )),
        format_args!("ST {st} {}", book.system(st, pen.lang)),
        pen.dim(&format!(
            "{} {}, {} {}",
            pen.say("byte", "字节"),
            seen.offset,
            seen.bytes,
            pen.say("bytes long", "字节长")
        )),
    );
    let mut head = format!("  MN {}", seen.mn.as_deref().unwrap_or("-"));
    if let Some(qn) = &seen.qn {
        let _ = write!(head, "  QN {qn}");
    }
    if let Some(flag) = seen.flag {
        let edition = match flag >> 2 {
            0 => "2005",
            1 => "2017",
            2 => "2025",
            _ => "?",
        };
        let answer = if flag & 1 == 1 {
            pen.say("answer wanted", "要求应答")
        } else {
            pen.say("no answer wanted", "不要求应答")
        };
        let _ = write!(head, "  Flag {flag} ({edition}, {answer})");
    }
    if let Some((number, total)) = seen.packet {
        let _ = write!(head, "  {} {number}/{total}", pen.say("packet", "分包"));
    }
    if seen.back_fill {
        let _ = write!(head, "  {}", pen.say("back-fill", "补传"));
    }
    if seen.encrypted {
        let _ = write!(head, "  {}", pen.say("SM4 encrypted", "SM4 加密"));
    }
    out.push_str(&head);
    out.push('\n');
    let mut group = None;
    for v in &seen.values {
        if group != Some(v.group) {
            if group.is_some() {
                out.push('\n');
            }
            group = Some(v.group);
            let _ = write!(out, "  {}", v.code);
            if !v.name.is_empty() {
                let _ = write!(out, " {}", v.name);
            }
        } else if v.attribute.is_empty() {
            let _ = write!(out, "  {}", v.code);
        }
        let value = v.value.as_deref().unwrap_or("");
        if v.attribute.is_empty() {
            let _ = write!(out, " {value}");
        } else {
            let _ = write!(out, "  {} {value}", v.attribute);
        }
        for field in [v.attribute.as_str(), v.code.as_str()] {
            if let Some(n) = book.words().named(field, value) {
                let _ = write!(out, " {}", pen.dim(n.name.get(pen.lang)));
            }
        }
    }
    if group.is_some() {
        out.push('\n');
    }
    for f in &seen.findings {
        let (mark, line) = (f.weight, f.line(pen.lang));
        let text = match mark {
            Weight::Violation => pen.bad(&format!("  ✗ {line}")),
            Weight::Remark => pen.care(&format!("  · {line}")),
        };
        let _ = writeln!(out, "{text} {}", pen.dim(f.code.as_str()));
    }
    if seen.conforms {
        let _ = writeln!(
            out,
            "{}",
            pen.good(pen.say("  ✓ keeps the standard", "  ✓ 符合标准"))
        );
    }
    out
}

/// Bytes that are no frame, in two lines.
pub fn rejected(r: &Rejected<'_>, pen: Pen) -> String {
    let n = NoFrame::new(r);
    let mut out = format!(
        "{} {}\n",
        pen.bad(&format!(
            "✗ {} {} {}: {}",
            pen.say("no frame at byte", "不是有效帧，位于字节"),
            n.offset,
            pen.dim(&format!("({} {})", n.bytes, pen.say("bytes", "字节"))),
            r.reason.words(pen.lang)
        )),
        pen.dim(n.reason),
    );
    if let Some(d) = n.crc_dialect {
        let _ = writeln!(
            out,
            "  {} {d} ({} --crc {d})",
            pen.say("the check fits", "校验符合"),
            pen.say("take it with", "接收请加")
        );
    }
    let _ = writeln!(out, "  {}", pen.dim(&n.text));
    out
}
