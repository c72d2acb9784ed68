// The visitor's API token: in this tab, or on this device where the visitor wants it remembered.
// It is sent in a header and never in a cookie, so no other site can make this browser use it.

const KEY = "parley.token";

export function load() {
  return read(sessionStorage) || read(localStorage) || "";
}

export function save(token, { remembers }) {
  forget();
  (remembers ? localStorage : sessionStorage).setItem(KEY, token);
}

export function forget() {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
}

/** Takes the token out of what was pasted: with spaces, line breaks, quotes or "Bearer" around it. */
export function clean(pasted) {
  const solid = pasted.replace(/[\s\u200b\ufeff]+/g, "");
  const found = solid.match(/parley_[A-Za-z0-9_-]{32,128}/);
  return found ? found[0] : "";
}

function read(storage) {
  try {
    return storage.getItem(KEY);
  } catch {
    return null;
  }
}
