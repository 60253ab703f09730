// What people do who sign in: by keyboard alone, in both languages, with the second person where the law of
// the house asks for one.
import { readFileSync } from "node:fs";
import { check, days, enter, equal, figureOf, paths, signedIn, tabTo, that, visitor, write, PASSWORD } from "./lib.js";
import { violations } from "./suites.js";

const text = (page) => page.locator("main").innerText();

/** Signs in by keyboard from wherever the page is. */
async function signIn(page, login, password = PASSWORD) {
  await enter(page, page.locator(".switches a[href*='/sign-in']"));
  equal(await page.evaluate(() => document.activeElement.name), "login", "the first field has the focus");
  await page.keyboard.insertText(login);
  await page.keyboard.press("Tab");
  await page.keyboard.insertText(password);
  await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
}

async function signOut(page, base, lang) {
  await page.goto(`${base}/${lang}/desk`);
  await enter(page, page.locator("form[action$='/sign-out'] button"));
}

/** Signing in and out. */
export async function session(b, base) {
  const { context, notes } = await visitor(b, base);
  const page = await context.newPage();
  await check("sign in: a wrong password says so and keeps the name", async () => {
    await page.goto(`${base}/zh/air`);
    await signIn(page, "wen", "not this one");
    equal(await page.inputValue("[name=login]"), "wen", "name");
    equal(await page.inputValue("[name=password]"), "", "password");
    that((await page.locator("[role=alert]").innerText()).includes("密码不对"), "words");
    equal((await violations(page)).join("; "), "", "axe");
  });
  await check("sign in by keyboard comes back to the page, sign out by keyboard leaves", async () => {
    await page.goto(`${base}/zh/air?year=2025`);
    await signIn(page, "wen");
    that(page.url().endsWith("/zh/air?year=2025"), page.url());
    that((await page.locator(".switches").innerText()).includes("文涛"), "the name is in the head");
    await signOut(page, base, "zh");
    that((await page.locator(".switches").innerText()).includes("登录"), "signed out");
    await page.goto(`${base}/zh/desk`);
    that(page.url().includes("/zh/sign-in"), "the desk is closed");
  });
  await check("sign in: the name is in the head of other pages", async () => {
    const { device, outlet, account } = await paths(base);
    await page.goto(`${base}/en/`);
    await signIn(page, "wen");
    for (const path of ["/map", "/air", "/rules", "/articles", "/jobs", "/proposals", "/devices", device, outlet, "/registry", "/registry/parties", account]) {
      await page.goto(`${base}/en${path}`);
      that((await page.locator(".switches").innerText()).includes("文涛"), path);
    }
  });
  await check("account: a key is made, shown once, works, and is revoked", async () => {
    await page.goto(`${base}/en/account`);
    await write(page, page.locator("form[action$='/account/keys'] [name=name]"), "a spreadsheet");
    await enter(page, page.locator("form[action$='/account/keys'] button", { hasText: "Make a key" }));
    const key = (await page.locator("[role=alert]").innerText()).match(/miyun_[0-9a-f]+/)[0];
    equal((await violations(page)).join("; "), "", "axe");
    const ask = async () => (await fetch(`${base}/api/v1/me`, { headers: { authorization: `Bearer ${key}` } })).status;
    equal(await ask(), 200, "the key");
    await page.goto(`${base}/en/account`);
    that(!(await text(page)).includes(key), "not shown again");
    await enter(page, page.locator("button[name=revoke]").first());
    equal(await ask(), 401, "revoked");
  });
  await check("a form of another site is refused", async () => {
    const bare = await context.request.post(`${base}/en/desk/collections`, { form: { title: "x" } });
    equal(bare.status(), 403, "without the token");
  });
  equal(notes.join("; "), "", "notes");
  await context.close();
}

/** An article: written, refused for a mistake, proposed, approved by a second person, corrected, compared. */
export async function editor(b, base) {
  const wen = await visitor(b, base);
  const page = await wen.context.newPage();
  const yue = await signedIn(b, base, "yue");
  const other = yue.page;
  let id = "";
  const clause = "全市新增监测点位 12 个，数据按小时公开。";
  const corrected = "全市新增监测点位 15 个，数据按小时公开。";
  await check("editor: a mistake is shown at its field and nothing is lost", async () => {
    await page.goto(`${base}/en/`);
    await signIn(page, "wen");
    await enter(page, page.locator(".switches a[href$='/desk']"));
    await enter(page, page.locator("a.button", { hasText: "Write one" }));
    await write(page, page.locator("#title_zh"), "关于增设噪声监测点的通知");
    await write(page, page.locator("#summary_zh"), "增设点位，公开数据。");
    await write(page, page.locator("#body_zh"), `# 点位\n\n${clause}\n\n各区于六月底前完成选址 <script>alert(1)</script>。`);
    await write(page, page.locator("#title_en"), "Notice on new noise monitoring points");
    await write(page, page.locator("#body_en"), "# Points\n\nTwelve points are added; their data are published hourly.\n\nDistricts choose the places by the end of June.");
    await tabTo(page, page.locator("#status_en"));
    await page.keyboard.type("a translation read");
    equal(await page.inputValue("#status_en"), "reviewed", "kind of text");
    await write(page, page.locator("#topics"), "noise");
    await write(page, page.locator("#regions"), "CN/sim");
    await write(page, page.locator("#links"), "s9.9 linxi-sim/2.1");
    await enter(page, page.locator("button", { hasText: "Save the draft" }));
    equal(await page.evaluate(() => document.activeElement.id), "links", "focus on the wrong field");
    equal(await page.getAttribute("#links", "aria-invalid"), "true", "marked");
    that((await page.locator("#links-fault").innerText()).includes("no clause s9.9"), "what is wrong");
    equal(await page.inputValue("#title_zh"), "关于增设噪声监测点的通知", "kept");
    that((await page.inputValue("#body_zh")).includes(clause), "kept");
    equal((await violations(page)).join("; "), "", "axe");
  });
  await check("editor: proposed, and not public before a second person decides", async () => {
    await write(page, page.locator("#links"), "s1.1 linxi-sim/2.1");
    await enter(page, page.locator("button", { hasText: "Save and ask" }));
    id = page.url().split("/").pop();
    that(/^[0-9A-Z]{26}$/.test(id), id);
    that((await text(page)).includes("somebody else has to decide"), "not one's own");
    equal((await violations(page)).join("; "), "", "axe");
    equal((await fetch(`${base}/zh/articles/${id}`)).status, 404, "not public");
  });
  await check("editor: the second person finds, reads and publishes it", async () => {
    await other.goto(`${base}/zh/desk`);
    await enter(other, other.locator("main td, main th").locator("a", { hasText: "关于增设噪声监测点的通知" }));
    equal((await violations(other)).join("; "), "", "axe");
    await write(other, other.locator("#reason"), "同意");
    await enter(other, other.locator("button[value=approve]"));
    that((await text(other)).includes("已发布"), "published");
    await enter(other, other.locator("main a", { hasText: "查看" }));
    that(other.url().endsWith(`/articles/${id}`), other.url());
    equal(await other.locator("#s1\\.1 .chip").count(), 1, "the clause is tracked");
    that((await other.locator(".coverage").innerText()).includes("2 条中的 1 条"), "coverage");
    that((await text(other)).includes("<script>alert(1)</script>"), "markup of others is text");
    equal((await violations(other)).join("; "), "", "axe");
  });
  await check("editor: published means found, listed, fed, and linked from the measure", async () => {
    const html = async (path) => (await fetch(base + path)).text();
    that((await html("/zh/articles?q=" + encodeURIComponent("点位"))).includes(id), "search");
    that((await html("/zh/articles?topic=noise")).includes(id), "facet");
    that((await html("/zh/articles/feed.atom?topic=noise")).includes(id), "feed");
    that((await html("/zh/plan/linxi-sim/2.1")).includes(id), "measure");
  });
  await check("editor: a correction is a new version with a public difference", async () => {
    await page.goto(`${base}/zh/articles/${id}`);
    await enter(page, page.locator("aside a", { hasText: "编辑" }));
    const body = await page.inputValue("#body_zh");
    that(body.includes("{#s1.1}"), "clauses have addresses");
    await write(page, page.locator("#body_zh"), body.replace(clause, corrected));
    await write(page, page.locator("#note"), "点位数由 12 更正为 15。");
    await enter(page, page.locator("button[value=propose]"));
    await other.goto(`${base}/zh/desk/articles/${id}`);
    await enter(other, other.locator("button[value=approve]"));
    const reader = await visitor(b, base);
    const seen = await reader.context.newPage();
    await seen.goto(`${base}/zh/articles/${id}`);
    that((await text(seen)).includes(corrected), "the new text");
    await enter(seen, seen.locator("aside a", { hasText: "改了什么" }));
    that((await seen.locator(".edited del").innerText()).includes("12"), "old");
    that((await seen.locator(".edited ins").innerText()).includes("15"), "new");
    that((await text(seen)).includes("由 12 更正为 15"), "why");
    await seen.goto(`${base}/zh/articles/${id}@1`);
    that((await text(seen)).includes(clause) && (await text(seen)).includes("这不是最新版本"), "the old version stays and says so");
    await reader.context.close();
  });
  await check("editor: sent back with words", async () => {
    await page.goto(`${base}/en/desk/articles/${id}`);
    await write(page, page.locator("#summary_zh"), "增设点位。");
    await enter(page, page.locator("button[value=propose]"));
    await other.goto(`${base}/en/desk/articles/${id}`);
    await write(other, other.locator("#reason"), "The summary says too little.");
    await enter(other, other.locator("button[value=return]"));
    const r = await (await fetch(`${base}/api/v1/articles/${id}`)).json();
    equal((r.article ?? r).current.version, 2, "nothing was published");
  });
  await check("editor: who did what is in the audit log", async () => {
    const anna = await signedIn(b, base, "anna");
    await anna.page.goto(`${base}/en/admin`);
    const log = await anna.page.locator("table").last().innerText();
    for (const action of ["article-propose", "article-publish", "article-reject"]) {
      that(log.split("\n").some((l) => l.includes(id) && l.includes(action)), action);
    }
    await anna.context.close();
  });
  await check("editor: a reader collects and likes", async () => {
    await other.goto(`${base}/en/desk`);
    await write(other, other.locator("main input[name=title]"), "噪声");
    await enter(other, other.locator("form[action$='/desk/collections'] button", { hasText: "Make" }));
    await other.goto(`${base}/en/articles/${id}`);
    await enter(other, other.locator("button", { hasText: "Collect" }));
    await other.goto(`${base}/en/desk`);
    equal(await other.locator(`main ul a[href$='/articles/${id}']`).count(), 1, "collected");
  });
  equal([...wen.notes, ...yue.notes].join("; "), "", "notes");
  await wen.context.close();
  await yue.context.close();
}

/** A picture comes with an article: refused at its field if it is none, asked for its words, shown. */
export async function picture(b, base) {
  const { context, page, notes } = await signedIn(b, base, "wen");
  const yue = await signedIn(b, base, "yue");
  const title = "关于植树节活动的通知";
  const send = async (name, buffer) => {
    await page.setInputFiles("#picture_file", { name, mimeType: "image/png", buffer });
    await Promise.all([page.waitForEvent("load"), page.click("button[value=save]")]);
  };
  const hills = readFileSync(new URL("../crates/miyun-web/demo/hills.png", import.meta.url));
  await check("picture: what is no picture is refused at its field", async () => {
    await page.goto(`${base}/zh/desk/articles/new`);
    await page.fill("#title_zh", title);
    await page.fill("#body_zh", "三月十二日在河东种树。");
    await send("树.png", Buffer.from("<svg onload=alert(1)>"));
    equal(await page.evaluate(() => document.activeElement.id), "picture_file", "focus");
    equal(await page.getAttribute("#picture_file", "aria-invalid"), "true", "marked");
    equal(await page.inputValue("#title_zh"), title, "kept");
    equal((await violations(page)).join("; "), "", "axe");
  });
  await check("picture: it needs its words, and is not sent twice for them", async () => {
    await send("hills.png", hills);
    that((await page.locator("#picture_file-fault").innerText()).length > 0, "a fault");
    that(await page.locator("img.picture").evaluate((i) => i.decode().then(() => i.naturalWidth > 0)), "the picture is there");
    for (const [field, words] of [["caption_zh", "河东的山"], ["caption_en", "Hills of Hedong"], ["alt_zh", "一座山"], ["alt_en", "A hill"], ["credit", "Li Wei"], ["licence", "CC0"]]) {
      await page.fill(`#${field}`, words);
    }
    await Promise.all([page.waitForEvent("load"), page.click("button[value=propose]")]);
    that(/articles\/[0-9A-Z]{26}$/.test(page.url()), page.url());
  });
  await check("picture: published, it is shown with its words in three widths at most", async () => {
    const id = page.url().split("/").pop();
    await yue.page.goto(`${base}/zh/desk/articles/${id}`);
    await Promise.all([yue.page.waitForEvent("load"), yue.page.click("button[value=approve]")]);
    const reader = await visitor(b, base);
    const seen = await reader.context.newPage();
    await seen.goto(`${base}/zh/articles/${id}`);
    const image = seen.locator("figure.picture img");
    equal(await image.getAttribute("alt"), "一座山", "alt");
    await image.scrollIntoViewIfNeeded();
    that(await image.evaluate((i) => i.decode().then(() => i.naturalWidth > 0)), "shown");
    that((await seen.locator("figure.picture figcaption").innerText()).includes("Li Wei"), "credit");
    that(((await image.getAttribute("srcset")) ?? "").split(",").length <= 3, "widths");
    equal(reader.notes.join("; "), "", "notes");
    await reader.context.close();
  });
  equal([...notes, ...yue.notes].join("; "), "", "notes");
  await context.close();
  await yue.context.close();
}

/** A figure is published by two people, the data are corrected, the old figure stays at its address. */
export async function publishing(b, base) {
  const wen = await signedIn(b, base, "wen");
  const yue = await signedIn(b, base, "yue");
  const day = (await days(base)).another;
  const path = `/en/why/${figureOf(day)}`;
  const figure = async () => {
    await wen.page.goto(base + path);
    return [
      (await wen.page.locator("text=GET /api/v1/figures/").innerText()).split("/").pop(),
      await wen.page.getAttribute("h1 data", "value"),
    ];
  };
  const publish = async (id, reason) => {
    await wen.page.goto(`${base}/en/proposals`);
    await write(wen.page, wen.page.locator("[name=figure]"), id);
    if (reason) await write(wen.page, wen.page.locator("[name=reason]"), reason);
    await enter(wen.page, wen.page.locator("main form button", { hasText: "Propose" }));
    equal(await wen.page.locator("main button[value=approve]").count(), 0, "not by the same person");
    await yue.page.goto(`${base}/en/proposals`);
    await enter(yue.page, yue.page.locator("main button[value=approve]").first());
  };
  let old = [];
  await check("publishing: a figure needs two people", async () => {
    old = await figure();
    await publish(old[0]);
    await wen.page.goto(base + path);
    equal(await wen.page.locator("section[aria-labelledby=published] tbody tr").count(), 1, "publications");
    equal((await violations(wen.page)).join("; "), "", "axe");
  });
  await check("publishing: corrected data come in as a job, by keyboard to its page", async () => {
    const hours = await (await fetch(`${base}/api/v1/air/hours?city=linxi&place=linxi/gangtie&period=${day}&format=csv`)).text();
    const [head, ...rows] = hours.trim().split("\n").map((l) => l.split(","));
    const k = head.indexOf("PM2.5");
    const csv = ["station,indicator,time,value,unit,flag", ...rows.filter((r) => r[k]).map((r) =>
      `gangtie,PM2.5,${r[1]}T${r[2].padStart(2, "0")}:00+08:00,${(Number(r[k]) + 5).toFixed(1)},ug/m3,`)].join("\n") + "\n";
    await wen.page.goto(`${base}/en/desk`);
    await enter(wen.page, wen.page.locator("main a[href$='/jobs']"));
    const form = wen.page.locator("form[action$='/jobs/import']");
    await form.locator("[name=city]").selectOption("linxi");
    await form.locator("[name=interval]").selectOption("hour-begin");
    await form.locator("[name=file]").setInputFiles({ name: "gangtie-recalibrated.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
    await enter(wen.page, form.locator("button"));
    that((await text(wen.page)).includes("gangtie-recalibrated.csv"), "the page of the job");
    await wen.page.locator(".verdict", { hasText: "done" }).waitFor({ timeout: 120_000 });
    equal((await violations(wen.page)).join("; "), "", "axe");
  });
  await check("publishing: the correction is published, the old value stays with the difference", async () => {
    const now = await figure();
    equal(Number(now[1]), Number(old[1]) + 5, "value");
    that(now[0] !== old[0], "another figure");
    await publish(now[0], "Recalibrated that day.");
    await wen.page.goto(base + path);
    const rows = wen.page.locator("section[aria-labelledby=published] tbody tr");
    equal(await rows.count(), 2, "publications");
    that((await rows.nth(0).innerText()).includes("+5"), "difference");
    that((await rows.nth(0).innerText()).includes("Recalibrated"), "reason");
    await wen.page.goto(`${base}/en/why/${old[0]}`);
    equal(await wen.page.getAttribute("h1 data", "value"), old[1], "the old address says the old value");
  });
  await check("jobs: an evaluation is asked for by keyboard and its result opened", async () => {
    await wen.page.goto(`${base}/en/jobs`);
    await write(wen.page, wen.page.locator("[name=period]").first(), "2025");
    await enter(wen.page, wen.page.locator("button[value=evaluate]"));
    await wen.page.locator(".verdict", { hasText: "done" }).waitFor({ timeout: 180_000 });
    equal((await violations(wen.page)).join("; "), "", "axe");
  });
  equal([...wen.notes, ...yue.notes].join("; "), "", "notes");
  await wen.context.close();
  await yue.context.close();
}

/** What is whose: pages and API say the same. */
export async function roles(b, base) {
  const table = [
    // path, visitor, officer, administrator: status, or where one is sent.
    ["/desk", "sign-in", 200, 200], ["/desk/articles/new", "sign-in", 200, 200], ["/account", "sign-in", 200, 200],
    ["/jobs", "sign-in", 200, 200], ["/proposals", "sign-in", 200, 200], ["/admin", "sign-in", 403, 200],
  ];
  const api = [
    ["/api/v1/people", 401, 403, 200], ["/api/v1/audit", 401, 403, 200], ["/api/v1/jobs", 401, 200, 200],
    ["/api/v1/proposals", 401, 200, 200], ["/api/v1/me", 401, 200, 200],
  ];
  const who = [await visitor(b, base), await signedIn(b, base, "wen"), await signedIn(b, base, "anna")];
  for (const [k, name] of ["visitor", "officer", "administrator"].entries()) {
    for (const row of table) {
      await check(`roles: ${name} at ${row[0]}`, async () => {
        const r = await who[k].context.request.get(`${base}/en${row[0]}`);
        if (row[k + 1] === "sign-in") that(r.url().includes("/en/sign-in?back="), r.url());
        else equal(r.status(), row[k + 1], "status");
      });
    }
    for (const row of api) {
      await check(`roles: ${name} at ${row[0]}`, async () => {
        equal((await who[k].context.request.get(base + row[0])).status(), row[k + 1], "status");
      });
    }
  }
  for (const w of who) await w.context.close();
}
