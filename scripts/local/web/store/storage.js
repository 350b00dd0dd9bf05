/** Reads JSON from localStorage; what is missing, unreadable or blocked counts as `fallback`. */
export function read(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? fallback;
  } catch {
    return fallback;
  }
}

/** Writes JSON to localStorage, or removes the entry for null. A browser that blocks storage keeps nothing. */
export function write(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, JSON.stringify(value));
  } catch { /* private mode without storage: the page still works until it is closed */ }
}
