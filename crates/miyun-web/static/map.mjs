// The map that moves. The page is complete without it: the drawing and the list say the same. It
// asks nobody but this site, and brings no tiles: its layers are the site's own shapes and points.
// @ts-check

/** @typedef {import("../../../e2e/types/openapi").paths} Paths */
/**
 * @template {keyof Paths} P
 * @typedef {Paths[P] extends { get: { responses: { 200: { content: { "application/geo+json": infer B } } } } } ? B : never} Shapes
 */
/** @typedef {Shapes<"/api/v1/map/stations">} Stations */
/** @typedef {Shapes<"/api/v1/map/outlets">} Outlets */
/** @typedef {Paths["/api/v1/map/layers"]["get"]["responses"][200]["content"]["application/json"][number]} Layer */
/** @typedef {Outlets["features"][number]["properties"]["standing"]} Standing */
/** @typedef {typeof import("maplibre-gl")} Library */

/** @type {Standing[]} */
const STANDINGS = ["attained", "needs-judgement", "exceeded", "heard", "silent"];
const SIGNS = { attained: "✓", "needs-judgement": "!", exceeded: "×", heard: "·", silent: "?" };
const COLOURS = { attained: "--good", "needs-judgement": "--warn", exceeded: "--bad", heard: "--soft", silent: "--line" };
const DAY_MS = 864e5;

/**
 * Opens the map in a section; the drawing goes once the map has drawn itself.
 * @param {HTMLElement} section
 * @param {Element | null} drawing
 */
export async function open(section, drawing) {
  const d = /** @type {Record<string, string>} */ (section.dataset);
  const zh = d.lang !== "en";
  /** @param {string} a @param {string} b */
  const tr = (a, b) => (zh ? a : b);
  const prefix = zh ? "/zh" : "/en";
  const known = d.known ? `&known=${encodeURIComponent(d.known)}` : "";
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const levels = d.levels.split("|");
  const standings = d.standings.split("|");
  /** @type {Library} */
  const gl = await import(d.library);
  gl.setWorkerUrl(d.worker);

  /** @param {string} path */
  const get = async (path) => {
    const r = await fetch(path);
    if (!r.ok) throw new Error(`${r.status} ${path}`);
    return r.json();
  };
  /** @param {string} day @returns {Promise<Stations>} */
  const stationsOf = (day) =>
    get(`/api/v1/map/stations?city=${encodeURIComponent(d.city)}&layer=${encodeURIComponent(d.layer)}&at=${day}${known}`);
  /** @type {[Stations, Outlets, Layer[]]} */
  const [first, outlets, layers] = await Promise.all([
    stationsOf(d.day),
    get(`/api/v1/map/outlets${known.replace("&", "?")}`),
    get("/api/v1/map/layers"),
  ]);
  const own = layers.filter((l) => l.city === d.city);
  let stations = first;
  let day = d.day;

  // The parts around the map: everything the mouse does, a button or key does too.
  const view = el("div", { class: "live-view", role: "region", "aria-label": tr("地图，方向键移动，加减键缩放", "Map: arrow keys move it, plus and minus zoom") });
  const say = el("output", { role: "status" });
  const panel = el("div", { class: "live-panel", "aria-live": "polite" });
  const list = el("ul", { class: "live-list", "aria-label": tr("图中可见的站点和排放口", "Stations and outlets in view") });
  const slider = /** @type {HTMLInputElement} */ (el("input", { type: "range", min: "0", max: String(between(d.first, d.last)), value: String(between(d.first, day)), "aria-label": tr("滑动选择日期", "Slide through the days") }));
  const shown = el("time", {});
  const bar = el("div", { class: "live-bar" });
  /** @param {string} label @param {string} name @param {() => void} act */
  const button = (label, name, act) => {
    const b = el("button", { type: "button", "aria-label": name, title: name }, label);
    b.addEventListener("click", act);
    bar.append(b);
    return b;
  };
  button("+", tr("放大", "Zoom in"), () => map.zoomIn({ animate: !calm }));
  button("−", tr("缩小", "Zoom out"), () => map.zoomOut({ animate: !calm }));
  button("⌂", tr("看全图", "Whole map"), () => fit());
  button("‹", tr("前一天", "Day before"), () => step(-1));
  const play = button("▶", tr("播放", "Play"), () => run());
  button("›", tr("后一天", "Day after"), () => step(1));
  bar.append(slider, shown);
  const boxes = el("fieldset", { class: "live-layers" });
  boxes.append(el("legend", {}, tr("图层", "Layers")));

  const css = getComputedStyle(document.documentElement);
  /** @param {string} name */
  const colour = (name) => css.getPropertyValue(name).trim();
  const levelColour = ["match", ["get", "level"], ...[1, 2, 3, 4, 5, 6].flatMap((l) => [l, colour(`--l${l}`)]), colour("--l0")];
  const standingColour = ["match", ["get", "standing"], ...STANDINGS.flatMap((s) => [s, colour(COLOURS[s])]), colour("--line")];
  const signOf = ["match", ["get", "standing"], ...STANDINGS.flatMap((s) => [s, SIGNS[s]]), ""];
  const dark = ["match", ["get", "level"], [5, 6], "#fff", "#000"];
  /** @type {Record<string, { name: string, ids: string[] }>} */
  const groups = {
    stations: { name: tr("站点", "Stations"), ids: ["stations", "station-values"] },
    outlets: { name: tr("排放口", "Outlets"), ids: ["outlets", "outlet-signs"] },
  };
  for (const l of own) groups[l.id] = { name: l.id === "rivers" ? tr("河流", "Rivers") : tr("边界", "Outline"), ids: [l.id] };
  if (!outlets.features.length) delete groups.outlets;

  const style = /** @type {import("maplibre-gl").StyleSpecification} */ (/** @type {unknown} */ ({
    version: 8,
    sources: {
      stations: { type: "geojson", data: stations },
      outlets: { type: "geojson", data: outlets },
      ...Object.fromEntries(own.map((l) => [l.id, { type: "geojson", data: `${location.origin}/api/v1/map/layers/${l.id}`, attribution: `${l.credit} (${l.licence})` }])),
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": colour("--panel") } },
      ...own.map((l) => ({ id: l.id, type: "line", source: l.id, paint: { "line-color": l.closed ? colour("--ink") : "#2b7bba", "line-width": 1.4 } })),
      { id: "outlets", type: "circle", source: "outlets", paint: { "circle-radius": 8, "circle-color": standingColour, "circle-stroke-color": colour("--edge"), "circle-stroke-width": 1 } },
      { id: "outlet-signs", type: "symbol", source: "outlets", layout: { "text-field": signOf, "text-size": 11, "text-allow-overlap": true }, paint: { "text-color": colour("--bg") } },
      { id: "stations", type: "circle", source: "stations", paint: { "circle-radius": 15, "circle-color": levelColour, "circle-stroke-color": colour("--edge"), "circle-stroke-width": 1.2 } },
      { id: "station-values", type: "symbol", source: "stations", layout: { "text-field": ["coalesce", ["get", "value"], "–"], "text-size": 12, "text-allow-overlap": true }, paint: { "text-color": dark } },
    ],
  }));

  const before = [...section.childNodes];
  section.replaceChildren(bar, boxes, view, panel, list, say);
  const start = place();
  const map = draw();
  function draw() {
    try {
      return new gl.Map({
        container: view,
        style,
        attributionControl: false,
        dragRotate: false,
        pitchWithRotate: false,
        fadeDuration: calm ? 0 : 300,
        center: start?.at ?? middle(),
        zoom: start?.zoom ?? 9,
      });
    } catch (e) {
      // Without WebGL the drawing stays, and the section says why.
      section.replaceChildren(...before);
      throw e;
    }
  }
  map.touchZoomRotate.disableRotation();
  const canvas = map.getCanvas();
  canvas.setAttribute("aria-label", tr("地图", "Map"));
  if (!start) map.once("load", () => fit());
  for (const [id, g] of Object.entries(groups)) {
    const box = /** @type {HTMLInputElement} */ (el("input", { type: "checkbox", name: id, checked: "" }));
    box.addEventListener("change", () => {
      for (const layer of g.ids) map.setLayoutProperty(layer, "visibility", box.checked ? "visible" : "none");
      inView();
    });
    const label = el("label", {}, ` ${g.name}`);
    label.prepend(box);
    boxes.append(label, " ");
  }
  const credits = [...new Set(own.map((l) => `${l.credit} (${l.licence})`))].join(" · ");
  if (credits) boxes.append(el("span", { class: "soft" }, credits));

  map.once("idle", () => {
    drawing?.setAttribute("hidden", "");
    section.dataset.idle = "true";
    inView();
  });
  map.on("moveend", () => {
    remember();
    inView();
  });
  for (const layer of ["stations", "outlets"]) {
    map.on("click", layer, (e) => {
      const f = e.features?.[0];
      if (f) describe(layer, /** @type {string} */ (f.properties.id));
    });
    map.on("mouseenter", layer, () => (canvas.style.cursor = "pointer"));
    map.on("mouseleave", layer, () => (canvas.style.cursor = ""));
  }
  map.on("error", (e) => (say.textContent = e.error.message));

  // Time: the slider, the buttons and the keys of the slider all come here.
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let soon;
  slider.addEventListener("input", () => {
    label();
    clearTimeout(soon);
    soon = setTimeout(() => go(after(d.first, Number(slider.value))), 120);
  });
  let turn = 0;
  /** @param {string} to */
  async function go(to) {
    const mine = (turn += 1);
    try {
      const next = await stationsOf(to);
      // A later day may have been asked for meanwhile.
      if (mine !== turn) return;
      stations = next;
      day = to;
      /** @type {import("maplibre-gl").GeoJSONSource} */ (map.getSource("stations")).setData(/** @type {GeoJSON.GeoJSON} */ (/** @type {unknown} */ (next)));
      slider.value = String(between(d.first, day));
      label();
      remember();
      map.once("idle", inView);
      inView();
    } catch (e) {
      say.textContent = String(e);
      stop();
    }
  }
  function label() {
    const on = after(d.first, Number(slider.value));
    shown.textContent = on;
    slider.setAttribute("aria-valuetext", on);
  }
  /** @param {number} days */
  function step(days) {
    const to = after(day, days);
    if (to >= d.first && to <= d.last) return go(to);
    stop();
    return Promise.resolve();
  }
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let playing;
  function run() {
    if (playing) return stop();
    play.textContent = "❚❚";
    play.setAttribute("aria-label", tr("停止", "Stop"));
    playing = setInterval(() => step(1), 900);
  }
  function stop() {
    clearInterval(playing);
    playing = undefined;
    play.textContent = "▶";
    play.setAttribute("aria-label", tr("播放", "Play"));
  }

  // What is in view, as a list whose entries open the same panel as a click on the map.
  function inView() {
    const box = map.getBounds();
    /** @param {number[]} c */
    const inside = (c) => box.contains([c[0], c[1]]);
    /** @param {string} id */
    const on = (id) => groups[id] && map.getLayoutProperty(id, "visibility") !== "none";
    const entries = [];
    if (on("stations"))
      for (const f of stations.features)
        if (inside(f.geometry.coordinates)) entries.push(entry("stations", f.properties.id, `${nameOf(f.properties)} ${f.properties.value ?? "–"}`));
    if (on("outlets"))
      for (const f of outlets.features)
        if (inside(f.geometry.coordinates)) entries.push(entry("outlets", f.properties.id, `${SIGNS[f.properties.standing]} ${f.properties.id}`));
    list.replaceChildren(...entries);
    section.dataset.seen = String(entries.length);
  }
  /** @param {string} layer @param {string} id @param {string} text */
  function entry(layer, id, text) {
    const b = el("button", { type: "button" }, text);
    b.addEventListener("click", () => describe(layer, id));
    const li = el("li", {});
    li.append(b);
    return li;
  }
  /** @param {Stations["features"][number]["properties"]} p */
  function nameOf(p) {
    return zh ? p.name_zh : p.name_en;
  }
  /** @param {string} layer @param {string} id */
  function describe(layer, id) {
    const parts = [];
    let page = "";
    let at = /** @type {number[] | undefined} */ (undefined);
    if (layer === "stations") {
      const f = stations.features.find((x) => x.properties.id === id);
      if (!f) return;
      const p = f.properties;
      at = f.geometry.coordinates;
      page = p.page;
      parts.push(el("strong", {}, nameOf(p)), ` ${day} · ${d.layer} ${p.value ?? "–"}`);
      if (p.level) parts.push(" · ", el("span", { class: `level l${p.level}` }, String(p.level)), ` ${levels[p.level - 1] ?? ""}`);
      if (p.primary) parts.push(` · ${p.primary}`);
    } else {
      const f = outlets.features.find((x) => x.properties.id === id);
      if (!f) return;
      const p = f.properties;
      at = f.geometry.coordinates;
      page = p.page;
      parts.push(el("strong", {}, p.id), ` · ${SIGNS[p.standing]} ${standings[STANDINGS.indexOf(p.standing)] ?? ""}`);
      if (p.heard) parts.push(` · ${p.heard}`);
    }
    const join = page.includes("?") ? "&" : "?";
    const link = el("a", { href: prefix + page + (known ? join + known.slice(1) : "") }, tr("为什么", "Why"));
    panel.replaceChildren(...parts, " · ", link);
    if (at) map.easeTo({ center: [at[0], at[1]], animate: !calm });
  }

  // Place and day are in the address, so that it can be sent to somebody.
  function remember() {
    const c = map.getCenter();
    const u = new URL(location.href);
    u.searchParams.set("at", day);
    u.hash = `map=${map.getZoom().toFixed(2)}/${c.lat.toFixed(4)}/${c.lng.toFixed(4)}`;
    history.replaceState(null, "", u);
  }
  /** @returns {{ zoom: number, at: [number, number] } | null} */
  function place() {
    const m = location.hash.match(/^#map=([\d.]+)\/(-?[\d.]+)\/(-?[\d.]+)$/);
    return m ? { zoom: Number(m[1]), at: [Number(m[3]), Number(m[2])] } : null;
  }
  /** @returns {[number, number]} */
  function middle() {
    const c = stations.features[0]?.geometry.coordinates ?? outlets.features[0]?.geometry.coordinates ?? [0, 0];
    return [c[0], c[1]];
  }
  function fit() {
    const box = new gl.LngLatBounds();
    for (const f of [...stations.features, ...outlets.features]) box.extend([f.geometry.coordinates[0], f.geometry.coordinates[1]]);
    if (!box.isEmpty()) map.fitBounds(box, { padding: 40, maxZoom: 13, animate: false });
  }
  label();
}

/**
 * An element with attributes and text.
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {string} [text]
 * @returns {HTMLElement}
 */
function el(tag, attributes, text) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text) e.textContent = text;
  return e;
}

/** Days from `a` to `b`. @param {string} a @param {string} b */
function between(a, b) {
  return Math.round((Date.parse(b + "T00:00:00Z") - Date.parse(a + "T00:00:00Z")) / DAY_MS);
}

/** The day `n` days after `a`. @param {string} a @param {number} n */
function after(a, n) {
  return new Date(Date.parse(a + "T00:00:00Z") + n * DAY_MS).toISOString().slice(0, 10);
}
