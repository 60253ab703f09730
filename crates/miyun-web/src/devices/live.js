// Keeps the numbers of a page up to date; the page is right without it, as of its loading.
(() => {
  /** @type {HTMLElement | null} */
  const page = document.querySelector("[data-live]");
  if (!page || !window.EventSource) return;
  const events = new EventSource(page.dataset.live ?? "");
  events.addEventListener("devices", (e) => {
    /** @type {{ mn: string, cells: Record<string, string> }[]} */
    const devices = JSON.parse(e.data);
    for (const d of devices) {
      /** @type {NodeListOf<HTMLElement>} */
      const cells = document.querySelectorAll(`[data-device="${CSS.escape(d.mn)}"] [data-key]`);
      for (const cell of cells) {
        const text = d.cells[cell.dataset.key ?? ""];
        if (text !== undefined && cell.textContent !== text) cell.textContent = text;
      }
    }
  });
})();
