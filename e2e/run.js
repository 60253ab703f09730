// Runs the suites: `node run.js` for all, `node run.js smoke axe` for some.
import { browser, close, server } from "./lib.js";
import * as suites from "./suites.js";
import { budget } from "./budget.js";

const all = { ...suites, budget };
const wanted = process.argv.slice(2);
const unknown = wanted.filter((w) => !all[w]);
if (unknown.length) {
  console.error(`no suite ${unknown}; there is: ${Object.keys(all).join(", ")}`);
  process.exit(2);
}
const started = Date.now();
const s = await server();
const b = await browser();
for (const [name, suite] of Object.entries(all)) {
  if (wanted.length && !wanted.includes(name)) continue;
  const t = Date.now();
  await suite(b, s.base);
  console.log(`suite ${name}: ${((Date.now() - t) / 1000).toFixed(0)} s`);
}
await b.close();
s.stop();
process.exit(close((Date.now() - started) / 1000));
