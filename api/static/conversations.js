// The conversations of this browser, each under a key of its own, so that two tabs do not overwrite one another's.

const PREFIX = "parley.conversation.";
const CURRENT = "parley.current";
const TITLE_CHARACTERS = 48;

// Not randomUUID, which browsers have over https and on this machine alone.
const newId = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");

export function create() {
  return { id: newId(), title: "New conversation", persona: "", touchedAt: Date.now(), messages: [] };
}

export function message(role, content) {
  return { id: newId(), role, content, note: "", problem: "", isCut: false };
}

/** All of them, the last used first. */
export function all() {
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => read(key))
    .filter(Boolean)
    .sort((one, other) => other.touchedAt - one.touchedAt);
}

export function current() {
  return read(PREFIX + localStorage.getItem(CURRENT));
}

/** Keeps one; false when the browser has no room left. An empty one is not kept. */
export function keep(conversation) {
  if (conversation.messages.length === 0 && !conversation.persona) return true;
  const first = conversation.messages.find((each) => each.role === "user");
  if (first) conversation.title = shorten(first.content);
  conversation.touchedAt = Date.now();
  try {
    localStorage.setItem(PREFIX + conversation.id, JSON.stringify(conversation));
    localStorage.setItem(CURRENT, conversation.id);
    return true;
  } catch {
    return false;
  }
}

export function choose(id) {
  localStorage.setItem(CURRENT, id);
  return read(PREFIX + id);
}

export function remove(id) {
  localStorage.removeItem(PREFIX + id);
}

export function isOne(key) {
  return key === null || key.startsWith(PREFIX);
}

function read(key) {
  try {
    const found = JSON.parse(localStorage.getItem(key));
    return found && Array.isArray(found.messages) ? found : null;
  } catch {
    return null;
  }
}

function shorten(text) {
  const line = text.trim().split("\n", 1)[0];
  return line.length > TITLE_CHARACTERS ? `${line.slice(0, TITLE_CHARACTERS)}…` : line || "New conversation";
}
