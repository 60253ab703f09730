// Packs MapLibre GL as npm brought it (the lock file holds its digest) for the program to carry.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";

const from = new URL("node_modules/maplibre-gl/", import.meta.url);
const to = new URL("../crates/miyun-web/static/maplibre/", import.meta.url);
mkdirSync(to, { recursive: true });
for (const name of ["maplibre-gl.mjs", "maplibre-gl-worker.mjs"]) {
  const text = readFileSync(new URL(`dist/${name}`, from), "utf8").replace(/\n?\/\/# sourceMappingURL=.*\n?$/, "\n");
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_LGWIN]: 22,
    [constants.BROTLI_PARAM_SIZE_HINT]: text.length,
  };
  const packed = brotliCompressSync(Buffer.from(text), { params });
  writeFileSync(new URL(`${name}.br`, to), packed);
  console.log(`${name}: ${text.length} -> ${packed.length} bytes`);
}
copyFileSync(new URL("LICENSE.txt", from), new URL("LICENSE.txt", to));
