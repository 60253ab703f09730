// Runs the suites: `node run.js` for all, `node run.js smoke axe` for some. FAILED=FILE writes the names of
// those that failed into a file.
import { writeFileSync } from "node:fs";
import { budget } from "./budget.js";
import { browser, check, close, counted, server, that } from "./lib.js";
import * as people from "./people.js";
import * as pages from "./suites.js";

const { smoke, axe, chinese, noScript, parity, asKnown, keyboard, switches, articles } = pages;
// Those that write come last: the others count what the demonstration has.
const all = { smoke, axe, chinese, noScript, parity, asKnown, keyboard, switches, articles, budget, ...people };
const wanted = process.argv.slice(2);
const unknown = wanted.filter((w) => !all[w]);
if (unknown.length) {
  console.error(`no suite ${unknown}; there is: ${Object.keys(all).join(", ")}`);
  process.exit(2);
}
const started = Date.now();
const s = await server();
console.log(`the server answers after ${((Date.now() - started) / 1000).toFixed(0)} s`);
const b = await browser();
const table = [];
const failed = [];
for (const [name, suite] of Object.entries(all)) {
  if (wanted.length && !wanted.includes(name)) continue;
  const [t, before] = [Date.now(), counted()];
  await check(`${name}: to its end`, () => suite(b, s.base));
  const after = counted();
  if (after.failed > before.failed) failed.push(name);
  table.push(`${name.padEnd(11)} ${String(after.passed - before.passed).padStart(4)} passed ${String(after.failed - before.failed).padStart(3)} failed ${((Date.now() - t) / 1000).toFixed(0).padStart(4)} s`);
}
if (s.log) await check("the server did not panic", async () => that(!s.log().includes("panicked"), s.log().slice(-2000)));
await b.close();
await s.stop();
console.log(table.join("\n"));
if (process.env.FAILED) writeFileSync(process.env.FAILED, failed.join(" "));
process.exit(close((Date.now() - started) / 1000));
