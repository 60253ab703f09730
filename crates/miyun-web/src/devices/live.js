// Keeps the numbers of a page up to date; the page is right without it, as of its loading. What is
// judged or drawn (data-part) is taken from the page itself, read again.
(() => {
  /** @type {HTMLElement | null} */
  const page = document.querySelector("[data-live]");
  if (!page || !window.EventSource) return;
  let reading = false;
  const again = async () => {
    reading = false;
    if (document.hidden) return;
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    /** @type {NodeListOf<HTMLElement>} */
    const parts = document.querySelectorAll("[data-part]");
    for (const part of parts) {
      const now = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      const read = part.contains(document.activeElement);
      if (now && !read && now.innerHTML !== part.innerHTML) {
        part.replaceWith(document.importNode(now, true));
      }
    }
  };
  const events = new EventSource(page.dataset.live ?? "");
  events.addEventListener("devices", (e) => {
    /** @type {{ mn: string, cells: Record<string, string> }[]} */
    const devices = JSON.parse(e.data);
    let here = !document.querySelector("[data-device]");
    for (const d of devices) {
      /** @type {NodeListOf<HTMLElement>} */
      const cells = document.querySelectorAll(`[data-device="${CSS.escape(d.mn)}"] [data-key]`);
      here ||= cells.length > 0;
      for (const cell of cells) {
        const text = d.cells[cell.dataset.key ?? ""];
        if (text !== undefined && cell.textContent !== text) cell.textContent = text;
      }
    }
    if (here && !reading && document.querySelector("[data-part]")) {
      reading = true;
      setTimeout(() => again().catch(() => {}), 3000);
    }
  });
})();
