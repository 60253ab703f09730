//! What the data forensics say of the data behind a page.

use maud::{Markup, html};
use miyun_assess::forensics::{Weight, counts, hours, kind_name, local_hours, weight};
use miyun_core::text::Lang;
use miyun_lake::FindingRow;

use crate::shell::tr;

/// Findings listed in full; the rest is counted.
const LISTED: usize = 10;

/// A section with counts by kind and the weightiest findings; nothing if there are none.
#[must_use]
pub fn section(lang: Lang, findings: &[FindingRow]) -> Markup {
    if findings.is_empty() {
        return html! {};
    }
    let mut heavy: Vec<&FindingRow> = findings
        .iter()
        .filter(|f| weight(f) == Weight::Fault)
        .collect();
    heavy.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.first_s.cmp(&b.first_s)));
    html! {
        h2 id="doubts" { (tr(lang, "数据疑点", "Doubts about the data")) }
        p { (tr(lang, "数据取证只作说明，不删改任何数值；上面各项均按全部有效数据计算。", "Data forensics only states; no value is deleted or edited, and every figure above uses all valid data.")) }
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { (tr(lang, "类别", "Kind")) }
                th.n scope="col" { (tr(lang, "必有误", "Faults")) }
                th.n scope="col" { (tr(lang, "可疑", "Doubts")) }
                th.n scope="col" { (tr(lang, "提示", "Notes")) }
                th.n scope="col" { (tr(lang, "涉及小时", "Hours")) }
            } }
            tbody { @for c in counts(findings) { tr {
                th scope="row" { (kind_name(&c.kind).get(lang)) }
                td.n { (c.fault) } td.n { (c.doubt) } td.n { (c.note) } td.n { (c.hours) }
            } } }
        } }
        @if !heavy.is_empty() {
            details.note { summary { (tr(lang, "最重的", "The weightiest")) " (" (heavy.len().min(LISTED)) " / " (findings.len()) ")" }
                ul { @for f in heavy.iter().take(LISTED) { li { (one(lang, f)) } } }
                p.soft { (tr(lang, "全部：miyun forensics", "All of them: miyun forensics")) }
            }
        }
    }
}

/// One finding in a line.
#[must_use]
pub fn one(lang: Lang, f: &FindingRow) -> Markup {
    html! {
        strong { (kind_name(&f.kind).get(lang)) } " · " span.code { (f.subject) } " "
        @if f.indicator.is_empty() { (tr(lang, "各项", "all indicators")) } @else { (f.indicator) }
        " · " (local_hours(f).0) ", " (hours(f)) " h: " (f.reason.get(lang))
    }
}
