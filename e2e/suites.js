// What must hold on every page.
import { LANGS, axeSource, check, days, equal, figureOf, figures, later, paths, random, signedIn, spread, tabTo, that, visitor } from "./lib.js";

const go = async (page, url) => {
  const r = await page.goto(url, { waitUntil: "load" });
  return r.status();
};

/** Every page with who opens it: visitors' pages, then those of the people. */
async function everyPage(base) {
  const { paths: all, inside } = await paths(base);
  const list = all.map((path) => ["visitor", path]);
  for (const [who, own] of Object.entries(inside)) list.push(...own.map((path) => [who, path]));
  return list;
}

/** Contexts of a visitor and of each of the people, opened when they are first asked for. */
function contexts(b, base) {
  const open = new Map();
  return {
    of(who) {
      if (!open.has(who)) open.set(who, who === "visitor" ? visitor(b, base) : signedIn(b, base, who));
      return open.get(who);
    },
    async close() { for (const c of open.values()) await (await c).context.close(); },
  };
}

/** Every page answers, says its language, has one h1 and a title, logs nothing, asks nobody else, fits. */
export async function smoke(b, base) {
  const list = await everyPage(base);
  for (const lang of LANGS) {
    const people = contexts(b, base);
    for (const [who, path] of list) {
      await check(`smoke ${lang} ${who} ${path}`, async () => {
        const { context, notes } = await people.of(who);
        const page = await context.newPage();
        try {
          notes.length = 0;
          equal(await go(page, `${base}/${lang}${path}`), 200, "status");
          equal(await page.getAttribute("html", "lang"), lang === "zh" ? "zh-Hans" : "en", "lang");
          equal(await page.locator("h1").count(), 1, "h1");
          that((await page.title()).length > 8, "a title");
          for (const width of [1280, 390]) {
            await page.setViewportSize({ width, height: 900 });
            const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            that(over <= 0, `${over} px too wide at ${width}`);
          }
          equal(notes.join("; "), "", "notes");
        } finally {
          await page.close();
        }
      });
    }
    const { context } = await people.of("visitor");
    const page = await context.newPage();
    await check(`smoke ${lang} missing page`, async () => {
      equal(await go(page, `${base}/${lang}/nowhere`), 404, "status");
      equal(await page.locator("h1").count(), 1, "h1");
      equal(await page.getAttribute("html", "lang"), lang === "zh" ? "zh-Hans" : "en", "lang");
    });
    await check(`smoke ${lang} a desk is for those who signed in`, async () => {
      equal(await go(page, `${base}/${lang}/desk`), 200, "status");
      that(page.url().includes(`/${lang}/sign-in?back=/${lang}/desk`), page.url());
    });
    await people.close();
  }
}

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** What axe finds on the open page at both widths and in both themes; the page is left as it was. */
export async function violations(page) {
  await page.evaluate(axeSource);
  const all = [];
  for (const theme of ["light", "dark"]) {
    await page.evaluate((t) => { document.documentElement.dataset.theme = t; }, theme);
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 900 });
      const found = await page.evaluate(async (rules) => {
        const r = await axe.run(document, { resultTypes: ["violations"], runOnly: rules });
        return r.violations.map((v) => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 140)} ${v.nodes[0].failureSummary.split("\n")[1] ?? ""}`);
      }, RULES);
      all.push(...found.map((f) => `${theme} ${width} ${f}`));
    }
  }
  return all;
}

/** No A or AA violation on any page in both languages, both themes and both widths. */
export async function axe(b, base) {
  const list = (await everyPage(base)).flatMap(([who, path]) => LANGS.map((lang) => [who, `/${lang}${path}`]));
  const people = contexts(b, base);
  await spread(list, [1, 2], async ([who, path]) => {
    await check(`axe ${who} ${path}`, async () => {
      const { context } = await people.of(who);
      const page = await context.newPage();
      try {
        await go(page, base + path);
        equal((await violations(page)).join("\n     "), "", "violations:");
      } finally {
        await page.close();
      }
    });
  });
  // The theme of a page that the server made dark is the one that was looked at.
  await check("axe: the dark cookie gives the dark page", async () => {
    const { context } = await visitor(b, base);
    await context.addCookies([{ name: "theme", value: "dark", url: base }]);
    const page = await context.newPage();
    await go(page, `${base}/zh/`);
    equal(await page.getAttribute("html", "data-theme"), "dark", "theme");
    await context.close();
  });
  await people.close();
}

/** What Chinese pages may say in Latin letters; whatever else is English there is a text that was forgotten. */
const LATIN = [
  // Names of products, formats and licences.
  /^(Miyun|Apache|Atom|JSON|Feed|CSV|CSL|Parquet|OpenAPI|BibTeX|RIS|CSL-JSON|CAD|Trust|BLAKE|PNG|JPEG|WebP|Arrow|DuckDB|pandas|OpenStreetMap|API|POST|GET|DELETE|PUT|BASE|WCAG|AA|CAD Trust|SensorThings|OGC|MQTT|ZIP|PDF|QnRtn|Markdown|OIDC)$/,
  // Statistics, units, substances and their short names; fields of HJ 212.
  /^(AQI|IAQI|GEP|GEP-R|Mann-Kendall|Sen|UTC|hPa|MiB|NOx|TSP|BaP|VOC|VOCs|CODCr|Leq|WHO|EPA|CARB|CCR|CCER|AQG|CO2e?|tCO|kWh|km|SIM|Rtd|Data)$/,
  // Words of addresses and commands that a text names, and ids of the demonstration's registry.
  /^(known|miyun|ledger|proof|linxi-bureau|long-river|operator)$/,
];

/** Chinese pages are in Chinese, except for what is marked as another language, ids and codes. */
export async function chinese(b, base) {
  const people = contexts(b, base);
  for (const [who, path] of await everyPage(base)) {
    await check(`chinese ${who} ${path}`, async () => {
      const { context } = await people.of(who);
      const page = await context.newPage();
      try {
        await go(page, `${base}/zh${path}`);
        const found = await page.evaluate(() => {
          const out = [];
          const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {
            const [text, e] = [walk.currentNode.data.trim(), walk.currentNode.parentElement];
            if (!text || text.startsWith("http") || !e.closest("[lang]").lang.startsWith("zh") || e.closest("code, pre, script, style, textarea, .code, .print-head")) continue;
            // Ids, paths, file names, logins and addresses have a sign or a digit in them, or stand in an address of their own.
            const words = text.split(/[\s，。：；、（）“”()·,;:]+/).filter((w) => /^[A-Za-z][A-Za-z-]{2,}\.?$/.test(w));
            out.push(...words.map((w) => [w.replace(/\.$/, ""), text.slice(0, 100)]));
          }
          return out;
        });
        const logins = ["wen", "yue", "anna", "editor", "chief"];
        const wrong = found.filter(([w]) => !logins.includes(w) && !LATIN.some((l) => l.test(w)));
        equal([...new Set(wrong.map(([w, text]) => `${w} in “${text}”`))].slice(0, 12).join("\n     "), "", "English:");
      } finally {
        await page.close();
      }
    });
  }
  await people.close();
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

/** Fifty figures, taken at random from the pages, are the same in the API and in its CSV. */
export async function parity(b, base) {
  const seed = Number(process.env.SEED ?? Math.floor(Date.now() / 1000));
  const next = random(seed);
  const { context } = await visitor(b, base);
  const page = await context.newPage();
  const year = new Date().getFullYear() - 1;
  const shown = new Map();
  for (const path of ["/", "/air", `/air?year=${year}`, `/air?year=${year - 1}&edition=2031`, "/air/station/linxi/hedong", "/air/station/linxi/yuquan"]) {
    await go(page, `${base}/en${path}`);
    for (const [id, value] of await figures(page)) shown.set(id, value);
  }
  // Annual items of every place, as the table for spreadsheets has them.
  const csv = new Map();
  for (const [period, edition] of [[year, "in-force"], [year - 1, "2031"]]) {
    for (let n = 1; n < 100; n++) {
      const r = await fetch(`${base}/api/v1/air/items?city=linxi&period=${period}&edition=${edition}&format=csv&page=${n}`);
      equal(r.status, 200, "CSV");
      const [head, ...rows] = (await r.text()).trim().split("\n").map((l) => l.split(","));
      if (!rows.length) break;
      for (const row of rows) csv.set(row[head.indexOf("id")], row[head.indexOf("value")]);
      if (!r.headers.get("link")?.includes('rel="next"')) break;
    }
  }
  const ids = [...shown.keys()];
  for (let i = ids.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [ids[i], ids[j]] = [ids[j], ids[i]];
  }
  await check(`parity: at least 50 figures (SEED=${seed})`, async () => that(ids.length >= 50, `${ids.length}`));
  let both = 0;
  for (const id of ids.slice(0, 50)) {
    await check(`parity ${id} (SEED=${seed})`, async () => {
      const r = await fetch(`${base}/api/v1/figures/${id}`);
      equal(r.status, 200, "status");
      const j = await r.json();
      equal(String((j.assessment ?? j).value ?? ""), shown.get(id), "value");
      equal(j.unit === undefined, false, "unit");
      if (csv.has(id)) {
        equal(csv.get(id), shown.get(id), "CSV");
        both += 1;
      }
    });
  }
  await check("parity: figures of pages stand in the CSV", async () => {
    const there = ids.filter((id) => csv.has(id));
    that(there.length >= 50, `${there.length}`);
    for (const id of there) equal(csv.get(id), shown.get(id), id);
  });
  console.log(`parity: 50 of ${ids.length} figures against the API, ${both} of them also in the CSV, seed ${seed}`);
  await context.close();
}

/** A correction leaves the old value where it was, with the difference. */
export async function asKnown(b, base) {
  const { context } = await visitor(b, base);
  const page = await context.newPage();
  const path = `/why/${figureOf((await days(base)).corrected)}`;
  let first = "";
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
    first = new URL(page.url()).searchParams.get("known");
    await page.goto(`${base}/en${path}?known=${first}`);
    equal(await value(), before, "by moment");
    await page.locator(".known a").click();
    equal(await value(), now, "and back");
    await page.goto(`${base}/zh/why/${id}`);
    equal(await value(), now, "by id");
  });
  await check("as known: links carry the moment on", async () => {
    await go(page, `${base}/en/?known=${first}`);
    await page.locator("nav[aria-label=Main] a", { hasText: "Air" }).click();
    equal(new URL(page.url()).searchParams.get("known"), first, "known");
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
  const { day } = await days(base);
  const active = () => page.evaluate(() => document.activeElement.textContent.trim());
  await check("keyboard: skip link, search by slash", async () => {
    await go(page, `${base}/en/`);
    await page.keyboard.press("Tab");
    equal(await active(), "Skip to content", "first stop");
    await page.keyboard.press("/");
    equal(await page.evaluate(() => document.activeElement.id), "q", "search");
    await page.keyboard.type("North Lake");
    await page.keyboard.press("Enter");
    await page.waitForURL(/search\?q=North/);
    await tabTo(page, page.locator("main a", { hasText: "North Lake" }));
    await page.keyboard.press("Enter");
    await page.waitForURL(/station\/linxi\/beihu/);
  });
  await check("keyboard: from a card to its why and its rule", async () => {
    await go(page, `${base}/en/`);
    await tabTo(page, page.locator(".card a.figure").first());
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    that(outline !== "none", "focus is seen");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/why\//);
    await tabTo(page, page.locator("main table a[href*='/rules/']").first());
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/rules\//);
  });
  await check("keyboard: filter of the plan, sorting of a table", async () => {
    await go(page, `${base}/en/`);
    await tabTo(page, page.locator(".chips a", { hasText: "behind" }));
    await page.keyboard.press("Enter");
    await page.waitForURL(/show=behind/);
    await go(page, `${base}/en/map`);
    await tabTo(page, page.locator("thead th a", { hasText: "Station" }));
    await page.keyboard.press("Enter");
    await page.waitForURL(/sort=name/);
    equal(await page.getAttribute("th[aria-sort]", "aria-sort"), "ascending", "order");
  });
  await check("keyboard: the slider of the map moves the day", async () => {
    await go(page, `${base}/en/map?at=${day}`);
    await tabTo(page, page.locator("[data-range]"));
    await Promise.all([page.waitForURL((u) => u.searchParams.get("at") === later(day, -1)), page.keyboard.press("ArrowLeft")]);
  });
  await check("keyboard: a station of the map opens its day", async () => {
    await go(page, `${base}/en/map?layer=PM2.5&at=${day}`);
    await tabTo(page, page.locator('figure.map a[href*="/why/"]').first());
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/why\/linxi\//);
  });
  await context.close();
}

/** Language, theme, colours and size keep the place. */
export async function switches(b, base) {
  const { context } = await visitor(b, base);
  const page = await context.newPage();
  const { day } = await days(base);
  await check("switches keep the place", async () => {
    await go(page, `${base}/zh/map?layer=PM2.5&at=${day}`);
    await page.getByText("English", { exact: true }).click();
    that(page.url().endsWith(`/en/map?layer=PM2.5&at=${day}`), page.url());
    await page.getByText("Dark", { exact: true }).click();
    that(page.url().endsWith(`/en/map?layer=PM2.5&at=${day}`), page.url());
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
    that(/tracked: 15 of 21 clauses/.test(await page.locator(".coverage").innerText()), "coverage");
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
