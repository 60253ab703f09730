// Keeps the numbers of a page up to date; the page is right without it, as of its loading.
(() => {
  const page = document.querySelector("[data-live]");
  if (!page || !window.EventSource) return;
  const events = new EventSource(page.dataset.live);
  events.addEventListener("devices", (e) => {
    for (const d of JSON.parse(e.data)) {
      for (const cell of document.querySelectorAll(`[data-device="${CSS.escape(d.mn)}"] [data-key]`)) {
        const text = d.cells[cell.dataset.key];
        if (text !== undefined && cell.textContent !== text) cell.textContent = text;
      }
    }
  });
})();
