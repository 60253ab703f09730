//! One article: its text with addressed clauses, what tracks them, versions, differences, citations.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use miyun_core::MeasureId;
use miyun_core::text::Lang;
use miyun_plan::MeasureStatus;
use miyun_store::{
    Article, ArticleContent, ArticleId, ArticleText, ArticleVersion, MediaId, PersonId, TextStatus,
    VersionState,
};

use super::articles::{coverage, region, released, status, store, topic, tracked};
use crate::articles::cite::{Cited, Form, cite};
use crate::articles::{diff, markup};
use crate::failure::Failure;
use crate::picture;
use crate::server::{Params, Shown};
use crate::shell::{View, prefix, tag};
use crate::show;
use crate::site::Site;

/// What a path names: an article, perhaps at a version.
pub(super) fn named(text: &str) -> Result<(ArticleId, Option<u32>), Failure> {
    let (id, version) = text
        .split_once('@')
        .map_or((text, None), |(i, v)| (i, Some(v)));
    let id: ArticleId = id
        .parse()
        .map_err(|_| Failure::NotFound(format!("no article {id:?}")))?;
    let version = version
        .map(|v| {
            v.parse::<u32>()
                .map_err(|_| Failure::NotFound(format!("no version {v:?}")))
        })
        .transpose()?;
    Ok((id, version))
}

/// An article and the version asked for; only published ones are public.
pub(super) async fn load(
    site: &Site,
    text: &str,
) -> Result<(Article, Option<ArticleVersion>), Failure> {
    let (id, version) = named(text)?;
    let s = store(site)?;
    let article = s
        .article(&id)
        .await?
        .ok_or_else(|| Failure::NotFound(format!("no article {id}")))?;
    let shown = match version {
        None => article.current.clone(),
        Some(n) => Some(
            s.article_version(&id, n)
                .await?
                .filter(|v| v.state == VersionState::Published)
                .ok_or_else(|| {
                    Failure::NotFound(format!("article {id} has no published version {n}"))
                })?,
        ),
    };
    if shown.is_none() && article.tombstone.is_none() {
        return Err(Failure::NotFound(format!("no article {id}")));
    }
    Ok((article, shown))
}

/// Where every measure stands, by id.
pub(super) async fn measures(site: &Arc<Site>, view: &View) -> BTreeMap<MeasureId, MeasureStatus> {
    let (site, known) = (Arc::clone(site), view.known.clone());
    tokio::task::spawn_blocking(move || {
        site.plans
            .iter()
            .flat_map(|p| site.plan_state(p, site.today(), &known).measures.clone())
            .map(|m| (m.measure.id.clone(), m))
            .collect()
    })
    .await
    .unwrap_or_default()
}

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    view: View,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    let made = one(&site, &view, &id).await;
    let gone = matches!(&made, Ok((_, true)));
    let mut r = super::finish(&view, made.map(|m| m.0));
    if gone {
        *r.status_mut() = StatusCode::GONE;
    }
    r
}

async fn one(site: &Arc<Site>, view: &View, name: &str) -> Result<(Shown, bool), Failure> {
    let (article, shown) = load(site, name).await?;
    if let Some(t) = &article.tombstone {
        return Ok((tombstone(view, &article, t), true));
    }
    let mut versions = published(site, &article.id).await?;
    let mut latest = article.current.as_ref().map_or(0, |c| c.version);
    let mut shown = shown;
    if let Some(known) = view.known_at() {
        // As known then: the versions that had been published by that moment.
        versions.retain(|v| v.shown_by(known));
        latest = versions.first().map_or(0, |v| v.version);
        if named(name)?.1.is_none() {
            shown = versions.first().cloned();
        }
    }
    let Some(v) = shown else {
        return Err(Failure::NotFound(format!("no article {name} by then")));
    };
    let states = measures(site, view).await;
    let liked = match &view.reader {
        Some(r) => match r.id.parse::<PersonId>() {
            Ok(p) => store(site)?.liked(&article.id, &p).await?,
            Err(_) => false,
        },
        None => false,
    };
    let collections = match view
        .reader
        .as_ref()
        .and_then(|r| r.id.parse::<PersonId>().ok())
    {
        Some(p) => store(site)?.collections(&p).await?,
        None => Vec::new(),
    };
    let Some(text) = v.content.text(view.lang) else {
        return Err(Failure::Broken("an article without text".into()));
    };
    let blocks = markup::parse(&text.body);
    let c = &v.content;
    let now = Timestamp::now();
    let linked = tracked(c.links.iter().map(|l| l.anchor.as_str()));
    let chip = |b: &markup::Block| {
        html! { @for l in c.links.iter().filter(|l| l.anchor == b.anchor) { @if let Some(m) = states.get(&l.measure) { " " (tracking(view, m)) } @else { " " span.chip { (l.measure) } } } }
    };
    let free: Vec<&markup::Block> = blocks
        .iter()
        .filter(|b| b.is_clause() && !c.links.iter().any(|l| l.anchor == b.anchor))
        .collect();
    let widths = match &c.picture {
        Some(p) => store(site)?.renditions(&p.media).await?,
        None => Vec::new(),
    };
    let url = format!("/articles/{}@{}", article.id, v.version);
    let simulated = simulated(site, c);
    let body = html! {
        p.crumbs { a href=(view.link("/articles")) { (view.tr("文章与政策", "Articles and policies")) } }
        div.article {
            article lang=(tag(text.lang)) {
                h1 { (text.title) }
                p.soft lang=(tag(view.lang)) {
                    (c.source.get(view.lang)) " · " (released(view, c.released_at, now)) " · "
                    @for r in &c.regions { a.tag href=(view.link(&format!("/articles?region={r}"))) { (region(site, view.lang, r)) } " " }
                    @for t in &c.topics { a.tag href=(view.link(&format!("/articles?topic={t}"))) { (topic(view.lang, t)) } " " }
                }
                dl.pairs lang=(tag(view.lang)) {
                    dt { (view.tr("发布机构", "Publisher")) } dd { (c.publisher.get(view.lang)) }
                    @if let Some(n) = &c.document_number { dt { (view.tr("文号", "Document number")) } dd lang="zh-Hans" { (n) } }
                    @if let Some(n) = &c.index_number { dt { (view.tr("索引号", "Index number")) } dd lang="zh-Hans" { (n) } }
                    @if let Some(d) = c.issued_on { dt { (view.tr("成文日期", "Issued")) } dd { (show::day(view.lang, d)) } }
                    @if c.effective_from.is_some() || c.effective_until.is_some() { dt { (view.tr("施行", "In effect")) } dd { (crate::rules::period(view.lang, &miyun_core::Period { from: c.effective_from, until: c.effective_until })) } }
                    dt { (view.tr("状态", "Status")) } dd { (status(view.lang, c.status.as_str())) " · " (view.tr("第 ", "version ")) (v.version) (view.tr(" 版", ""))
                        @if v.version < latest { " · " strong { (view.tr("这不是最新版本", "not the latest version")) } " " a href=(view.link(&format!("/articles/{}", article.id))) { (view.tr("看最新版本", "see the latest version")) } } }
                    (translation(view, text))
                }
                @if !text.summary.is_empty() { p.lead { (text.summary) } }
                @if let Some(p) = &c.picture { figure.picture {
                    img src=(picture::url(&p.media)) srcset=[(widths.len() > 1).then(|| picture::srcset(&widths))] sizes="(max-width: 800px) 94vw, 760px" width=[widths.first().map(|r| r.width)] height=[widths.first().map(|r| r.height)] alt=(p.alt.get(view.lang));
                    figcaption lang=(tag(view.lang)) { (p.caption.get(view.lang)) " " span.soft { (view.tr("图：", "Picture: ")) (p.credit) " (" (p.licence) ")" } }
                } }
                (markup::render(&blocks, &chip))
            }
            aside aria-label=(view.tr("关于这篇文章", "About this article")) {
                @if c.clauses > 0 { (coverage(view, linked, c.clauses)) }
                @let heads: Vec<&markup::Block> = blocks.iter().filter(|b| matches!(b.kind, markup::Kind::Heading(_))).collect();
                @if !heads.is_empty() { h2 { (view.tr("目录", "Contents")) } ul lang=(tag(text.lang)) { @for h in heads { li { a href={ "#" (h.anchor) } { (h.text) } } } } }
                @if !c.links.is_empty() { h2 { (view.tr("对应的措施", "Measures")) } ul { @for m in related(c.links.iter().map(|l| &l.measure), &states) { li { (tracking(view, m)) " " (m.measure.title.get(view.lang)) } } } }
                @if !free.is_empty() && !c.links.is_empty() { details { summary { (view.tr("没有跟踪的条款", "Clauses that nothing tracks")) " (" (free.len()) ")" } ul lang=(tag(text.lang)) { @for b in &free { li { a href={ "#" (b.anchor) } { (b.anchor) } " " (cut(&b.text)) } } } } }
                @if !c.attachments.is_empty() { h2 { (view.tr("附件", "Attachments")) } ul { @for a in &c.attachments { li { a href={ "/media/" (a.media) } { (a.name) } br; span.code { (cut(a.media.as_str())) } } } } }
                h2 { (view.tr("版本", "Versions")) }
                ul { @for w in &versions { li {
                    @if w.version == v.version { strong { (view.tr("第 ", "version ")) (w.version) (view.tr(" 版", "")) } } @else { a href=(view.link(&format!("/articles/{}@{}", article.id, w.version))) { (view.tr("第 ", "version ")) (w.version) (view.tr(" 版", "")) } }
                    @if let Some(at) = w.decided_at { " " span.soft { (crate::articles::when::exact(at)) } }
                    @if w.version > 1 { " " a href=(view.link(&format!("/articles/{}/diff?a={}&b={}", article.id, w.version - 1, w.version))) { (view.tr("改了什么", "what changed")) } }
                    @if !w.note.is_empty() { br; span.soft lang="" { (w.note) } }
                } } }
                h2 { (view.tr("引用", "Cite")) }
                p.code.cite { (cite(&cited(view, &article, &v, text, now), Form::Gbt7714)) }
                p { @for (_, ending, label) in Form::ALL { a href=(view.link(&format!("{url}/cite/{ending}"))) { (crate::words::word(view.lang, label)) } " " } }
                p.code { "BLAKE3 " (cut(&v.digest)) }
                (likes(view, &article, liked))
                @if !collections.is_empty() { (collect(view, &article, &collections)) }
                @if view.reader.as_ref().is_some_and(|r| r.writes) { p { a href=(view.link(&format!("/desk/articles/{}", article.id))) { (view.tr("编辑", "Edit")) } } }
                p { a href=(view.link("/about#errors")) { (view.tr("发现错误？", "Something wrong?")) } }
            }
        }
    };
    Ok((Shown::new(text.title.clone(), simulated, body), false))
}

/// True if the article is about a place that a simulator made.
fn simulated(site: &Site, c: &ArticleContent) -> bool {
    let places = site.lake().subjects();
    let made = |r: &String| {
        places
            .iter()
            .any(|s| s.simulated && s.jurisdiction.as_str() == *r)
    };
    c.regions.iter().any(made)
}

fn cut(text: &str) -> String {
    let mut out: String = text.chars().take(42).collect();
    if text.chars().count() > 42 {
        out.push('…');
    }
    out
}

fn translation(view: &View, text: &ArticleText) -> Markup {
    let (zh, en) = match text.status {
        TextStatus::Original => {
            return html! { @if text.lang != view.lang { dt { (view.tr("语言", "Language")) } dd { (view.tr("没有译文，显示原文", "no translation, the original is shown")) } } };
        }
        TextStatus::Machine => (
            "机器翻译，未经人工核对",
            "translated by a machine, not read by a person",
        ),
        TextStatus::Reviewed => ("译文，经人工核对", "a translation read by a person"),
        TextStatus::Official => ("正式译文", "an official translation"),
    };
    html! { dt { (view.tr("语言", "Language")) } dd { (view.tr(zh, en)) } }
}

/// The chip of a measure that tracks a clause: indicator, value, verdict.
fn tracking(view: &View, m: &MeasureStatus) -> Markup {
    let (class, sign) = match m.standing {
        miyun_plan::Standing::Attained | miyun_plan::Standing::OnTrack => ("good", "✓"),
        miyun_plan::Standing::AtRisk => ("warn", "!"),
        miyun_plan::Standing::Missed => ("bad", "×"),
        _ => ("none", "?"),
    };
    let figure = m
        .indicators
        .iter()
        .find(|i| i.standing == m.standing && i.figure.is_some());
    let link = m
        .measure
        .id
        .as_str()
        .rsplit_once('/')
        .map_or(String::new(), |(p, r)| format!("/plan/{p}/{r}"));
    html! {
        a.chip lang=(tag(view.lang)) href=(view.link(&link)) title=(m.measure.title.get(view.lang)) {
            span class={ "verdict " (class) } { (sign) " " (m.standing.text().get(view.lang)) }
            " " (m.measure.row)
            @if let Some(i) = figure { @if let Some(v) = i.figure.as_ref().and_then(|f| f.assessment.value) { " · " (show::indicator(view.lang, i.indicator.indicator.as_str())) " " (v) " " (show::unit(view.lang, i.indicator.unit.as_str())) } }
        }
    }
}

fn related<'m>(
    ids: impl Iterator<Item = &'m MeasureId>,
    states: &'m BTreeMap<MeasureId, MeasureStatus>,
) -> Vec<&'m MeasureStatus> {
    let mut all: Vec<&MeasureId> = ids.collect();
    all.sort();
    all.dedup();
    all.into_iter().filter_map(|i| states.get(i)).collect()
}

fn tombstone(view: &View, article: &Article, t: &miyun_store::Tombstone) -> Shown {
    let title = view.tr("这篇文章已撤回", "This article was withdrawn");
    let body = html! {
        h1 { (title) }
        dl.pairs {
            dt { (view.tr("撤回时间", "Withdrawn")) } dd { time datetime=(t.at) { (crate::articles::when::exact(t.at)) } }
            dt { (view.tr("原因", "Reason")) } dd lang="" { (t.reason) }
            dt { (view.tr("编号", "Id")) } dd.code { (article.id) }
        }
        p { (view.tr("网址保留，内容不再显示。", "The address stays; the content is no longer shown.")) " " a href=(view.link("/articles")) { (view.tr("全部文章", "All articles")) } }
    };
    Shown::new(title, false, body)
}

async fn published(site: &Site, id: &ArticleId) -> Result<Vec<ArticleVersion>, Failure> {
    let mut all = store(site)?.article_versions(id).await?;
    all.retain(|v| v.state == VersionState::Published);
    Ok(all)
}

fn likes(view: &View, article: &Article, liked: bool) -> Markup {
    // Shown rounded above a hundred; the raw count is in the API.
    let n = match article.likes {
        n if n > 100 => format!("{}+", n / 100 * 100),
        n => n.to_string(),
    };
    let path = view.link(&format!("/articles/{}/like", article.id));
    html! {
        @match &view.reader {
            Some(r) => form method="post" action=(path) data-like { input type="hidden" name="csrf" value=(r.csrf); @if liked { input type="hidden" name="undo" value="1"; } button { (if liked { view.tr("取消喜欢", "Unlike") } else { view.tr("喜欢", "Like") }) " " output { (n) } } },
            None => p { a.button href=(path) rel="nofollow" { (view.tr("喜欢", "Like")) " " (n) } },
        }
    }
}

fn collect(view: &View, article: &Article, collections: &[miyun_store::Collection]) -> Markup {
    let csrf = view.reader.as_ref().map_or("", |r| r.csrf.as_str());
    html! {
        form.inline method="post" action=(view.link(&format!("/articles/{}/collect", article.id))) {
            input type="hidden" name="csrf" value=(csrf);
            label { (view.tr("收藏到", "Collect into")) " " select name="collection" { @for c in collections { option value=(c.id) { (c.title) @if c.items.contains(&article.id) { " ✓" } } } } }
            button { (view.tr("收藏", "Collect")) }
        }
    }
}

fn cited(
    view: &View,
    article: &Article,
    v: &ArticleVersion,
    text: &ArticleText,
    now: Timestamp,
) -> Cited {
    let day = |t: Timestamp| crate::articles::when::local(t).date();
    Cited {
        id: article.id.to_string(),
        lang: text.lang,
        title: text.title.clone(),
        source: v.content.source.get(text.lang).to_owned(),
        publisher: v.content.publisher.get(text.lang).to_owned(),
        number: v.content.document_number.clone(),
        released: day(v.content.released_at),
        accessed: day(now),
        version: v.version,
        digest: v.digest.clone(),
        url: format!(
            "{}{}/articles/{}@{}",
            view.origin,
            prefix(view.lang),
            article.id,
            v.version
        ),
    }
}

/// A citation as a file.
pub(super) async fn citation(
    State(site): State<Arc<Site>>,
    view: View,
    Path((_, id, form)): Path<(String, String, String)>,
) -> Response {
    let made: Result<(Form, String), Failure> = async {
        let form = Form::of(&form)
            .ok_or_else(|| Failure::NotFound(format!("no citation form {form:?}")))?;
        let (article, v) = load(&site, &id).await?;
        let v = v.ok_or_else(|| Failure::Gone("withdrawn".into()))?;
        let text = v
            .content
            .text(view.lang)
            .ok_or_else(|| Failure::Broken("an article without text".into()))?;
        let made = cite(&cited(&view, &article, &v, text, Timestamp::now()), form);
        Ok((form, made))
    }
    .await;
    match made {
        Ok((form, text)) => (
            [(
                header::CONTENT_TYPE,
                HeaderValue::from_static(form.media_type()),
            )],
            text,
        )
            .into_response(),
        Err(f) => f.page(&view),
    }
}

/// What changed between two published versions.
pub(super) async fn difference(
    State(site): State<Arc<Site>>,
    view: View,
    Path((_, id)): Path<(String, String)>,
    Query(q): Query<Params>,
) -> Response {
    let made: Result<Shown, Failure> = async {
        let (article, _) = load(&site, &id).await?;
        if let Some(t) = &article.tombstone {
            return Ok(tombstone(&view, &article, t));
        }
        let number = |k: &str| {
            q.get(k)
                .and_then(|v| v.parse::<u32>().ok())
                .ok_or_else(|| Failure::Bad(format!("{k}: write the number of a version")))
        };
        let (a, b) = (number("a")?, number("b")?);
        let (_, old) = load(&site, &format!("{}@{a}", article.id)).await?;
        let (_, new) = load(&site, &format!("{}@{b}", article.id)).await?;
        let (Some(old), Some(new)) = (old, new) else {
            return Err(Failure::NotFound("no such version".into()));
        };
        let (Some(x), Some(y)) = (old.content.text(view.lang), new.content.text(view.lang)) else {
            return Err(Failure::Broken("an article without text".into()));
        };
        let changes = diff::diff(&x.body, &y.body);
        let (added, removed, edited) = diff::counts(&changes);
        let title = view.tr("两版之间改了什么", "What changed between two versions");
        let body = html! {
            p.crumbs { a href=(view.link(&format!("/articles/{}", article.id))) { (y.title) } }
            h1 { (title) }
            p.lead { (match view.lang {
                Lang::Zh => format!("第 {a} 版 → 第 {b} 版：新增 {added} 条，删去 {removed} 条，改动 {edited} 条。"),
                Lang::En => format!("Version {a} → version {b}: {added} clauses added, {removed} removed, {edited} edited."),
            }) }
            @if x.title != y.title { p { (view.tr("标题：", "Title: ")) del { (x.title) } " " ins { (y.title) } } }
            @if !new.note.is_empty() { p.note lang="" { (new.note) } }
            div lang=(tag(y.lang)) { (diff::render(&changes, view.tr("新增", "added"), view.tr("删去", "removed"))) }
        };
        Ok(Shown::new(title, simulated(&site, &new.content), body))
    }
    .await;
    super::finish(&view, made)
}

/// Types that a browser may show; everything else is offered as a download.
const SHOWN: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];

/// A picture or attachment.
pub(super) async fn media(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Response {
    let found = async {
        let id: MediaId = id.parse().ok()?;
        site.store()?.media(&id).await.ok()?
    };
    let Some(m) = found.await else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let shown = SHOWN.contains(&m.content_type.as_str());
    let mut r = m.bytes.into_response();
    let h = r.headers_mut();
    if let Ok(t) = HeaderValue::from_str(&m.content_type) {
        h.insert(header::CONTENT_TYPE, t);
    }
    // A file never runs as a page of this site.
    h.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    h.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if !shown {
        h.insert(
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment"),
        );
    }
    h.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    r
}
