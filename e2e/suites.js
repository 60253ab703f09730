// What must hold on every page.
import { LANGS, axeSource, check, equal, figures, paths, random, that, visitor } from "./lib.js";

const go = async (page, url) => {
  const r = await page.goto(url, { waitUntil: "load" });
  return r.status();
};

/** Every page answers, says its language, has one h1 and a title, logs nothing, asks nobody else. */
export async function smoke(b, base) {
  const { paths: all } = await paths(base);
  for (const lang of LANGS) {
    const { context, notes } = await visitor(b, base);
    const page = await context.newPage();
    for (const path of all) {
      await check(`smoke ${lang} ${path}`, async () => {
        notes.length = 0;
        equal(await go(page, `${base}/${lang}${path}`), 200, "status");
        equal(await page.getAttribute("html", "lang"), lang === "zh" ? "zh-Hans" : "en", "lang");
        equal(await page.locator("h1").count(), 1, "h1");
        that((await page.title()).length > 8, "a title");
        equal(notes.join("; "), "", "notes");
        for (const width of [1280, 390]) {
          await page.setViewportSize({ width, height: 900 });
          const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          that(over <= 0, `${over} px too wide at ${width}`);
        }
      });
    }
    await check(`smoke ${lang} missing page`, async () => {
      equal(await go(page, `${base}/${lang}/nowhere`), 404, "status");
      equal(await page.locator("h1").count(), 1, "h1");
      equal(await page.getAttribute("html", "lang"), lang === "zh" ? "zh-Hans" : "en", "lang");
    });
    await context.close();
  }
}

/** No A or AA violation on any page in both languages, both themes and both widths. */
export async function axe(b, base) {
  const { paths: all } = await paths(base);
  for (const theme of ["light", "dark"]) {
    const { context } = await visitor(b, base);
    await context.addCookies([{ name: "theme", value: theme, url: base }]);
    const page = await context.newPage();
    for (const lang of LANGS) {
      for (const path of all) {
        await check(`axe ${theme} ${lang} ${path}`, async () => {
          await go(page, `${base}/${lang}${path}`);
          await page.evaluate(axeSource);
          for (const width of [1280, 390]) {
            await page.setViewportSize({ width, height: 900 });
            const found = await page.evaluate(async () => {
              const r = await axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] });
              return r.violations.map((v) => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 140)} ${v.nodes[0].failureSummary.split("\n")[1] ?? ""}`);
            });
            equal(found.join("\n     "), "", `at ${width}:`);
          }
        });
      }
    }
    await context.close();
  }
}

/** With scripts off the pages show the same figures; both languages show the same numbers. */
export async function noScript(b, base) {
  const { paths: all } = await paths(base);
  const on = await visitor(b, base);
  const off = await visitor(b, base, { javaScriptEnabled: false });
  const [page, bare] = [await on.context.newPage(), await off.context.newPage()];
  let seen = 0;
  for (const path of all.filter((p) => /^\/(\?|air|plan|why|$)/.test(p))) {
    await check(`no script ${path}`, async () => {
      await go(page, `${base}/zh${path}`);
      const zh = JSON.stringify(await figures(page));
      await go(bare, `${base}/en${path}`);
      const text = await bare.content();
      const en = JSON.stringify([...text.matchAll(/data-figure="([^"]+)"[^>]*><data value="([^"]*)"/g)].map((m) => [m[1], m[2]]));
      equal(en, zh, "figures");
      seen += JSON.parse(zh).length;
    });
  }
  await check("no script: there were figures to compare", async () => that(seen > 100, `${seen} figures`));
  await on.context.close();
  await off.context.close();
}

/** Fifty figures, taken at random from the pages, are the same in the API. */
export async function parity(b, base) {
  const seed = Number(process.env.SEED ?? 20261124);
  const next = random(seed);
  const { context } = await visitor(b, base);
  const page = await context.newPage();
  const shown = new Map();
  for (const path of ["/", "/air", "/air?year=2025", "/air?year=2024&edition=2031", "/air/station/linxi/hedong", "/air/station/linxi/yuquan"]) {
    await go(page, `${base}/en${path}`);
    for (const [id, value] of await figures(page)) shown.set(id, value);
  }
  const ids = [...shown.keys()];
  for (let i = ids.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [ids[i], ids[j]] = [ids[j], ids[i]];
  }
  await check(`parity: at least 50 figures (seed ${seed})`, async () => that(ids.length >= 50, `${ids.length}`));
  for (const id of ids.slice(0, 50)) {
    await check(`parity ${id}`, async () => {
      const r = await fetch(`${base}/api/v1/figures/${id}`);
      equal(r.status, 200, "status");
      const j = await r.json();
      equal(String((j.assessment ?? j).value ?? ""), shown.get(id), "value");
      equal(j.unit === undefined, false, "unit");
    });
  }
  await context.close();
}

/** A correction leaves the old value where it was, with the difference. */
export async function asKnown(b, base) {
  const { context } = await visitor(b, base);
  const page = await context.newPage();
  const path = "/why/linxi/gangtie:PM2.5:daily-mean:2026-10-10";
  const value = async () => page.getAttribute("h1 data", "value");
  await check("as known: a correction is seen from both sides", async () => {
    await go(page, `${base}/en${path}`);
    const now = await value();
    const id = (await page.locator("text=GET /api/v1/figures/").innerText()).split("/").pop();
    const table = page.locator("section[aria-labelledby=known] tbody tr");
    equal(await table.count(), 2, "moments");
    const before = await table.nth(0).locator("data").getAttribute("value");
    equal(await table.nth(1).locator("data").getAttribute("value"), now, "last");
    that(before !== now, "the value changed");
    that(/^[+-]/.test((await table.nth(1).locator("td").nth(1).innerText()).trim()), "a difference");
    await table.nth(0).locator("a").click();
    equal(await value(), before, "old address");
    that(await page.locator(".known").count() === 1, "a banner says so");
    await page.goto(`${base}/en${path}?known=2026-11-21`);
    equal(await value(), before, "by date");
    await page.locator(".known a").click();
    equal(await value(), now, "and back");
    await page.goto(`${base}/zh/why/${id}`);
    equal(await value(), now, "by id");
  });
  await check("as known: links carry the moment on", async () => {
    await go(page, `${base}/en/?known=2026-11-21`);
    await page.locator("nav[aria-label=Main] a", { hasText: "Air" }).click();
    that(page.url().includes("known=2026-11-21"), page.url());
  });
  await check("as known: a moment that is none is refused", async () => {
    equal(await go(page, `${base}/en/?known=yesterday`), 400, "status");
  });
  await context.close();
}

/** The main tasks by keyboard alone. */
export async function keyboard(b, base) {
  const { context } = await visitor(b, base);
  const page = await context.newPage();
  const active = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.getAttribute("aria-label") || document.activeElement.id);
  const tabTo = async (locator, most = 120) => {
    const target = await locator.elementHandle();
    for (let i = 0; i < most; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((t) => document.activeElement === t, target)) return;
    }
    throw new Error(`not reached in ${most} steps; at ${await active()}`);
  };
  await check("keyboard: skip link, search by slash", async () => {
    await go(page, `${base}/en/`);
    await page.keyboard.press("Tab");
    equal(await active(), "Skip to content", "first stop");
    await page.keyboard.press("/");
    equal(await page.evaluate(() => document.activeElement.id), "q", "search");
    await page.keyboard.type("North Lake");
    await page.keyboard.press("Enter");
    await page.waitForURL(/search\?q=North/);
    await tabTo(page.locator("main a", { hasText: "North Lake" }));
    await page.keyboard.press("Enter");
    await page.waitForURL(/station\/linxi\/beihu/);
  });
  await check("keyboard: from a card to its why and its rule", async () => {
    await go(page, `${base}/en/`);
    await tabTo(page.locator(".card a.figure").first());
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    that(outline !== "none", "focus is seen");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/why\//);
    await tabTo(page.locator("main table a[href*='/rules/']").first());
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/rules\//);
  });
  await check("keyboard: filter of the plan, sorting of a table", async () => {
    await go(page, `${base}/en/`);
    await tabTo(page.locator(".chips a", { hasText: "behind" }), 200);
    await page.keyboard.press("Enter");
    await page.waitForURL(/show=behind/);
    await go(page, `${base}/en/map`);
    await tabTo(page.locator("thead th a", { hasText: "Station" }), 200);
    await page.keyboard.press("Enter");
    await page.waitForURL(/sort=name/);
    equal(await page.getAttribute("th[aria-sort]", "aria-sort"), "ascending", "order");
  });
  await check("keyboard: the slider of the map moves the day", async () => {
    await go(page, `${base}/en/map?at=2026-10-15`);
    await tabTo(page.locator("[data-range]"));
    await Promise.all([page.waitForURL(/at=2026-10-14/), page.keyboard.press("ArrowLeft")]);
  });
  await check("keyboard: a station of the map opens its day", async () => {
    await go(page, `${base}/en/map?layer=PM2.5&at=2026-10-15`);
    await tabTo(page.locator("figure.map a").first());
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/why\/linxi\//);
  });
  await context.close();
}

/** Language, theme, colours and size keep the place. */
export async function switches(b, base) {
  const { context } = await visitor(b, base);
  const page = await context.newPage();
  await check("switches keep the place", async () => {
    await go(page, `${base}/zh/map?layer=PM2.5&at=2026-10-15`);
    await page.getByText("English", { exact: true }).click();
    that(page.url().endsWith("/en/map?layer=PM2.5&at=2026-10-15"), page.url());
    await page.getByText("Dark", { exact: true }).click();
    that(page.url().endsWith("/en/map?layer=PM2.5&at=2026-10-15"), page.url());
    equal(await page.getAttribute("html", "data-theme"), "dark", "theme");
    await page.getByText("Colour-blind", { exact: true }).click();
    equal(await page.getAttribute("html", "data-colours"), "cividis", "colours");
    await page.getByText("Large", { exact: true }).click();
    equal(await page.getAttribute("html", "data-size"), "large", "size");
    equal(await page.evaluate(() => getComputedStyle(document.documentElement).fontSize), "20px", "size");
  });
  await check("print: navigation goes, the head of the sheet comes", async () => {
    await go(page, `${base}/en/air`);
    await page.emulateMedia({ media: "print" });
    that(!(await page.locator("header.top").isVisible()), "navigation");
    that(await page.locator(".print-head").isVisible(), "head");
    const pdf = await page.pdf({ format: "A4" });
    that(pdf.subarray(0, 5).toString() === "%PDF-" && pdf.length > 20_000, "a document");
    await page.emulateMedia({ media: "screen" });
  });
  await context.close();
}

/** Articles: search, feeds, citations, versions, tombstone, likes. */
export async function articles(b, base) {
  const { plan } = await paths(base);
  const { context } = await visitor(b, base);
  const page = await context.newPage();
  const titles = async (path) => {
    await go(page, base + path);
    return page.$$eval("ol.hits h2", (all) => all.map((h) => h.textContent.trim()));
  };
  const queries = [
    ["扬尘", 2], ["碳市场", 1], ["双控", 1], ["配额", 1], ["挥发性有机物", 2], ["危险废物", 1], ["劣五类", 1], ["光伏", 1],
    ["订正", 3], ["臭氧", 2], ["热点网格", 1], ["采暖季", 1], ["临环发〔2026〕7 号", 1], ["噪声投诉", 1], ["种树", 1], ["没有这个词", 0],
    ["dust", 2], ["allowance", 1], ["inferior Class V", 1], ["Parquet", 1], ["calibration", 1], ["manifest", 1], ["solar roofs", 1], ["ozone", 2], ["zebra", 0],
  ];
  for (const [q, n] of queries) {
    await check(`search ${q}`, async () => equal((await titles(`/zh/articles?q=${encodeURIComponent(q)}`)).length, n, "hits"));
  }
  await check("facets narrow the list and count", async () => {
    await go(page, `${base}/en/articles`);
    const link = page.locator("aside a", { hasText: "carbon" });
    await link.click();
    equal(await page.locator("ol.hits > li").count(), 1, "carbon");
  });
  for (const lang of LANGS) {
    await check(`feeds ${lang} are well formed and say the same`, async () => {
      const atom = await (await fetch(`${base}/${lang}/articles/feed.atom?topic=air`)).text();
      const json = await (await fetch(`${base}/${lang}/articles/feed.json?topic=air`)).json();
      await go(page, `${base}/${lang}/about`);
      const read = await page.evaluate((text) => {
        const d = new DOMParser().parseFromString(text, "application/xml");
        return d.querySelector("parsererror")?.textContent ?? [...d.querySelectorAll("entry > title")].map((t) => t.textContent);
      }, atom);
      equal(JSON.stringify(read), JSON.stringify(json.items.map((i) => i.title)), "titles");
      that(json.items.length >= 2, "entries");
    });
  }
  for (const [form, sign] of [["gbt7714.txt", "[EB/OL]"], ["bib", "@misc{"], ["ris", "TY  - ELEC"], ["csl.json", '"type": "webpage"'], ["txt", "BLAKE3"]]) {
    await check(`citation ${form}`, async () => {
      const r = await fetch(`${base}/zh/articles/${plan}@2/cite/${form}`);
      equal(r.status, 200, "status");
      const text = await r.text();
      that(text.includes(sign) && text.includes("临汐市 2026 年生态环境工作计划") && text.includes(`${plan}@2`), text);
    });
  }
  await check("clauses are tracked and have addresses", async () => {
    await go(page, `${base}/en/articles/${plan}#s2.1`);
    that((await page.locator("#s2\\.1").innerText()).includes("29.0"), "clause");
    that(await page.locator("#s2\\.1 .chip").count() === 1, "chip");
    that(/tracked: 14 of \d+ clauses/.test(await page.locator(".coverage").innerText()), "coverage");
    await page.locator("#s2\\.1 .chip").click();
    await page.waitForURL(/plan\/linxi-sim\/2\.1/);
    that(await page.locator(`a[href*="${plan}"]`).count() > 0, "the measure shows the clause");
  });
  await check("the difference of two versions", async () => {
    await go(page, `${base}/zh/articles/${plan}/diff?a=1&b=2`);
    equal((await page.locator(".edited del").first().innerText()).trim(), "30.0", "old");
    equal((await page.locator(".edited ins").first().innerText()).trim(), "29.0", "new");
    await go(page, `${base}/zh/articles/${plan}@1`);
    that((await page.locator("main").innerText()).includes("这不是最新版本"), "old version says so");
  });
  await check("likes: once by a token, none without", async () => {
    const bare = await fetch(`${base}/en/articles/${plan}/like`, { method: "POST", headers: { accept: "application/json", origin: base }, body: new URLSearchParams() });
    equal(bare.status, 403, "without a token");
    await go(page, `${base}/en/articles/${plan}/like`);
    const n = Number(await page.locator("output").innerText());
    await page.locator("form[data-like] button").click();
    await page.waitForFunction((n) => Number(document.querySelector("output").textContent) === n + 1, n);
    await page.reload();
    await page.locator("form[data-like] button").click();
    await page.waitForTimeout(400);
    equal(Number(await page.locator("output").innerText()), n + 1, "twice is once");
  });
  await check("likes: one network is capped", async () => {
    let refused = 0;
    for (let i = 0; i < 40; i++) {
      const page = await fetch(`${base}/en/articles/${plan}/like`);
      const cookie = page.headers.get("set-cookie").split(";")[0];
      const r = await fetch(`${base}/en/articles/${plan}/like`, { method: "POST", headers: { accept: "application/json", cookie, origin: base }, body: new URLSearchParams() });
      if (r.status === 429) refused += 1;
    }
    that(refused >= 15, `${refused} of 40 refused`);
  });
  await context.close();
}
