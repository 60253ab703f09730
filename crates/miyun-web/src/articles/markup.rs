//! The small markup of article texts. There is no way to write HTML in it: everything is text
//! until this module makes it a heading, a clause, a list, a quote, emphasis or a link.
//!
//! ```text
//! # 第一章  总体要求            a heading
//! 每个段落是一个条款。 {#s1.1}   a paragraph or list item is a clause; its address ends it
//! - 列表项                      an item
//! > 引文                        a quote
//! **重点** *强调* `代码` [文字](https://example.org/)
//! ```

use maud::{Markup, html};

/// Longest text that is read.
pub const LONGEST: usize = 400_000;
/// Most clauses of a text.
pub const CLAUSES: usize = 2_000;

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A heading of level 1 to 3.
    Heading(u8),
    /// A paragraph.
    Paragraph,
    /// An item of a list.
    Item,
    /// A quotation.
    Quote,
}

/// One block of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// Its address, for example `s2.3`.
    pub anchor: String,
    /// Its text, without address.
    pub text: String,
}

impl Block {
    /// True for what can be tracked: a paragraph or an item.
    #[must_use]
    pub fn is_clause(&self) -> bool {
        matches!(self.kind, Kind::Paragraph | Kind::Item)
    }
}

/// The blocks of a text. A block without an address gets the next free one of its section.
#[must_use]
pub fn parse(text: &str) -> Vec<Block> {
    let mut raw: Vec<(Kind, String, Option<String>)> = Vec::new();
    let mut open = false;
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for line in text[..end].lines().map(str::trim) {
        if line.is_empty() {
            open = false;
            continue;
        }
        let (kind, rest) = kind_of(line);
        let (rest, anchor) = address(rest);
        let joins = open
            && kind == Kind::Paragraph
            && raw
                .last()
                .is_some_and(|(k, _, a)| !matches!(k, Kind::Heading(_)) && a.is_none());
        if joins {
            if let Some((_, t, a)) = raw.last_mut() {
                // Lines of Chinese join without a space.
                if t.chars().last().is_some_and(|c| c.is_ascii()) {
                    t.push(' ');
                }
                t.push_str(rest);
                *a = anchor;
            }
        } else if raw.len() < CLAUSES {
            raw.push((kind, rest.to_owned(), anchor));
        }
        open = !matches!(kind, Kind::Heading(_));
    }
    number(raw)
}

fn kind_of(line: &str) -> (Kind, &str) {
    for (mark, level) in [("### ", 3), ("## ", 2), ("# ", 1)] {
        if let Some(rest) = line.strip_prefix(mark) {
            return (Kind::Heading(level), rest.trim());
        }
    }
    if let Some(rest) = line.strip_prefix("- ") {
        return (Kind::Item, rest.trim());
    }
    if let Some(rest) = line.strip_prefix("> ") {
        return (Kind::Quote, rest.trim());
    }
    (Kind::Paragraph, line)
}

/// Cuts `{#s1.2}` off the end.
fn address(line: &str) -> (&str, Option<String>) {
    let found = line
        .strip_suffix('}')
        .and_then(|l| l.rsplit_once("{#"))
        .filter(|(_, a)| is_address(a));
    match found {
        Some((text, a)) => (text.trim_end(), Some(a.to_owned())),
        None => (line, None),
    }
}

/// True for `s1`, `s2.13`.
#[must_use]
pub fn is_address(a: &str) -> bool {
    a.len() <= 12
        && a.strip_prefix('s').is_some_and(|n| {
            !n.is_empty()
                && n.split('.').count() <= 3
                && n.split('.')
                    .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
        })
}

fn number(raw: Vec<(Kind, String, Option<String>)>) -> Vec<Block> {
    let mut taken: std::collections::HashSet<String> = std::collections::HashSet::new();
    // An address that is written twice holds for the first; the second gets a new one.
    let given: Vec<Option<String>> = raw
        .iter()
        .map(|(_, _, a)| a.clone().filter(|a| taken.insert(a.clone())))
        .collect();
    let mut section = 0u32;
    let mut out = Vec::with_capacity(raw.len());
    for ((kind, text, _), given) in raw.into_iter().zip(given) {
        if matches!(kind, Kind::Heading(_)) {
            section += 1;
        }
        let anchor = given.unwrap_or_else(|| {
            let mut free = if matches!(kind, Kind::Heading(_)) {
                format!("s{section}")
            } else {
                String::new()
            };
            let mut n = 0;
            while free.is_empty() || taken.contains(&free) {
                n += 1;
                free = format!("s{section}.{n}");
            }
            taken.insert(free.clone());
            free
        });
        out.push(Block { kind, anchor, text });
    }
    out
}

/// The text with every address written out, so that later edits do not move them.
#[must_use]
pub fn fixed(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 200);
    let mut before: Option<Kind> = None;
    for b in parse(text) {
        if before.is_some_and(|k| !(k == Kind::Item && b.kind == Kind::Item)) {
            out.push('\n');
        }
        let mark = match b.kind {
            Kind::Heading(1) => "# ",
            Kind::Heading(2) => "## ",
            Kind::Heading(_) => "### ",
            Kind::Item => "- ",
            Kind::Quote => "> ",
            Kind::Paragraph => "",
        };
        out.push_str(&format!("{mark}{} {{#{}}}\n", b.text, b.anchor));
        before = Some(b.kind);
    }
    out
}

/// The plain words of a text, for summaries, feeds and search.
#[must_use]
pub fn plain(text: &str) -> String {
    parse(text)
        .iter()
        .map(|b| {
            spans(&b.text)
                .iter()
                .map(|s| s.text())
                .collect::<Vec<_>>()
                .concat()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// A run of text with one manner.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Span<'t> {
    Plain(&'t str),
    Strong(&'t str),
    Em(&'t str),
    Code(&'t str),
    Link(&'t str, &'t str),
}

impl Span<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Plain(t) | Self::Strong(t) | Self::Em(t) | Self::Code(t) | Self::Link(t, _) => t,
        }
    }
}

/// True for addresses that a text may link to: web pages, mail, places of this site.
#[must_use]
pub fn is_safe_link(url: &str) -> bool {
    let plain = url.len() <= 2_000 && url.chars().all(|c| !c.is_control() && !c.is_whitespace());
    let inside = url.starts_with('#')
        || (url.starts_with('/') && !url.starts_with("//") && !url.starts_with("/\\"));
    let lower = url.to_ascii_lowercase();
    let outside = ["http://", "https://", "mailto:"]
        .iter()
        .any(|p| lower.starts_with(p));
    plain && (inside || outside)
}

fn spans(text: &str) -> Vec<Span<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while from < rest.len() {
        let Some(k) = rest[from..].find(['*', '`', '[']).map(|k| k + from) else {
            break;
        };
        match marked(&rest[k..]) {
            Some((span, used)) => {
                if k > 0 {
                    out.push(Span::Plain(&rest[..k]));
                }
                out.push(span);
                rest = &rest[k + used..];
                from = 0;
            }
            // A mark without its partner is text; a run of them is passed at once.
            None => {
                let same = rest.as_bytes()[k];
                from = k + rest.as_bytes()[k..]
                    .iter()
                    .take_while(|b| **b == same)
                    .count();
            }
        }
    }
    if !rest.is_empty() {
        out.push(Span::Plain(rest));
    }
    out
}

/// The marked run at the beginning of `text` and the bytes it takes.
fn marked(text: &str) -> Option<(Span<'_>, usize)> {
    let between = |open: &str, close: &str| -> Option<&str> {
        let inside = text.strip_prefix(open)?;
        let end = inside.find(close)?;
        (end > 0 && end < 4_000).then(|| &inside[..end])
    };
    if let Some(t) = between("**", "**") {
        return Some((Span::Strong(t), t.len() + 4));
    }
    if text.starts_with('*')
        && !text.starts_with("**")
        && let Some(t) = between("*", "*")
    {
        return Some((Span::Em(t), t.len() + 2));
    }
    if let Some(t) = between("`", "`") {
        return Some((Span::Code(t), t.len() + 2));
    }
    let label = between("[", "](")?;
    let after = &text[label.len() + 3..];
    let url = &after[..after.find(')')?];
    is_safe_link(url).then(|| (Span::Link(label, url), label.len() + url.len() + 4))
}

/// Inline text as HTML.
#[must_use]
pub fn inline(text: &str) -> Markup {
    html! { @for s in spans(text) { @match s {
        Span::Plain(t) => { (t) }
        Span::Strong(t) => strong { (t) },
        Span::Em(t) => em { (t) },
        Span::Code(t) => code { (t) },
        Span::Link(t, u) => a href=(u) rel=[(!u.starts_with(['/', '#'])).then_some("noopener noreferrer nofollow ugc")] { (t) },
    } } }
}

/// The blocks as HTML; `after` adds to a clause, for example its chip of tracking.
#[must_use]
pub fn render(blocks: &[Block], after: &dyn Fn(&Block) -> Markup) -> Markup {
    let mut at = 0;
    let mut parts: Vec<Markup> = Vec::new();
    while at < blocks.len() {
        let b = &blocks[at];
        if b.kind == Kind::Item {
            let n = blocks[at..]
                .iter()
                .take_while(|b| b.kind == Kind::Item)
                .count();
            let items = &blocks[at..at + n];
            parts.push(html! { ul { @for i in items { li.clause id=(i.anchor) { (inline(&i.text)) (anchor(i)) (after(i)) } } } });
            at += n;
            continue;
        }
        parts.push(match b.kind {
            Kind::Heading(1) => html! { h2 id=(b.anchor) { (inline(&b.text)) (anchor(b)) } },
            Kind::Heading(2) => html! { h3 id=(b.anchor) { (inline(&b.text)) (anchor(b)) } },
            Kind::Heading(_) => html! { h4 id=(b.anchor) { (inline(&b.text)) (anchor(b)) } },
            Kind::Quote => html! { blockquote id=(b.anchor) { p { (inline(&b.text)) } } },
            Kind::Paragraph | Kind::Item => {
                html! { p.clause id=(b.anchor) { (inline(&b.text)) (anchor(b)) (after(b)) } }
            }
        });
        at += 1;
    }
    html! { @for p in parts { (p) } }
}

fn anchor(b: &Block) -> Markup {
    html! { " " a.anchor href={ "#" (b.anchor) } { (b.anchor) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        render(&parse(text), &|_| html! {}).into_string()
    }

    #[test]
    fn nothing_that_is_written_becomes_html() {
        for bad in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,<script>)",
            "[x](//evil.example/)",
            "[x](/\\evil.example/)",
            "[x](https://a/\" onmouseover=\"alert(1))",
            "# <svg onload=alert(1)> {#s1\" onload=x}",
            "**<b onclick=x>**",
            "> </blockquote><script>1</script>",
            "`</code><iframe src=//x>`",
        ] {
            let html = shown(bad);
            for danger in [
                "<script",
                "<img",
                "<svg",
                "<iframe",
                "<b ",
                "href=\"java",
                "href=\"data",
                "href=\"//",
                "href=\"/\\",
                "\" onmouseover",
            ] {
                assert!(!html.to_lowercase().contains(danger), "{bad} -> {html}");
            }
        }
    }

    #[test]
    fn clauses_have_addresses_that_edits_do_not_move() {
        let first = fixed("# 总则\n第一条。\n\n第二条。\n\n# 措施\n- 甲\n- 乙\n");
        let at = |text: &str, words: &str| {
            parse(text)
                .into_iter()
                .find(|b| b.text == words)
                .map(|b| b.anchor)
        };
        assert_eq!(at(&first, "第二条。").as_deref(), Some("s1.2"));
        assert_eq!(at(&first, "乙").as_deref(), Some("s2.2"));
        let edited = first.replace("第一条。", "新的一条。\n\n第一条。");
        assert_eq!(at(&edited, "第二条。").as_deref(), Some("s1.2"));
        assert_eq!(at(&edited, "第一条。").as_deref(), Some("s1.1"));
        assert_eq!(at(&edited, "新的一条。").as_deref(), Some("s1.3"));
        assert_eq!(fixed(&fixed(&edited)), fixed(&edited));
    }

    #[test]
    fn an_address_twice_is_given_once() {
        let blocks = parse("甲 {#s1.1}\n\n乙 {#s1.1}\n\n丙 {#x}");
        assert_eq!(blocks[0].anchor, "s1.1");
        assert_ne!(blocks[1].anchor, "s1.1");
        assert_eq!(blocks[2].text, "丙 {#x}");
    }

    #[test]
    fn lines_of_a_paragraph_join() {
        assert_eq!(parse("one\ntwo\n\nthree")[0].text, "one two");
        assert_eq!(parse("一微克\n一微克")[0].text, "一微克一微克");
        let html = shown("**重点** 和 *强调* 和 [规则](/zh/rules) 与 `a*b`");
        assert!(html.contains("<strong>重点</strong>") && html.contains("<em>强调</em>"));
        assert!(
            html.contains(r#"<a href="/zh/rules">规则</a>"#) && html.contains("<code>a*b</code>")
        );
        assert_eq!(plain("**重点** [x](/y) {#s1.1}"), "重点 x");
    }

    #[test]
    fn marks_without_partners_are_text_and_cost_little() {
        let long = "*".repeat(50_000) + &"[".repeat(50_000) + &"`x".repeat(2);
        let t = std::time::Instant::now();
        let html = shown(&long);
        assert!(html.contains("***") && html.contains("[["));
        assert!(t.elapsed().as_secs() < 5);
        assert_eq!(shown("2 * 3 = 6").matches("<em>").count(), 0);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_and_keeps_its_addresses(text in "[#*`\\[\\]()>{}\\- a-z甲乙\n]{0,120}") {
            let blocks = parse(&text);
            let mut anchors: Vec<_> = blocks.iter().map(|b| &b.anchor).collect();
            anchors.sort();
            let n = anchors.len();
            anchors.dedup();
            proptest::prop_assert_eq!(n, anchors.len());
            proptest::prop_assert!(blocks.iter().all(|b| is_address(&b.anchor)));
            let _ = shown(&text);
        }
    }
}
