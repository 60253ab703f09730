//! What changed between two versions of a text: clause by clause, then sign by sign.

use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use super::markup::{Block, Kind, parse};

/// What happened to a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is as it was.
    Same(Block),
    /// It is new.
    Added(Block),
    /// It is gone.
    Removed(Block),
    /// Its words changed: runs with -1 removed, 0 kept, 1 added.
    Edited(Block, Vec<(i8, String)>),
}

/// The clauses of both texts in the order of the new one; what is gone stands where it stood.
#[must_use]
pub fn diff(old: &str, new: &str) -> Vec<Change> {
    let (old, new) = (parse(old), parse(new));
    let find = |list: &[Block], anchor: &str| list.iter().position(|b| b.anchor == anchor);
    let mut out = Vec::new();
    let mut next_old = 0;
    for b in &new {
        match find(&old, &b.anchor) {
            None => out.push(Change::Added(b.clone())),
            Some(k) => {
                // What stood before it in the old text and is nowhere in the new one.
                while next_old < k {
                    if find(&new, &old[next_old].anchor).is_none() {
                        out.push(Change::Removed(old[next_old].clone()));
                    }
                    next_old += 1;
                }
                next_old = next_old.max(k + 1);
                out.push(if old[k].text == b.text && old[k].kind == b.kind {
                    Change::Same(b.clone())
                } else {
                    Change::Edited(b.clone(), words(&old[k].text, &b.text))
                });
            }
        }
    }
    for b in old.get(next_old..).unwrap_or_default() {
        if find(&new, &b.anchor).is_none() {
            out.push(Change::Removed(b.clone()));
        }
    }
    out
}

/// Words of a text: Han characters one by one, everything else by word.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let han =
        |c: char| ('\u{3000}'..='\u{9fff}').contains(&c) || ('\u{ff00}'..='\u{ffef}').contains(&c);
    let mut last_word = false;
    for (i, c) in text.char_indices() {
        let word = !han(c) && !c.is_whitespace();
        if i > start && !(word && last_word) {
            out.push(&text[start..i]);
            start = i;
        }
        last_word = word;
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

fn words(old: &str, new: &str) -> Vec<(i8, String)> {
    let (a, b) = (tokens(old), tokens(new));
    let mut out: Vec<(i8, String)> = Vec::new();
    for c in TextDiff::configure()
        .timeout(std::time::Duration::from_millis(200))
        .diff_slices(&a, &b)
        .iter_all_changes()
    {
        let tag = match c.tag() {
            ChangeTag::Delete => -1,
            ChangeTag::Equal => 0,
            ChangeTag::Insert => 1,
        };
        match out.last_mut() {
            Some((t, text)) if *t == tag => text.push_str(c.value()),
            _ => out.push((tag, c.value().to_owned())),
        }
    }
    out
}

/// Numbers of clauses added, removed and edited.
#[must_use]
pub fn counts(changes: &[Change]) -> (usize, usize, usize) {
    changes.iter().fold((0, 0, 0), |(a, r, e), c| match c {
        Change::Added(_) => (a + 1, r, e),
        Change::Removed(_) => (a, r + 1, e),
        Change::Edited(..) => (a, r, e + 1),
        Change::Same(_) => (a, r, e),
    })
}

/// The changes as HTML; `added` and `removed` are the words said before a whole clause.
#[must_use]
pub fn render(changes: &[Change], added: &str, removed: &str) -> Markup {
    let heading = |b: &Block| matches!(b.kind, Kind::Heading(_));
    html! { div.changes { @for c in changes { @match c {
        Change::Same(b) => p .same .strong[heading(b)] { span.anchor { (b.anchor) } " " (b.text) },
        Change::Added(b) => p.added { span.anchor { (b.anchor) } " " strong { (added) } " " ins { (b.text) } },
        Change::Removed(b) => p.removed { span.anchor { (b.anchor) } " " strong { (removed) } " " del { (b.text) } },
        Change::Edited(b, runs) => p.edited { span.anchor { (b.anchor) } " " @for (t, text) in runs { @match t {
            -1 => del { (text) },
            1 => ins { (text) },
            _ => { (text) }
        } } },
    } } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_number_is_found_and_nothing_else() {
        let c = diff(
            "甲 {#s1.1}\n\n年均值不超过 30 微克。 {#s1.2}",
            "甲 {#s1.1}\n\n年均值不超过 29 微克。 {#s1.2}",
        );
        assert_eq!(counts(&c), (0, 0, 1));
        let Change::Edited(_, runs) = &c[1] else {
            panic!()
        };
        assert_eq!(
            runs.iter()
                .filter(|r| r.0 != 0)
                .cloned()
                .collect::<Vec<_>>(),
            [(-1, "30".into()), (1, "29".into())]
        );
        let kept: String = runs
            .iter()
            .filter(|r| r.0 <= 0)
            .map(|r| r.1.as_str())
            .collect();
        assert_eq!(kept, "年均值不超过 30 微克。");
    }

    #[test]
    fn added_and_removed_clauses_stand_in_order() {
        let c = diff(
            "a {#s1}\n\nb {#s2}\n\nc {#s3}",
            "a {#s1}\n\nnew {#s9}\n\nc {#s3}",
        );
        let kinds: Vec<u8> = c
            .iter()
            .map(|c| match c {
                Change::Same(_) => 0,
                Change::Added(_) => 1,
                Change::Removed(_) => 2,
                Change::Edited(..) => 3,
            })
            .collect();
        assert_eq!(kinds, [0, 1, 2, 0]);
        assert!(!render(&c, "新增", "删去").into_string().contains("<script"));
    }

    #[test]
    fn tokens_lose_nothing() {
        let t = "PM2.5 年均 29.0 µg/m³， 不超过。 end";
        assert_eq!(tokens(t).concat(), t);
        assert!(tokens(t).contains(&"PM2.5") && tokens(t).contains(&"年"));
    }
}
