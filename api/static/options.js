// What was typed into the form of options, as the API takes it. Names, ranges and defaults come with the page.

const SETTINGS = "parley.settings";

/** The options that differ from their defaults; throws an Error with one line for the first that is none. */
export function read(fields, values) {
  const options = {};
  for (const { name, kind } of fields) {
    const typed = (values[name] ?? "").toString();
    if (typed.trim() !== "") options[name] = READERS[kind](name, typed);
  }
  return options;
}

const READERS = {
  integer: (name, typed) => number(name, typed, Number.isSafeInteger, "needs a whole number"),
  number: (name, typed) => number(name, typed, Number.isFinite, "needs a number"),
  lines: (_name, typed) => typed.split("\n").filter((line) => line !== ""),
  format: (name, typed) => (typed.trim().toLowerCase() === "json" ? "json" : schema(name, typed)),
};

function number(name, typed, isFine, advice) {
  const value = Number(typed);
  const input = document.getElementById(`option-${name}`);
  if (!isFine(value)) throw new Error(`${name} ${advice}.`);
  if (input && !input.checkValidity()) throw new Error(`${name}: ${input.validationMessage}`);
  return value;
}

function schema(name, typed) {
  try {
    const value = JSON.parse(typed);
    if (value && typeof value === "object" && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new Error(`${name} needs json, or a JSON Schema object.`);
}

export function load(fields, models) {
  const empty = Object.fromEntries(fields.map(({ name }) => [name, ""]));
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(SETTINGS)) ?? {};
  } catch {
    // Begin anew.
  }
  return {
    values: { ...empty, ...kept.values },
    model: models.includes(kept.model) ? kept.model : models[0],
    language: kept.language ?? "curl",
  };
}

export function keep({ values, model, language }) {
  try {
    localStorage.setItem(SETTINGS, JSON.stringify({ values, model, language }));
  } catch {
    // Without room they hold until the page is left.
  }
}
