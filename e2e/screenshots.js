// Makes the pictures of the README: `node screenshots.js [folder]`, into docs/screenshots by default.
// WebP, so that all of them together stay small.
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LANGS, browser, days, figureOf, paths, server } from "./lib.js";

const folder = process.argv[2] ?? new URL("../docs/screenshots", import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
const s = await server();
const b = await browser();
const { plan, figure } = await paths(s.base);
const { day, corrected } = await days(s.base);
const SHOTS = [
  ["home", "/", {}], ["map", `/map?layer=PM2.5&at=${day}`, {}], ["air", "/air", {}], ["why", `/why/${figure}`, {}],
  ["known", `/why/${figureOf(corrected)}#known`, {}], ["ledger", "/air/ledger", {}], ["rules", "/rules/CN/GB-3095-2026", {}],
  ["article", `/articles/${plan}`, {}], ["difference", `/articles/${plan}/diff?a=1&b=2`, {}],
  ["devices", "/devices", {}], ["registry", "/registry", {}],
  ["home-dark", "/", { theme: "dark" }], ["home-phone", "/", { phone: true }],
];
let total = 0;
for (const lang of LANGS) {
  for (const [name, path, how] of SHOTS) {
    const context = await b.newContext({ viewport: how.phone ? { width: 390, height: 844 } : { width: 1200, height: 860 }, reducedMotion: "reduce" });
    if (how.theme) await context.addCookies([{ name: "theme", value: how.theme, url: s.base }]);
    const page = await context.newPage();
    await page.goto(`${s.base}/${lang}${path}`, { waitUntil: "load" });
    const cdp = await context.newCDPSession(page);
    const { data } = await cdp.send("Page.captureScreenshot", { format: "webp", quality: 60 });
    const file = join(folder, `${name}-${lang}.webp`);
    writeFileSync(file, Buffer.from(data, "base64"));
    total += statSync(file).size;
    await context.close();
  }
}
await b.close();
await s.stop();
console.log(`${LANGS.length * SHOTS.length} pictures, ${(total / 1024).toFixed(0)} KB, in ${folder}`);
