//! The editor's form.

use maud::html;
use miyun_store::{ArticleId, ArticleVersion, MediaId, VersionState};

use crate::pages::articles::{status, tracked};
use crate::pages::desk::{csrf, state};
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::site::Site;

/// The form with what was written, and what is wrong beside its field.
pub(super) fn form_page(
    site: &Site,
    view: &View,
    id: Option<&ArticleId>,
    old: Option<&ArticleVersion>,
    values: &Params,
    wrong: Option<(&str, &str)>,
) -> Shown {
    let title = match id {
        Some(_) => view.tr("编辑文章", "Edit an article"),
        None => view.tr("写一篇文章", "Write an article"),
    };
    let v = |k: &str| values.get(k).map_or("", String::as_str);
    let fault = |k: &str| wrong.filter(|w| w.0 == k).map(|w| w.1);
    let input = |k: &str, label: &str, kind: &str| {
        html! { p { label for=(k) { (label) } br;
        input id=(k) name=(k) type=(kind) value=(v(k)) aria-invalid=[fault(k).map(|_| "true")] aria-describedby=[fault(k).map(|_| format!("{k}-fault"))] autofocus[fault(k).is_some()];
        @if let Some(f) = fault(k) { span.fault id={ (k) "-fault" } { " " (f) } } } }
    };
    let area = |k: &str, label: &str, rows: u8| {
        html! { p { label for=(k) { (label) } br;
        textarea id=(k) name=(k) rows=(rows) aria-invalid=[fault(k).map(|_| "true")] aria-describedby=[fault(k).map(|_| format!("{k}-fault"))] autofocus[fault(k).is_some()] { (v(k)) }
        @if let Some(f) = fault(k) { br; span.fault id={ (k) "-fault" } { (f) } } } }
    };
    let pick = |k: &str, label: &str, options: &[(&str, String)]| {
        html! { p { label for=(k) { (label) } br; select id=(k) name=(k) { @for (value, name) in options { option value=(value) selected[v(k) == *value] { (name) } } } } }
    };
    let kinds: Vec<(&str, String)> = ["notice", "draft", "in-force", "amended", "repealed"]
        .iter()
        .map(|s| (*s, status(view.lang, s)))
        .collect();
    let text_kinds: Vec<(&str, String)> = [
        ("original", "原文", "original"),
        ("machine", "机器翻译", "translated by a machine"),
        (
            "reviewed",
            "译文，经人工核对",
            "a translation read by a person",
        ),
        ("official", "正式译文", "an official translation"),
    ]
    .iter()
    .map(|(k, zh, en)| (*k, view.tr(zh, en).to_owned()))
    .collect();
    let proposed = old.is_some_and(|o| o.state == VersionState::Proposed);
    let path = id.map_or("new".to_owned(), ToString::to_string);
    let mine = old.is_some_and(|o| {
        view.reader
            .as_ref()
            .is_some_and(|r| o.editors.iter().any(|e| e.as_str() == r.id))
    });
    let body = html! {
        p.crumbs { a href=(view.link("/desk")) { (view.tr("工作台", "Desk")) } }
        h1 { (title) }
        @if let Some(o) = old { p { (view.tr("第 ", "Version ")) (o.version) (view.tr(" 版：", ": ")) strong { (state(view, o.state)) } @if !o.decided_reason.is_empty() { " · " (o.decided_reason) }
            @if o.state == VersionState::Published { " · " a href=(view.link(&format!("/articles/{path}"))) { (view.tr("查看", "see it")) } } } }
        @if let Some((_, why)) = wrong { p.note.wrong role="alert" { (view.tr("没有保存：", "Not saved: ")) (why) } }
        @if proposed {
            section.box aria-labelledby="second" {
                h2 id="second" { (view.tr("第二人决定", "The second person decides")) }
                @if mine { p { (view.tr("您改过这一版，需由另一个人决定。", "You edited this version; somebody else has to decide.")) } } @else {
                form method="post" action=(view.link(&format!("/desk/articles/{path}/decide"))) { (csrf(view))
                    p { label for="reason" { (view.tr("意见", "Words")) } br; input id="reason" name="reason"; }
                    button name="act" value="approve" { (view.tr("批准并发布", "Approve and publish")) } " "
                    button name="act" value="return" { (view.tr("退回", "Send back")) }
                } }
            }
        }
        form.editor method="post" enctype="multipart/form-data" action=(view.link(&format!("/desk/articles/{path}"))) { (csrf(view))
            @for (l, name) in [("zh", view.tr("中文", "Chinese")), ("en", view.tr("英文", "English"))] { fieldset {
                legend { (name) }
                (input(&format!("title_{l}"), view.tr("标题", "Title"), "text"))
                (area(&format!("summary_{l}"), view.tr("摘要（一两句）", "Summary (a sentence or two)"), 2))
                (area(&format!("body_{l}"), view.tr("正文", "Body"), 16))
                (pick(&format!("status_{l}"), view.tr("文本性质", "Kind of text"), &text_kinds))
            } }
            details { summary { (view.tr("正文怎么写", "How to write the body")) } p.code { "# 标题  / heading" br; "- 列表项  / item" br; "> 引文  / quote" br; "**重点**  *强调*  `代码`  [文字](https://…)" br; "{#s2.1}" } p { (view.tr("每个段落和列表项是一个条款；保存时各得一个固定的编号，以后修改不会移动它。", "Each paragraph and item is a clause; saving gives each a fixed address that later edits do not move.")) } }
            fieldset {
                legend { (view.tr("说明", "About it")) }
                (input("source_zh", view.tr("来源（中文）", "Source (Chinese)"), "text")) (input("source_en", view.tr("来源（英文）", "Source (English)"), "text"))
                (input("publisher_zh", view.tr("发布机构（中文）", "Publisher (Chinese)"), "text")) (input("publisher_en", view.tr("发布机构（英文）", "Publisher (English)"), "text"))
                (pick("status", view.tr("状态", "Status"), &kinds))
                (input("released_at", view.tr("发布时刻（UTC）", "Released (UTC)"), "text"))
                (input("issued_on", view.tr("成文日期", "Issued"), "date")) (input("effective_from", view.tr("施行自", "In effect from"), "date")) (input("effective_until", view.tr("施行至", "In effect until"), "date"))
                (input("document_number", view.tr("文号", "Document number"), "text")) (input("index_number", view.tr("索引号", "Index number"), "text"))
                (input("topics", view.tr("主题（空格分开）", "Topics (with spaces between)"), "text")) (input("regions", view.tr("地区编码（空格分开）", "Region codes (with spaces between)"), "text"))
                (area("links", view.tr("条款与措施，每行一对：s2.1 linxi-sim/2.1", "Clause and measure, one pair a line: s2.1 linxi-sim/2.1"), 6))
                (input("note", view.tr("这次改了什么（公开）", "What changed (public)"), "text"))
            }
            fieldset {
                legend { (view.tr("图片", "Picture")) }
                @if v("picture").parse::<MediaId>().is_ok() {
                    input type="hidden" name="picture" value=(v("picture"));
                    img.picture src={ "/media/" (v("picture")) } alt=(v(view.tr("alt_zh", "alt_en"))) width="240";
                    p { label { input type="checkbox" name="picture_remove" value="1"; " " (view.tr("不用这张图", "Do without this picture")) } }
                }
                p { label for="picture_file" { (view.tr("PNG、JPEG 或 WebP，至多 8 MiB；只保留像素，不保留拍摄地点等信息", "PNG, JPEG or WebP, at most 8 MiB; only the pixels are kept, no place or camera data")) } br;
                    input id="picture_file" name="picture_file" type="file" accept="image/png,image/jpeg,image/webp" aria-invalid=[fault("picture_file").map(|_| "true")] aria-describedby=[fault("picture_file").map(|_| "picture_file-fault")] autofocus[fault("picture_file").is_some()];
                    @if let Some(f) = fault("picture_file") { br; span.fault id="picture_file-fault" { (f) } } }
                p.soft { (view.tr("有图片时，下面各项都要填。", "With a picture, each of these is required.")) }
                (input("caption_zh", view.tr("图注（中文）", "Caption (Chinese)"), "text")) (input("caption_en", view.tr("图注（英文）", "Caption (English)"), "text"))
                (input("alt_zh", view.tr("替代文字：看不到图的人读到什么（中文）", "What it shows, for those who do not see it (Chinese)"), "text")) (input("alt_en", view.tr("替代文字（英文）", "The same in English"), "text"))
                (input("credit", view.tr("作者", "Credit"), "text")) (input("licence", view.tr("许可", "Licence"), "text"))
            }
            button name="act" value="save" { (view.tr("保存草稿", "Save the draft")) } " "
            button name="act" value="propose" { (view.tr("保存并送第二人批准", "Save and ask the second person")) }
        }
        @if let Some(o) = old { @if o.state == VersionState::Published && view.reader.as_ref().is_some_and(|r| r.approves) {
            form method="post" action=(view.link(&format!("/desk/articles/{path}/withdraw"))) { (csrf(view))
                h2 { (view.tr("撤回", "Withdraw")) }
                p { (view.tr("撤回后网址仍在，公开显示原因和日期；不能恢复。", "After withdrawing the address stays and shows reason and date; there is no way back.")) }
                p { label for="why" { (view.tr("原因（公开）", "Reason (public)")) } br; input id="why" name="reason" required; }
                button { (view.tr("撤回这篇文章", "Withdraw this article")) }
            }
        } }
        @if let Some(o) = old { p.soft { (view.tr("条款 ", "Clauses ")) (o.content.clauses) " · " (view.tr("已跟踪 ", "tracked ")) (tracked(o.content.links.iter().map(|l| l.anchor.as_str()))) " · BLAKE3 " (o.digest) } }
        @if site.plans.is_empty() { p.soft { (view.tr("没有计划，条款无处可连。", "There is no plan to link clauses to.")) } }
    };
    Shown::new(title, false, body)
}
