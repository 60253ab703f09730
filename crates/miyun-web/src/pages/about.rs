//! Data and API, methods, accessibility, glossary.

use maud::html;
use miyun_core::text::Lang;

use crate::failure::Failure;
use crate::geo::LAYERS;
use crate::server::{Params, Shown};
use crate::shell::View;
use crate::show;
use crate::site::Site;
use crate::terms;

pub(super) fn data(site: &Site, view: &View, q: &Params) -> Result<Shown, Failure> {
    let lake = site.lake();
    let city = site.city(q.get("city").map(String::as_str))?;
    let known = view.known.clone();
    let files = lake.commits().iter().flat_map(|c| {
        let recorded = |f| (c.recorded(f), f);
        c.files.iter().map(recorded)
    });
    let mut imports: Vec<_> = files
        .filter(|((_, at), _)| known.as_ref().is_none_or(|k| *at <= k.as_str()))
        .collect();
    imports.reverse();
    let title = view.tr("数据与接口", "Data and API");
    let call = format!("{}/api/v1", view.origin);
    let body = html! {
        h1 { (title) }
        p.lead { (view.tr("每一页上的数字都能下载，都能用接口取得，都带编号，可以追到数据行。", "Every number on a page can be downloaded, can be had from the API, and has an id that leads to its rows.")) }
        h2 { (view.tr("接口", "API")) }
        p { (view.tr("OpenAPI 3.1 说明：", "OpenAPI 3.1 description: ")) a.code href="/api/v1/openapi.json" { "/api/v1/openapi.json" } }
        ul {
            li { span.code { "curl " (call) "/figures/ID" } " — " (view.tr("一个数字及其理由", "a figure with its why")) }
            li { a.code href={ "/api/v1/air/items?city=" (city.id) "&period=2026" } { "curl '" (call) "/air/items?city=" (city.id) "&period=2026'" } " — " (view.tr("一年的评价项目（另有 air/days、air/hours）", "the annual items of a year (also air/days, air/hours)")) }
            li { span.code { "curl '" (call) "/plans'" } " — " (view.tr("计划与各措施的状态", "plans and where each measure stands")) }
            li { span.code { "curl '" (call) "/rules'" } " — " (view.tr("规则库", "the rulebook")) }
        }
        h2 { (view.tr("数据湖", "The lake")) }
        p { (view.tr("观测数据是 Parquet 文件，任何 Arrow、DuckDB 或 pandas 用户都能直接打开；也可以用命令行查询：", "Observations are Parquet files that any user of Arrow, DuckDB or pandas can open; or query them:")) }
        p.code { "miyun sql \"select * from observations where subject like '" (city.id) "/%' limit 10\"" }
        div.scroll tabindex="0" { table {
            caption { (view.tr("入库记录，新的在前；每次入库都可以用“截至何时已知”回到当时。", "Imports, newest first; \"as known on\" goes back to any of them.")) }
            thead { tr { th.n scope="col" { "#" } th scope="col" { (view.tr("入库时间", "Recorded")) } th scope="col" { (view.tr("文件", "File")) } th scope="col" { (view.tr("声明", "Declared")) } th.n scope="col" { (view.tr("行数", "Rows")) } th.n scope="col" { (view.tr("值", "Values")) } th.n scope="col" { (view.tr("问题", "Problems")) } th scope="col" { "BLAKE3" } } }
            tbody { @for ((sequence, at), f) in imports.iter().take(100) { tr {
                td.n { (sequence) }
                td { a href={ (crate::shell::prefix(view.lang)) "/?known=" (crate::shell::encode(at)) } title=(view.tr("看当时所知", "see what was known then")) { time datetime=(at) { (at) } } }
                td { (crate::words::each(view.lang, f.name.rsplit('/').next().unwrap_or(""))) } td { (crate::words::each(view.lang, &f.declared)) } td.n { (f.rows) } td.n { (f.values) } td.n { (f.problems) } td.code { (f.digest.get(..16).unwrap_or("")) "…" }
            } } }
        } }
        (show::downloads(view, &[("/api/v1/imports".into(), "入库记录", "Imports"), ("/api/v1/places".into(), "城市与站点", "Cities and stations"), ("/api/v1/published".into(), "已公布的数字", "Published figures")]))
        h2 { (view.tr("序列", "Series")) }
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { (view.tr("指标", "Indicator")) } th scope="col" { (view.tr("单位", "Unit")) } th.n scope="col" { (view.tr("站点数", "Stations")) } } }
            tbody { @for (i, u, n) in series(&lake) { tr { th scope="row" { (show::indicator(view.lang, &i)) } td { (show::unit(view.lang, &u)) } td.n { (n) } } } }
        } }
        h2 { (view.tr("订阅", "Feeds")) }
        p { a href=(view.link("/articles/feed.atom")) { "Atom" } " · " a href=(view.link("/articles/feed.json")) { "JSON Feed" } " — " (view.tr("文章列表的任何筛选都能订阅。", "any filter of the list of articles is a feed.")) }
    };
    Ok(Shown::new(title, city.simulated, body))
}

/// Indicator, unit and number of subjects.
fn series(lake: &miyun_lake::Lake) -> Vec<(String, String, usize)> {
    let mut out: Vec<(String, String, Vec<String>)> = Vec::new();
    for s in lake.series() {
        let (i, u, p) = (
            s.indicator.to_string(),
            s.unit.to_string(),
            s.subject.to_string(),
        );
        match out.iter_mut().find(|o| o.0 == i && o.1 == u) {
            Some(o) => {
                if !o.2.contains(&p) {
                    o.2.push(p);
                }
            }
            None => out.push((i, u, vec![p])),
        }
    }
    out.into_iter().map(|(i, u, p)| (i, u, p.len())).collect()
}

pub(super) fn about(site: &Site, view: &View, _: &Params) -> Result<Shown, Failure> {
    let title = view.tr("方法与说明", "Methods and about");
    let simulated = site.lake().subjects().iter().any(|s| s.simulated);
    let levels = site
        .city(None)
        .and_then(|c| site.law_of_day(&c, site.today(), &view.known))
        .map(|e| e.edition.edition.levels.clone())
        .unwrap_or_default();
    let body = html! {
        h1 { (title) }
        p.lead { (view.tr("密云把一座城市的生态环境计划变成可以逐项核对的网站：证据、规则、评价、计划、公开，每个数字都能回答为什么。", "Miyun turns a city's ecological plan into a site that can be checked item by item: evidence, rules, assessment, plan, publication; every figure answers why.")) }
        h2 { (view.tr("数字怎样算出", "How figures are computed")) }
        ul {
            li { (view.tr("城市值是不含对照点的各站日值平均；日值、指数和年评价按所选版本的条款计算，规定修约之处用精确算术。", "A city value is the mean of its stations' daily values without control stations; daily values, indices and annual items follow the clauses of the chosen edition, with exact arithmetic wherever a rule says how to round.")) }
            li { (view.tr("数值、有效性、缺什么和结论分开给出：有效日不足的数值仍然显示，并注明无效。", "Value, validity, what is missing and the verdict are given apart: a value without enough valid days is still shown, as not valid.")) }
            li { (view.tr("默认适用证据当日有效的法律；换一个版本只改变限值和方法，不改变数据。", "The law in force on the day of the evidence applies; another edition changes limit and method, never the data.")) }
            li { (view.tr("订正不覆盖旧值：网址里的“known”回到当时所知，数字的“为什么”页列出每次订正和差额。", "A correction never overwrites: \"known\" in the address goes back to what was known, and a figure's why lists every correction with the difference.")) }
            li { (view.tr("没有人对照原文核对过的规则都标为“未核实”。", "A rule that nobody compared with the printed text is marked not verified.")) }
            li { (view.tr("计划中没有绑定指标的措施照样列出，并说明需要什么证据。", "A measure of the plan that is not bound to an indicator is listed all the same, with the evidence it needs.")) }
        }
        h2 id="colours" { (view.tr("颜色与符号", "Colours and signs")) }
        p { (view.tr("颜色从不单独表意：级别另有形状和文字，结论另有符号。页首可换成色觉友好的配色。", "Colour never speaks alone: levels have a shape and a word, verdicts a sign. The head of the page offers colours that everyone can tell apart.")) }
        ul.levels { @for l in &levels { li { (show::level(l.value.name.get(view.lang), u8::try_from(l.value.level).unwrap_or(0))) } } }
        h2 id="maps" { (view.tr("地图", "Maps")) }
        p { (view.tr("不用任何外部底图。区以方格表示相对位置，不表示区界；站点图上每个站点给离它最近的区域着色。", "No base map from elsewhere. Districts are squares that show relative places, not boundaries; on the station map each station colours the area nearest to it.")) }
        ul { @for l in &LAYERS { li lang="en" { (l.city) " / " (l.id) ": " (l.credit) ", " (l.licence) } } }
        h2 id="accessibility" { (view.tr("无障碍声明", "Accessibility")) }
        p { (view.tr("本站以 WCAG 2.2 AA 与 GB/T 37668-2019 为准绳。全部页面不用脚本也能读，能用键盘走完，图都有文字摘要和数据表，另有大字模式。自动检查覆盖全部页面、两种语言、浅色与深色、桌面与手机宽度；自动检查不能代替真人试用。", "The aim is WCAG 2.2 AA and GB/T 37668-2019. Every page reads without scripts, works by keyboard, gives each chart a sentence and a table, and has a large mode. Automatic checks cover all pages, both languages, light and dark, desktop and phone widths; they do not replace trials with people.")) }
        h2 id="errors" { (view.tr("发现错误", "Something wrong?")) }
        p { (view.tr("请带上数字的编号（“为什么”页末尾）、您读到的条款和您认为正确的值，报告给发布本站的机构。", "Report it to the body that publishes this site, with the figure's id (at the end of its why page), the clause you read and the value you expect.")) }
        h2 { (view.tr("软件", "Software")) }
        p { (match view.lang {
            Lang::Zh => format!("密云 Miyun {}，开源软件（Apache-2.0）。", env!("CARGO_PKG_VERSION")),
            Lang::En => format!("Miyun {}, open source (Apache-2.0).", env!("CARGO_PKG_VERSION")),
        }) }
    };
    Ok(Shown::new(title, simulated, body))
}

pub(super) fn glossary(_: &Site, view: &View, _: &Params) -> Result<Shown, Failure> {
    let title = view.tr("术语", "Glossary");
    let body = html! {
        h1 { (title) }
        p.lead { (view.tr("一词一义；本站中英文都以此为准。", "One word, one meaning; both languages of this site keep to it.")) }
        (terms::glossary(view.lang))
    };
    Ok(Shown::new(title, false, body))
}
