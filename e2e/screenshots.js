// Makes the pictures of the README: `node screenshots.js [folder]`, into docs/screenshots by default.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { LANGS, browser, paths, server } from "./lib.js";

const folder = process.argv[2] ?? new URL("../docs/screenshots", import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
const s = await server();
const b = await browser();
const { plan, figure } = await paths(s.base);
const SHOTS = [
  ["home", "/", {}], ["map", "/map?at=2026-10-15", {}], ["air", "/air", {}], ["why", `/why/${figure}`, {}],
  ["ledger", "/air/ledger", {}], ["rules", "/rules/CN/GB-3095-2026", {}],
  ...(plan ? [["article", `/articles/${plan}`, {}]] : []),
  ["home-dark", "/", { theme: "dark" }], ["home-phone", "/", { phone: true }],
];
for (const lang of LANGS) {
  for (const [name, path, how] of SHOTS) {
    const context = await b.newContext({ viewport: how.phone ? { width: 390, height: 844 } : { width: 1200, height: 860 } });
    if (how.theme) await context.addCookies([{ name: "theme", value: how.theme, url: s.base }]);
    const page = await context.newPage();
    await page.goto(`${s.base}/${lang}${path}`, { waitUntil: "load" });
    await page.screenshot({ path: join(folder, `${name}-${lang}.png`), fullPage: process.env.FULL === "1" });
    await context.close();
  }
}
await b.close();
s.stop();
