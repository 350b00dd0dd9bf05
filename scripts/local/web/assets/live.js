/** Keeps a tool page current: fetches the same page and swaps its main part, unless the reader paused it. */
const INTERVAL_MS = 3000;
const TIMEOUT_MS = 20_000;

const main = document.querySelector("main[data-live]");
const pause = document.querySelector("#pause");
const note = document.querySelector("#refreshed");
let paused = false;

function busyReading() {
  const selection = getSelection();
  return paused || document.hidden || (selection !== null && !selection.isCollapsed) ||
    main.querySelector("details[open], iframe") !== null ||
    document.activeElement?.matches("main a, main summary, main input");
}

/** Replaces the content and puts scrolled and focused tables back to where they were. */
function swap(next) {
  const scrolled = [...main.querySelectorAll(".scroll")].map((element) => element.scrollLeft);
  const focused = [...main.querySelectorAll(".scroll")].indexOf(document.activeElement);
  main.replaceChildren(...next.childNodes);
  const tables = [...main.querySelectorAll(".scroll")];
  tables.forEach((element, index) => element.scrollLeft = scrolled[index] ?? 0);
  tables[focused]?.focus({ preventScroll: true });
}

async function refresh() {
  if (busyReading()) return;
  try {
    const response = await fetch(location.href, {
      headers: { accept: "text/html" },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const next = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("main");
    if (next !== null && next.innerHTML !== main.innerHTML && !busyReading()) {
      swap(next);
    }
    if (note.textContent !== "") note.textContent = "";
  } catch {
    note.textContent = "The stack does not answer.";
  }
}

pause?.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Paused" : "Pause";
});

/** One after the other: an answer that was overtaken would put the page back to what it was. */
async function keepCurrent() {
  await refresh();
  setTimeout(keepCurrent, INTERVAL_MS);
}

setTimeout(keepCurrent, INTERVAL_MS);
