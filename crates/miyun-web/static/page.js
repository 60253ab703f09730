// Small comforts; every page is complete without them.
"use strict";
document.documentElement.classList.add("js");
// "/" goes to the search box.
addEventListener("keydown", (e) => {
  const t = e.target;
  if (e.key === "/" && !e.ctrlKey && !e.metaKey && !/^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName)) {
    e.preventDefault();
    document.getElementById("q").focus();
  }
});
// The slider of the map: the day follows while sliding, the page follows when it is let go.
for (const form of document.querySelectorAll("form[data-slide]")) {
  const range = form.querySelector("[data-range]");
  const date = form.elements.at;
  const first = Date.parse(form.dataset.slide + "T00:00:00Z");
  const day = () => new Date(first + range.value * 864e5).toISOString().slice(0, 10);
  range.setAttribute("aria-valuetext", date.value);
  range.addEventListener("input", () => { date.value = day(); range.setAttribute("aria-valuetext", date.value); });
  range.addEventListener("change", () => {
    const u = new URL(location.href);
    u.searchParams.set("at", day());
    location.assign(u);
  });
}
// Details open for printing.
addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details")) d.open = true; });
// Likes: the button counts at once; without the script the form does the same.
for (const form of document.querySelectorAll("form[data-like]")) {
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const r = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { accept: "application/json" } });
      const j = await r.json();
      form.querySelector("output").textContent = j.text;
    } catch { button.disabled = false; form.submit(); }
  });
}
