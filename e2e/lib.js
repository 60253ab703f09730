// Browser, server, people, pages, and the count of what passed. Everything stays on the loopback interface.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
export const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const LANGS = ["zh", "en"];

/** Starts the browser that the machine has. */
export function browser(extra = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", ...extra],
  });
}

/** People of the server under test; the password is for all of them. */
export const PASSWORD = "an autumn of blue days";
const PEOPLE = [["wen", "文涛", ["officer"]], ["yue", "岳宁", ["officer"]], ["anna", "安娜", ["admin"]]];

const port = () => new Promise((done) => {
  const s = createServer().listen(0, "127.0.0.1", () => { const p = s.address().port; s.close(() => done(p)); });
});

/**
 * The server under test: $BASE if it runs already (a demonstration with the people above), else the
 * binary $MIYUN with a demonstration of its own in a new folder.
 */
export async function server() {
  if (process.env.BASE) return { base: process.env.BASE.replace(/\/$/, ""), stop() {} };
  const root = new URL("..", import.meta.url).pathname;
  const miyun = resolve(process.env.MIYUN ?? join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/miyun"));
  const folder = process.env.DATA ?? mkdtempSync(join(tmpdir(), "miyun-e2e-"));
  const base = `http://127.0.0.1:${await port()}`;
  const config = join(folder, "miyun.toml");
  mkdirSync(folder, { recursive: true });
  writeFileSync(config, `lake = "lake"\nlisten = "${base.slice(7)}"\n[web]\napi_requests_per_minute = 1000000\nsign_ins_per_minute = 1000\n`);
  for (const [login, name, roles] of PEOPLE) {
    try {
      execFileSync(miyun, ["--config", config, "user", "add", login, "--name", name, ...roles.flatMap((r) => ["--role", r]), "--password-stdin"], { input: PASSWORD + "\n", stdio: ["pipe", "ignore", "pipe"] });
    } catch (e) {
      if (!String(e.stderr).includes("is taken")) throw e;
    }
  }
  const child = spawn(miyun, ["--config", config, "serve", "--demo", "--gateway", "127.0.0.1:0"], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (d) => { log = (log + d).slice(-20_000); });
  const ended = new Promise((done) => child.on("exit", done));
  for (let i = 0; ; i++) {
    if (child.exitCode !== null || i > 3000) throw new Error(`the server did not start:\n${log}`);
    try {
      // The first page is slow: the city is assessed for it.
      if ((await fetch(`${base}/en/`)).ok) break;
    } catch { /* not yet */ }
    await new Promise((r) => setTimeout(r, 100));
  }
  return {
    base,
    log: () => log,
    async stop() {
      child.kill("SIGTERM");
      await Promise.race([ended, new Promise((r) => setTimeout(r, 10_000))]);
      if (!process.env.DATA) rmSync(folder, { recursive: true, force: true });
    },
  };
}

let passed = 0;
const failures = [];

/** One check with a name; a throw is a failure and the rest goes on. */
export async function check(name, work) {
  const t = Date.now();
  try {
    await work();
    passed += 1;
    if (process.env.VERBOSE) console.log(`ok   ${name} (${Date.now() - t} ms)`);
  } catch (e) {
    failures.push(name);
    console.log(`FAIL ${name}: ${e.message.split("\n").slice(0, 12).join("\n     ")}`);
  }
}

export const counted = () => ({ passed, failed: failures.length });

export function equal(a, b, what = "") {
  if (a !== b) throw new Error(`${what} expected ${JSON.stringify(b)}, got ${JSON.stringify(a)}`);
}

export function that(yes, what) {
  if (!yes) throw new Error(what);
}

/** Works through a list with several pages at once. */
export async function spread(list, lanes, work) {
  const left = [...list];
  await Promise.all(lanes.map(async (lane) => {
    while (left.length) await work(left.shift(), lane);
  }));
}

/** A context that notes console errors and requests to other hosts. */
export async function visitor(b, base, options = {}) {
  const context = await b.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const notes = [];
  const host = new URL(base).host;
  context.on("page", (page) => {
    page.on("console", (m) => {
      // A page that is meant to be missing makes the browser say so.
      if (m.type() === "error" && !/status of 4\d\d/.test(m.text())) notes.push(`console: ${m.text()}`);
    });
    page.on("pageerror", (e) => notes.push(`error: ${e.message}`));
    page.on("request", (r) => {
      const u = new URL(r.url());
      if (u.host !== host && !["data:", "blob:", "about:"].includes(u.protocol)) notes.push(`request to ${u.host}`);
    });
  });
  return { context, notes };
}

/** A context in which one of the people is signed in; `api` sends JSON as that person. */
export async function signedIn(b, base, login, options = {}) {
  const { context, notes } = await visitor(b, base, options);
  const page = await context.newPage();
  await page.goto(`${base}/en/sign-in`);
  await page.fill("[name=login]", login);
  await page.fill("[name=password]", PASSWORD);
  await page.click("main button");
  const { csrf } = await (await context.request.get(`${base}/api/v1/me`)).json();
  const api = async (method, path, data, type = "application/json") => {
    const r = await context.request.fetch(base + path, { method, data, headers: { "x-csrf-token": csrf, "content-type": type } });
    that(r.ok(), `${method} ${path}: ${r.status()} ${await r.text()}`);
    return r.json();
  };
  return { context, notes, page, api };
}

/** Moves the focus with the tabulator until it is on `locator`. */
export async function tabTo(page, locator, most = 250) {
  const target = await locator.elementHandle({ timeout: 5_000 });
  const there = () => page.evaluate((t) => document.activeElement === t, target);
  for (let i = 0; i < most; i++) {
    if (await there()) return;
    await page.keyboard.press("Tab");
  }
  const at = await page.evaluate(() => document.activeElement.outerHTML.slice(0, 120));
  throw new Error(`not reached in ${most} steps; at ${at}`);
}

/** Goes to a link or button by tabulator and presses Enter; the next page has loaded afterwards. */
export async function enter(page, locator) {
  await tabTo(page, locator);
  await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
}

/** Goes to a field by tabulator and writes into it, replacing what was there. */
export async function write(page, locator, text) {
  await tabTo(page, locator);
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText(text);
}

/** Small generator of random numbers with a printed seed (mulberry32). */
export function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Figures of the page that is open: id and value, in order. */
export const figures = (page) =>
  page.$$eval("a[data-figure]", (all) => all.map((a) => [a.dataset.figure, a.querySelector("data").value]));

/** The day that lies `n` days after another. */
export const later = (day, n) => new Date(Date.parse(`${day}T00:00:00Z`) + n * 864e5).toISOString().slice(0, 10);

/**
 * Days of the demonstration, read from its own data: the last with data, one six weeks before it, one
 * whose values an import corrected, and one of the same station that nothing corrected.
 */
export function days(base) {
  if (!read.has(base)) read.set(base, readDays(base));
  return read.get(base);
}

const read = new Map();

async function readDays(base) {
  const map = await (await fetch(`${base}/en/map`)).text();
  const [first, last] = ["first", "last"].map((k) => map.match(new RegExp(`data-${k}="([^"]+)"`))[1]);
  const { rows } = await (await fetch(`${base}/api/v1/imports?per_page=1`)).json();
  // Means of a year, by the day, as known after the first import and now.
  const means = async (year, known) => {
    const r = await fetch(`${base}/api/v1/air/days?city=linxi&period=${year}&known=${known}&format=csv&per_page=100000`);
    that(r.ok, `days of ${year}: ${r.status}`);
    const [head, ...all] = (await r.text()).trim().split("\n").map((l) => l.split(","));
    const [place, date, mean] = ["place", "date", "PM2.5_daily-mean"].map((c) => head.indexOf(c));
    return new Map(all.filter((row) => row[place] === "linxi/gangtie").map((row) => [row[date], row[mean]]));
  };
  for (let year = Number(last.slice(0, 4)); year >= Number(first.slice(0, 4)); year--) {
    const [before, now] = [await means(year, rows[0].recorded_at), await means(year, "")];
    const changed = [...now.keys()].filter((d) => before.get(d) && now.get(d) && before.get(d) !== now.get(d)).sort();
    const at = Math.floor(changed.length / 2);
    if (changed.length > 20) return { last, day: later(last, -40), corrected: changed[at], another: changed[at + 6] };
  }
  throw new Error("the demonstration has corrected nothing");
}

/** The figure of a day at the station whose instrument was corrected. */
export const figureOf = (day) => `linxi/gangtie:PM2.5:daily-mean:${day}`;

/**
 * The pages that are tested, each kind at least once. Where an address has an id, the site is read to
 * find one; a page that offers none fails here.
 */
export async function paths(base) {
  const html = async (p) => {
    const r = await fetch(base + p);
    that(r.ok, `${p}: ${r.status}`);
    return (await r.text()).replaceAll("&amp;", "&");
  };
  const one = async (p, pattern) => {
    const found = (await html(`/en${p}`)).match(pattern);
    that(found, `${p} has no link ${pattern}`);
    return found[1];
  };
  const link = (p, rest) => one(p, new RegExp(`href="/en(${rest})"`));
  const figure = await one("/", /\/why\/(a-[0-9a-f]+)/);
  const year = new Date().getFullYear() - 1;
  const list = await html("/en/articles");
  const articles = [...new Set([...list.matchAll(/\/articles\/([0-9A-Z]{26})/g)].map((m) => m[1]))];
  let plan;
  for (const a of articles) {
    if ((await html(`/en/articles/${a}`)).includes("plan of ecological work")) plan = a;
  }
  that(plan, "the demonstration's plan is not among the articles");
  const party = await link("/registry/parties", "/registry/party/unit-[^\"]+");
  const account = await link(party, "/registry/account/\\d+");
  const project = await link("/registry/projects", "/registry/project/[^\"]+");
  const asset = await link("/registry", "/registry/asset/LXA[^\"]+");
  const credit = await link("/registry", "/registry/asset/LXF[^\"]+");
  const retirement = await link("/registry/retirements", "/registry/retirement/[^\"]+");
  const record = await link(retirement, "/registry/record/\\d+");
  const device = await link("/devices", "/devices/[^\"]+");
  const outlet = await link("/devices", "/outlets/[^\"]+");
  const { day, corrected } = await days(base);
  return {
    articles, plan, figure, retirement, device, outlet, account,
    paths: [
      "/", "/?show=behind", "/?show=unbound&card=O3", "/?plan=beijing-2024", "/plan/linxi-sim/2.1", "/plan/linxi-sim/3.4", `/?known=${later(day, 5)}`,
      "/map", `/map?layer=PM2.5&at=${day}&compare=${later(day, -200)}&sort=name`,
      "/air", `/air?year=${year}&edition=2031&sort=-O3`, "/air/ledger", "/air/station/linxi/hedong",
      `/why/${figure}`, `/why/${figureOf(corrected)}`,
      "/rules", "/rules/CN/GB-3095-2026", "/rules/CN/HJ-633-2026", "/rules/CN/HJ-663-2026", "/rules/WHO/AQG-2021", "/rules/diff?a=CN/GB-3095-2012&b=CN/GB-3095-2026",
      "/search?q=station", "/search?q=zzz", "/data", "/about", "/glossary",
      "/articles", "/articles?q=PM2.5&topic=air", `/articles/${plan}`, `/articles/${plan}@1`, `/articles/${plan}/diff?a=1&b=2`, `/articles/${plan}/like`,
      "/devices", device, outlet,
      "/registry", "/registry/parties", party, account, asset, credit, "/registry/projects", project, "/registry/retirements", retirement, "/registry/compliance", record, "/registry/check",
      "/sign-in",
    ],
    // Pages of the people of `PEOPLE`.
    inside: {
      wen: ["/desk", "/desk/articles/new", `/desk/articles/${plan}`, `/articles/${plan}`, "/proposals", "/jobs", "/account"],
      anna: ["/desk", "/admin", "/jobs", "/account"],
    },
  };
}

/** Prints the closing line; the process fails if anything did. */
export function close(seconds) {
  for (const f of failures) console.log(`failed: ${f}`);
  console.log(`${seconds.toFixed(0)} s`);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length ? 1 : 0;
}
