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

/// How this reader wants pages, from the path and from cookies.
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
        }
    }

    /// A link inside the site: the path in the reader's language.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", prefix(self.lang))
    }

    /// Picks a text.
    #[must_use]
    pub fn tr<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        tr(self.lang, zh, en)
    }
}

/// Items of the navigation: path, Chinese, English.
const NAV: [(&str, &str, &str); 6] = [
    ("/", "概览", "Overview"),
    ("/air", "空气", "Air"),
    ("/devices", "设备", "Devices"),
    ("/rules", "规则", "Rulebook"),
    ("/data", "数据", "Data"),
    ("/about", "方法", "Methods"),
];

/// A page of the site. `simulated` puts the warning above everything.
#[must_use]
pub fn page(view: &View, title: &str, simulated: bool, body: Markup) -> Markup {
    let here = view.path.split('?').next().unwrap_or("/");
    html! {
        (DOCTYPE)
        html lang=(tag(view.lang)) data-theme=(view.theme) data-colours=(view.colours) data-size=(view.size) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Miyun" }
                link rel="stylesheet" href="/static/style.css";
                link rel="alternate" hreflang="zh-Hans" href={ "/zh" (view.path) };
                link rel="alternate" hreflang="en" href={ "/en" (view.path) };
            }
            body {
                a.skip href="#main" { (view.tr("跳到正文", "Skip to content")) }
                header.top { div {
                    a.brand href=(view.link("/")) { (view.tr("密云 Miyun", "Miyun 密云")) }
                    nav aria-label=(view.tr("主导航", "Main")) {
                        @for (path, zh, en) in NAV {
                            @let current = if path == "/" { here == "/" || here.starts_with("/plan") } else { here.starts_with(path) };
                            a href=(view.link(path)) aria-current=[current.then_some("page")] { (view.tr(zh, en)) }
                        }
                    }
                    div.right { (switches(view)) }
                } }
                main id="main" {
                    @if simulated { (simulated_banner(view.lang)) }
                    (body)
                }
                footer {
                    p { (view.tr(
                        "每个数字都能说明理由：数值、规则、条款、出处、数据行、方法版本。",
                        "Every figure answers why: value, rule, clause, citation, rows, method version.")) }
                    p { (view.tr("密云 Miyun，开源软件（Apache-2.0）。", "Miyun is open source (Apache-2.0).")) }
                }
            }
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
        let view = View {
            lang: Lang::En,
            path: "/".into(),
            theme: "",
            colours: "",
            size: "",
        };
        let text = page(&view, "<script>", false, html! {}).into_string();
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"));
    }

    #[test]
    fn switches_keep_the_place() {
        let view = View {
            lang: Lang::Zh,
            path: "/air?year=2016".into(),
            theme: "dark",
            colours: "",
            size: "",
        };
        let text = page(&view, "t", true, html! {}).into_string();
        assert!(text.contains("/settings?theme=light&amp;back=/zh/air%3Fyear%3D2016"));
        assert!(text.contains(r#"href="/en/air?year=2016""#));
        assert!(text.contains("模拟数据"));
        assert!(text.contains(r#"<a href="/zh/air" aria-current="page">"#));
    }

    #[test]
    fn the_standalone_page_asks_nobody() {
        let text = standalone(Lang::En, "t", false, html! {}).into_string();
        assert!(!text.contains("href=") && !text.contains("src="));
    }
}
