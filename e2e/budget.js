// Sizes and times of a first view on a slow line (1.6 Mbit/s, 150 ms) and a slow machine (CPU/4).
// $LCP_MS is the limit of the 75th percentile (1500), $RUNS how often each page is opened (9).
import { check, paths, that, visitor } from "./lib.js";

const RUNS = Number(process.env.RUNS ?? 9);
const LCP_MS = Number(process.env.LCP_MS ?? 1500);

export async function budget(b, base) {
  const { plan, figure, outlet } = await paths(base);
  const pages = [
    "/zh/", "/en/", "/zh/map", "/zh/air", "/en/air", "/zh/air/ledger", "/en/air/station/linxi/hedong", `/zh/why/${figure}`,
    "/zh/rules", "/en/rules/CN/GB-3095-2026", "/zh/articles", `/zh/articles/${plan}`, "/zh/devices", `/zh${outlet}`, "/zh/registry", "/zh/registry/compliance",
  ];
  for (const path of pages) {
    const runs = [];
    // A page that somebody read is kept; the first reader of all is not what is measured.
    await fetch(base + path);
    for (let i = 0; i < RUNS; i++) runs.push(await one(b, base, path));
    const quantile = (k, q) => runs.map((r) => r[k]).sort((a, c) => a - c)[Math.ceil(q * runs.length) - 1];
    const r = runs[0];
    const line = `LCP p75 ${quantile("lcp", 0.75).toFixed(0)} ms (median ${quantile("lcp", 0.5).toFixed(0)}), HTML ${(r.document / 1024).toFixed(1)} KB, JS ${(r.script / 1024).toFixed(1)} KB, CSS ${(r.stylesheet / 1024).toFixed(1)} KB, ${Math.max(...runs.map((x) => x.requests))} requests before the first paint and ${Math.max(...runs.map((x) => x.pictures))} pictures, CLS ${Math.max(...runs.map((x) => x.cls)).toFixed(3)}`;
    console.log(`budget ${path}: ${line}`);
    await check(`budget ${path}`, async () => {
      that(quantile("lcp", 0.75) <= LCP_MS, `LCP: ${line}`);
      that(r.document <= 30 * 1024, `page: ${line}`);
      that(r.script <= 25 * 1024, `script: ${line}`);
      that(r.stylesheet <= 12 * 1024, `style: ${line}`);
      that(Math.max(...runs.map((x) => x.requests)) <= 3, `requests: ${line}`);
      that(Math.max(...runs.map((x) => x.pictures)) <= 1, `pictures: ${line}`);
      that(r.fonts === 0, "a font was loaded");
      that(Math.max(...runs.map((x) => x.cls)) <= 0.05, `shift: ${line}`);
    });
  }
}

async function one(b, base, path) {
  const { context } = await visitor(b, base);
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.enable");
  await cdp.send("Network.setCacheDisabled", { cacheDisabled: true });
  await cdp.send("Network.emulateNetworkConditions", { offline: false, latency: 150, downloadThroughput: (1.6e6 / 8), uploadThroughput: (0.75e6 / 8) });
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  const kinds = new Map();
  const sizes = { document: 0, script: 0, stylesheet: 0, font: 0, image: 0 };
  cdp.on("Network.responseReceived", (e) => kinds.set(e.requestId, e.type.toLowerCase()));
  cdp.on("Network.loadingFinished", (e) => { sizes[kinds.get(e.requestId)] += e.encodedDataLength; });
  await page.goto(base + path, { waitUntil: "load" });
  await page.waitForTimeout(300);
  const seen = await page.evaluate(() => new Promise((resolve) => {
    let lcp = 0;
    let cls = 0;
    new PerformanceObserver((l) => { for (const e of l.getEntries()) lcp = Math.max(lcp, e.startTime); }).observe({ type: "largest-contentful-paint", buffered: true });
    new PerformanceObserver((l) => { for (const e of l.getEntries()) if (!e.hadRecentInput) cls += e.value; }).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => {
      // Every request that began before something was painted, the page itself among them. The icon is
      // the browser's own, asked for when it likes; a picture of the text is counted by itself.
      const painted = performance.getEntriesByName("first-contentful-paint")[0].startTime;
      const before = performance.getEntriesByType("resource")
        .filter((r) => r.startTime < painted && !r.name.startsWith("data:") && !r.name.endsWith("/icon.svg"));
      const pictures = before.filter((r) => r.initiatorType === "img").length;
      resolve({ lcp, cls, pictures, requests: before.length - pictures + 1 });
    }, 200);
  }));
  await context.close();
  return { ...seen, ...sizes, fonts: sizes.font };
}
