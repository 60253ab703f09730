// Browser, server and the count of what passed. Everything stays on the loopback interface.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

/** The server under test: $BASE if it runs already, else $MIYUN (a command that prints its address). */
export async function server() {
  if (process.env.BASE) return { base: process.env.BASE.replace(/\/$/, ""), stop() {} };
  const folder = mkdtempSync(join(tmpdir(), "miyun-e2e-"));
  const command = process.env.MIYUN ?? "cargo run -q -p miyun-web --example linxi -- FOLDER 127.0.0.1:0";
  const [program, ...args] = command.split(" ").map((a) => a.replace("FOLDER", process.env.DATA ?? folder));
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], cwd: new URL("..", import.meta.url).pathname });
  const base = await new Promise((resolve, reject) => {
    let text = "";
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    const read = (d) => {
      text = (text + d).slice(-4096);
      const found = text.match(/http:\/\/[\d.]+:\d+/);
      if (found) resolve(found[0]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
  });
  return { base, stop() { child.kill("SIGTERM"); rmSync(folder, { recursive: true, force: true }); } };
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

export function equal(a, b, what = "") {
  if (a !== b) throw new Error(`${what} expected ${JSON.stringify(b)}, got ${JSON.stringify(a)}`);
}

export function that(yes, what) {
  if (!yes) throw new Error(what);
}

/** Prints the closing line; the process fails if anything did. */
export function close(seconds) {
  for (const f of failures) console.log(`failed: ${f}`);
  console.log(`${seconds.toFixed(0)} s`);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length ? 1 : 0;
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

/** The paths that are tested, found by reading the site where they have ids. */
export async function paths(base) {
  const html = async (p) => (await fetch(base + p)).text();
  const home = await html("/en/");
  const figure = home.match(/\/why\/(a-[0-9a-f]+)/)?.[1];
  const list = await html("/en/articles");
  const articles = [...new Set([...list.matchAll(/\/articles\/([0-9A-Z]{26})/g)].map((m) => m[1]))];
  let plan;
  for (const a of articles) {
    if ((await html(`/en/articles/${a}`)).includes("plan of ecological work")) plan = a;
  }
  const out = [
    "/", "/?show=behind", "/?show=unbound&card=O3", "/plan/linxi-sim/2.1", "/plan/linxi-sim/3.4",
    "/map", "/map?layer=PM2.5&at=2026-10-15&compare=2026-03-01&sort=name", "/air", "/air?year=2025&edition=2031&sort=-O3",
    "/air/ledger", "/air/station/linxi/hedong", `/why/${figure}`, "/why/linxi/gangtie:PM2.5:daily-mean:2026-10-10",
    "/rules", "/rules/CN/GB-3095-2026", "/rules/CN/HJ-633-2026", "/rules/diff?a=CN/GB-3095-2012&b=CN/GB-3095-2026",
    "/search?q=station", "/data", "/about", "/glossary", "/?known=2026-11-21",
  ];
  if (plan) out.push("/articles", "/articles?q=PM2.5&topic=air", `/articles/${plan}`, `/articles/${plan}@1`, `/articles/${plan}/diff?a=1&b=2`, `/articles/${plan}/like`);
  return { paths: out, articles, plan, figure };
}
