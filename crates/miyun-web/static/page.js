// Small comforts; every page is complete without them.
"use strict";
document.documentElement.classList.add("js");
// "/" goes to the search box.
addEventListener("keydown", (e) => {
  const t = e.target;
  const writing = t instanceof Element && /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName);
  if (e.key === "/" && !e.ctrlKey && !e.metaKey && !writing) {
    e.preventDefault();
    document.getElementById("q")?.focus();
  }
});
// The slider of the map: the day follows while sliding, the page follows when it is let go.
for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-slide]"))) {
  const range = /** @type {HTMLInputElement} */ (form.querySelector("[data-range]"));
  const date = /** @type {HTMLInputElement} */ (form.elements.namedItem("at"));
  const first = Date.parse(form.dataset.slide + "T00:00:00Z");
  const day = () => new Date(first + Number(range.value) * 864e5).toISOString().slice(0, 10);
  range.setAttribute("aria-valuetext", date.value);
  range.addEventListener("input", () => { date.value = day(); range.setAttribute("aria-valuetext", date.value); });
  range.addEventListener("change", () => {
    const u = new URL(location.href);
    u.searchParams.set("at", day());
    location.assign(u);
  });
}
// The map that moves, for who asks: it is fetched then, not before. Where it cannot be, the drawing stays.
const live = document.getElementById("live");
const start = /** @type {HTMLButtonElement | null | undefined} */ (live?.querySelector("[data-start]"));
if (live && start) {
  live.hidden = false;
  const begin = async () => {
    start.disabled = true;
    try {
      const island = await import(live.dataset.island ?? "");
      await island.open(live, document.getElementById("drawn"));
    } catch (e) {
      start.disabled = false;
      const say = live.querySelector("output");
      if (say) say.textContent = String(e);
    }
  };
  start.addEventListener("click", begin);
  if (location.hash.startsWith("#map=")) (globalThis.requestIdleCallback ?? setTimeout)(begin);
}
// What streams in begins once the page has been painted.
const streams = /** @type {HTMLElement | null} */ (document.querySelector("[data-script]"));
if (streams) {
  new PerformanceObserver((_, painted) => {
    painted.disconnect();
    const script = document.createElement("script");
    script.src = streams.dataset.script ?? "";
    document.head.append(script);
  }).observe({ type: "paint", buffered: true });
}
// Details open for printing.
addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details")) d.open = true; });
// Likes: the button counts at once; without the script the form does the same.
for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-like]"))) {
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const button = form.querySelector("button");
    if (button) button.disabled = true;
    try {
      const body = new URLSearchParams();
      for (const [k, v] of new FormData(form)) body.append(k, String(v));
      const r = await fetch(form.action, { method: "POST", body, headers: { accept: "application/json" } });
      const j = await r.json();
      const out = form.querySelector("output");
      if (out) out.textContent = j.text;
    } catch { if (button) button.disabled = false; form.submit(); }
  });
}
