//! The frame around every page: language, theme, navigation, what is simulated.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use miyun_core::text::Lang;

/// The one style sheet, also put inline into self-contained reports.
pub const STYLE: &str = include_str!("style.css");

/// Picks the text of the reader's language: `tr(lang, "空气", "Air")`.
#[must_use]
pub fn tr<'a>(lang: Lang, zh: &'a str, en: &'a str) -> &'a str {
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// Language tag for `lang` attributes.
#[must_use]
pub fn tag(lang: Lang) -> &'static str {
    tr(lang, "zh-Hans", "en")
}

/// First part of every page's path: `/zh` or `/en`.
#[must_use]
pub fn prefix(lang: Lang) -> &'static str {
    tr(lang, "/zh", "/en")
}

/// Who reads, if somebody signed in; the door that checks sessions puts it into the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reader {
    /// Stable id.
    pub id: String,
    /// Name to show.
    pub name: String,
    /// True if the reader may write articles.
    pub writes: bool,
    /// True if the reader may approve and publish.
    pub approves: bool,
    /// True if the reader keeps people, roles and the audit log.
    pub keeps: bool,
    /// Token that forms must send back.
    pub csrf: String,
}

/// The address of the client, as the door that knows about proxies found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub std::net::IpAddr);

/// How this reader wants pages, from the path, the query and cookies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Language.
    pub lang: Lang,
    /// Path and query after the language prefix, for switches that stay on the page.
    pub path: String,
    /// `light`, `dark`, or empty for the reader's system.
    pub theme: &'static str,
    /// `cividis`, or empty for the colours of HJ 633.
    pub colours: &'static str,
    /// `large`, or empty.
    pub size: &'static str,
    /// Only what was recorded by then (RFC 3339 UTC); every link of the page carries it on.
    pub known: Option<String>,
    /// Scheme and host that the reader used, for links that leave the site.
    pub origin: String,
    /// Who reads.
    pub reader: Option<Reader>,
}

impl View {
    /// A view without preferences.
    #[must_use]
    pub fn plain(lang: Lang, path: &str) -> Self {
        Self {
            lang,
            path: path.to_owned(),
            theme: "",
            colours: "",
            size: "",
            known: None,
            origin: String::new(),
            reader: None,
        }
    }

    /// A link inside the site: the path in the reader's language, with the moment of knowledge.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        let Some(known) = &self.known else {
            return format!("{}{path}", prefix(self.lang));
        };
        let (path, anchor) = path
            .split_once('#')
            .map_or((path, None), |(p, a)| (p, Some(a)));
        let join = if path.contains('?') { '&' } else { '?' };
        let anchor = anchor.map_or(String::new(), |a| format!("#{a}"));
        format!(
            "{}{path}{join}known={}{anchor}",
            prefix(self.lang),
            encode(known)
        )
    }

    /// This page with some parameters changed; an empty value removes one.
    #[must_use]
    pub fn with(&self, changes: &[(&str, &str)]) -> String {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let mut pairs: Vec<String> = query
            .split('&')
            .filter(|p| {
                !p.is_empty() && !changes.iter().any(|(k, _)| p.split('=').next() == Some(*k))
            })
            .map(str::to_owned)
            .collect();
        pairs.extend(
            changes
                .iter()
                .filter(|(_, v)| !v.is_empty())
                .map(|(k, v)| format!("{k}={}", encode(v))),
        );
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{}", prefix(self.lang), pairs.join("&"))
    }

    /// The moment of knowledge as a time.
    #[must_use]
    pub fn known_at(&self) -> Option<jiff::Timestamp> {
        self.known.as_deref().and_then(|k| k.parse().ok())
    }

    /// Picks a text.
    #[must_use]
    pub fn tr<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        tr(self.lang, zh, en)
    }
}

/// Items of the navigation: path, Chinese, English.
const NAV: [(&str, &str, &str); 9] = [
    ("/", "概览", "Overview"),
    ("/map", "地图", "Map"),
    ("/air", "空气", "Air"),
    ("/devices", "设备", "Devices"),
    ("/registry", "碳登记", "Registry"),
    ("/articles", "文章", "Articles"),
    ("/rules", "规则", "Rulebook"),
    ("/data", "数据", "Data"),
    ("/about", "方法", "Methods"),
];

/// A page of the site. `simulated` puts the warning above everything.
#[must_use]
pub fn page(view: &View, title: &str, simulated: bool, body: Markup) -> Markup {
    let here = view.path.split('?').next().unwrap_or("/");
    let feed = view.link("/articles/feed.atom");
    html! {
        (DOCTYPE)
        html lang=(tag(view.lang)) data-theme=(view.theme) data-colours=(view.colours) data-size=(view.size) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Miyun" }
                link rel="stylesheet" href=(crate::assets::style_path());
                script src=(crate::assets::script_path()) defer {}
                link rel="icon" href="/static/icon.svg" type="image/svg+xml";
                link rel="alternate" hreflang="zh-Hans" href={ "/zh" (view.path) };
                link rel="alternate" hreflang="en" href={ "/en" (view.path) };
                link rel="alternate" type="application/atom+xml" title=(view.tr("文章", "Articles")) href=(feed);
            }
            body {
                a.skip href="#main" { (view.tr("跳到正文", "Skip to content")) }
                header.top { div {
                    a.brand href=(view.link("/")) { (view.tr("密云", "Miyun")) span.soft lang=(view.tr("en", "zh-Hans")) { " " (view.tr("Miyun", "密云")) } }
                    nav aria-label=(view.tr("主导航", "Main")) {
                        @for (path, zh, en) in NAV {
                            @let current = if path == "/" { here == "/" || here.starts_with("/plan") } else { here.starts_with(path) };
                            a href=(view.link(path)) aria-current=[current.then_some("page")] { (view.tr(zh, en)) }
                        }
                    }
                    form.search action=(view.link("/search")) role="search" {
                        label.hide for="q" { (view.tr("搜索全站", "Search everything")) }
                        input id="q" type="search" name="q" maxlength="120" placeholder=(view.tr("搜索", "Search"));
                    }
                } div.switches { (switches(view)) } }
                main id="main" {
                    p.print-head { "Miyun · " (title) " · " (view.origin) (prefix(view.lang)) (view.path) }
                    @if simulated { (simulated_banner(view.lang)) }
                    @if let Some(k) = &view.known { (known_banner(view, k)) }
                    (body)
                }
                footer {
                    p { (view.tr(
                        "每个数字都能说明理由：数值、规则、条款、出处、数据行、方法版本。",
                        "Every figure answers why: value, rule, clause, citation, rows, method version.")) }
                    p { a href=(view.link("/about#accessibility")) { (view.tr("无障碍声明", "Accessibility")) } " · "
                        a href=(view.link("/glossary")) { (view.tr("术语", "Glossary")) } " · "
                        a href=(feed) { "Atom" } " · "
                        (view.tr("开源软件（Apache-2.0）", "open source (Apache-2.0)")) }
                }
            }
        }
    }
}

fn known_banner(view: &View, known: &str) -> Markup {
    html! {
        p.note.known role="note" {
            (view.tr("您看到的是截至 ", "You see what was known on ")) time datetime=(known) { (known) }
            (view.tr(" 已知的情况，其后的订正不在内。", "; later corrections are left out. "))
            a href=(view.with(&[("known", "")])) { (view.tr("看现在所知", "See what is known now")) }
        }
    }
}

/// A page that is one file: style inside, no link to anything.
#[must_use]
pub fn standalone(lang: Lang, title: &str, simulated: bool, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(tag(lang)) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main id="main" {
                @if simulated { (simulated_banner(lang)) }
                (body)
            } }
        }
    }
}

/// What must stand above everything made by the simulator.
#[must_use]
pub fn simulated_banner(lang: Lang) -> Markup {
    html! {
        p.simulated role="note" { (tr(lang,
            "模拟数据：这座城市及其全部数据由模拟器生成，不是任何真实地点的监测结果。",
            "SIMULATED: this city and all its data were made by a simulator; nothing here was measured anywhere.")) }
    }
}

fn switches(view: &View) -> Markup {
    let back = |key: &str, value: &str| {
        format!(
            "/settings?{key}={value}&back={}{}",
            prefix(view.lang),
            encode(&view.path)
        )
    };
    let other = match view.lang {
        Lang::Zh => ("/en", "en", "English"),
        Lang::En => ("/zh", "zh-Hans", "中文"),
    };
    html! {
        a href={ (other.0) (view.path) } hreflang=(other.1) lang=(other.1) { (other.2) }
        @if view.theme == "dark" {
            a rel="nofollow" href=(back("theme", "light")) { (view.tr("浅色", "Light")) }
        } @else {
            a rel="nofollow" href=(back("theme", "dark")) { (view.tr("深色", "Dark")) }
        }
        @if view.colours.is_empty() {
            a rel="nofollow" href=(back("colours", "cividis")) { (view.tr("色觉友好", "Colour-blind")) }
        } @else {
            a rel="nofollow" href=(back("colours", "standard")) { (view.tr("标准色", "Standard colours")) }
        }
        @if view.size.is_empty() {
            a rel="nofollow" href=(back("size", "large")) { (view.tr("大字", "Large")) }
        } @else {
            a rel="nofollow" href=(back("size", "normal")) { (view.tr("常规字号", "Normal size")) }
        }
        @match &view.reader {
            Some(r) => a href=(view.link("/desk")) { (r.name) },
            None => a rel="nofollow" href={ (prefix(view.lang)) "/sign-in?back=" (prefix(view.lang)) (encode(&view.path)) } { (view.tr("登录", "Sign in")) },
        }
    }
}

/// Percent-encodes what a query value may not hold.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(byte as char)
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_cannot_break_out() {
        let view = View::plain(Lang::En, "/");
        let text = page(&view, "<script>", false, html! {}).into_string();
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"));
    }

    #[test]
    fn switches_keep_the_place() {
        let mut view = View::plain(Lang::Zh, "/air?year=2016");
        view.theme = "dark";
        let text = page(&view, "t", true, html! {}).into_string();
        assert!(text.contains("/settings?theme=light&amp;back=/zh/air%3Fyear%3D2016"));
        assert!(text.contains(r#"href="/en/air?year=2016""#));
        assert!(text.contains("模拟数据"));
        assert!(text.contains(r#"<a href="/zh/air" aria-current="page">"#));
    }

    #[test]
    fn links_carry_the_moment_of_knowledge() {
        let mut view = View::plain(Lang::Zh, "/map?day=2026-01-02&known=2026-01-03");
        view.known = Some("2026-01-03".into());
        assert_eq!(view.link("/why/a#r"), "/zh/why/a?known=2026-01-03#r");
        assert_eq!(view.with(&[("known", "")]), "/zh/map?day=2026-01-02");
        assert_eq!(
            view.with(&[("day", "2026-01-01")]),
            "/zh/map?known=2026-01-03&day=2026-01-01"
        );
    }

    #[test]
    fn the_standalone_page_asks_nobody() {
        let text = standalone(Lang::En, "t", false, html! {}).into_string();
        assert!(!text.contains("href=") && !text.contains("src="));
    }
}
