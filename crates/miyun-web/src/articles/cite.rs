//! Citations of an article: GB/T 7714-2015, BibTeX, RIS, CSL-JSON, plain text.

use miyun_core::Date;
use miyun_core::text::Lang;

/// What a citation is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cited {
    /// Lasting id.
    pub id: String,
    /// Language of the text.
    pub lang: Lang,
    /// Headline.
    pub title: String,
    /// Where it first came from; stands as author.
    pub source: String,
    /// Who publishes it here.
    pub publisher: String,
    /// Document number, if any.
    pub number: Option<String>,
    /// Day of release.
    pub released: Date,
    /// Day of reading.
    pub accessed: Date,
    /// Version.
    pub version: u32,
    /// Digest of the version, hex.
    pub digest: String,
    /// Address of this version.
    pub url: String,
}

/// A form of citation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// GB/T 7714-2015, an electronic announcement.
    Gbt7714,
    /// BibTeX.
    Bibtex,
    /// RIS.
    Ris,
    /// CSL-JSON.
    Csl,
    /// Plain text.
    Plain,
}

impl Form {
    /// All forms with the ending of their file and their name.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Gbt7714, "gbt7714.txt", "GB/T 7714"),
        (Self::Bibtex, "bib", "BibTeX"),
        (Self::Ris, "ris", "RIS"),
        (Self::Csl, "csl.json", "CSL-JSON"),
        (Self::Plain, "txt", "text"),
    ];

    /// The form of a file ending.
    #[must_use]
    pub fn of(ending: &str) -> Option<Self> {
        Self::ALL.iter().find(|f| f.1 == ending).map(|f| f.0)
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Gbt7714 | Self::Plain => "text/plain; charset=utf-8",
            Self::Bibtex => "application/x-bibtex; charset=utf-8",
            Self::Ris => "application/x-research-info-systems; charset=utf-8",
            Self::Csl => "application/vnd.citationstyles.csl+json; charset=utf-8",
        }
    }
}

/// The citation.
#[must_use]
pub fn cite(c: &Cited, form: Form) -> String {
    match form {
        Form::Gbt7714 => gbt7714(c),
        Form::Bibtex => bibtex(c),
        Form::Ris => ris(c),
        Form::Csl => csl(c),
        Form::Plain => plain(c),
    }
}

/// Author. Title\[EB/OL\]. (release)\[access\]. address.
fn gbt7714(c: &Cited) -> String {
    let number = c
        .number
        .as_ref()
        .map_or(String::new(), |n| format!(": {n}"));
    let what = match c.lang {
        Lang::Zh => format!("版本 {}", c.version),
        Lang::En => format!("version {}", c.version),
    };
    format!(
        "{}. {}{number}[EB/OL]. {}: {what}. ({})[{}]. {}. BLAKE3:{}.\n",
        c.source,
        c.title,
        c.publisher,
        c.released,
        c.accessed,
        c.url,
        short(&c.digest)
    )
}

fn bibtex(c: &Cited) -> String {
    // Braces, backslashes and signs that TeX reads are set apart.
    let tex = |t: &str| {
        let mut out = String::with_capacity(t.len());
        for ch in t.chars() {
            match ch {
                '{' | '}' | '%' | '&' | '#' | '$' | '_' => {
                    out.push('\\');
                    out.push(ch);
                }
                '\\' => out.push_str("\\textbackslash{}"),
                '~' => out.push_str("\\textasciitilde{}"),
                '^' => out.push_str("\\textasciicircum{}"),
                c if c.is_control() => out.push(' '),
                c => out.push(c),
            }
        }
        out
    };
    let number = c.number.as_ref().map_or(String::new(), |n| {
        format!("  number       = {{{}}},\n", tex(n))
    });
    format!(
        "@misc{{{},\n  author       = {{{{{}}}}},\n  title        = {{{{{}}}}},\n  publisher    = {{{}}},\n{number}  year         = {{{}}},\n  month        = {{{}}},\n  date         = {{{}}},\n  version      = {{{}}},\n  url          = {{{}}},\n  urldate      = {{{}}},\n  note         = {{BLAKE3:{}}},\n  langid       = {{{}}}\n}}\n",
        c.id,
        tex(&c.source),
        tex(&c.title),
        tex(&c.publisher),
        c.released.year(),
        c.released.month(),
        c.released,
        c.version,
        c.url,
        c.accessed,
        short(&c.digest),
        match c.lang {
            Lang::Zh => "chinese",
            Lang::En => "english",
        }
    )
}

fn ris(c: &Cited) -> String {
    // A line break would begin a new field.
    let line = |t: &str| t.replace(|ch: char| ch.is_control(), " ");
    let mut out = String::from("TY  - ELEC\r\n");
    let mut put = |tag: &str, value: &str| {
        out.push_str(&format!("{tag}  - {}\r\n", line(value)));
    };
    put("AU", &c.source);
    put("TI", &c.title);
    put("PB", &c.publisher);
    if let Some(n) = &c.number {
        put("M1", n);
    }
    put("PY", &c.released.year().to_string());
    put("DA", &c.released.strftime("%Y/%m/%d").to_string());
    put("Y2", &c.accessed.strftime("%Y/%m/%d").to_string());
    put("ET", &c.version.to_string());
    put(
        "LA",
        match c.lang {
            Lang::Zh => "zh",
            Lang::En => "en",
        },
    );
    put("UR", &c.url);
    put("N1", &format!("BLAKE3:{}", short(&c.digest)));
    put("ID", &c.id);
    out.push_str("ER  - \r\n");
    out
}

fn csl(c: &Cited) -> String {
    let parts = |d: Date| serde_json::json!({ "date-parts": [[d.year(), d.month(), d.day()]] });
    let mut item = serde_json::json!({
        "id": c.id,
        "type": "webpage",
        "title": c.title,
        "author": [{ "literal": c.source }],
        "publisher": c.publisher,
        "issued": parts(c.released),
        "accessed": parts(c.accessed),
        "version": c.version.to_string(),
        "language": match c.lang { Lang::Zh => "zh-CN", Lang::En => "en" },
        "URL": c.url,
        "note": format!("BLAKE3:{}", short(&c.digest)),
    });
    if let Some(n) = &c.number {
        item["number"] = n.clone().into();
    }
    let mut text = serde_json::to_string_pretty(&[item]).unwrap_or_default();
    text.push('\n');
    text
}

fn plain(c: &Cited) -> String {
    let words = match c.lang {
        Lang::Zh => format!(
            "{}：《{}》，{}，{}发布，第 {} 版，{}查阅，{}",
            c.source, c.title, c.publisher, c.released, c.version, c.accessed, c.url
        ),
        Lang::En => format!(
            "{}, \"{}\", {}, released {}, version {}, read on {}, {}",
            c.source, c.title, c.publisher, c.released, c.version, c.accessed, c.url
        ),
    };
    format!("{words} (BLAKE3:{})\n", short(&c.digest))
}

fn short(digest: &str) -> &str {
    digest.get(..16).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article() -> Cited {
        Cited {
            id: "01JD0000000000000000000001".into(),
            lang: Lang::Zh,
            title: "2026 年计划 {草案} 50 %".into(),
            source: "临汐市生态环境局（模拟）".into(),
            publisher: "临汐市人民政府（模拟）".into(),
            number: Some("临环发〔2026〕1 号".into()),
            released: Date::constant(2026, 1, 9),
            accessed: Date::constant(2026, 11, 24),
            version: 2,
            digest: "0123456789abcdef0123456789abcdef".into(),
            url: "https://example.org/zh/articles/01JD@2".into(),
        }
    }

    #[test]
    fn gbt_7714_has_its_order_and_marks() {
        let t = cite(&article(), Form::Gbt7714);
        assert!(t.starts_with(
            "临汐市生态环境局（模拟）. 2026 年计划 {草案} 50 %: 临环发〔2026〕1 号[EB/OL]. "
        ));
        assert!(t.contains("(2026-01-09)[2026-11-24]. https://example.org/zh/articles/01JD@2. "));
    }

    #[test]
    fn bibtex_keeps_its_braces_balanced() {
        let t = cite(&article(), Form::Bibtex);
        let mut depth = 0;
        let mut before = ' ';
        for c in t.chars() {
            match c {
                '{' if before != '\\' => depth += 1,
                '}' if before != '\\' => depth -= 1,
                _ => {}
            }
            assert!(depth >= 0);
            before = c;
        }
        assert_eq!(depth, 0);
        assert!(t.contains(r"\{草案\} 50 \%"));
    }

    #[test]
    fn ris_fields_cannot_be_forged_by_a_title() {
        let mut a = article();
        a.title = "x\r\nUR  - https://evil.example/".into();
        let t = cite(&a, Form::Ris);
        assert_eq!(t.matches("\r\nUR  - ").count(), 1);
        assert!(t.starts_with("TY  - ELEC\r\n") && t.ends_with("ER  - \r\n"));
    }

    #[test]
    fn csl_is_json_with_dates_in_parts() {
        let v: serde_json::Value = serde_json::from_str(&cite(&article(), Form::Csl)).unwrap();
        assert_eq!(
            v[0]["issued"]["date-parts"][0],
            serde_json::json!([2026, 1, 9])
        );
        assert_eq!(v[0]["author"][0]["literal"], "临汐市生态环境局（模拟）");
        assert_eq!(v[0]["number"], "临环发〔2026〕1 号");
        for (f, ending, _) in Form::ALL {
            assert_eq!(Form::of(ending), Some(f));
            assert!(cite(&article(), f).contains("0123456789abcdef"));
        }
    }
}
