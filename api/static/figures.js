// From what the service says to what a chart and its table show.

import { count } from "./words.js";

const DAYS = 30;
const MINUTES = 60;
const DAY_SECONDS = 86_400;

export const sum = (records, name) => records.reduce((total, each) => total + each[name], 0);

/** The last 30 days of some tenants together, those without a call too; days are the service's own. */
export function days(tenants) {
  const byDate = new Map();
  for (const { date, calls, prompt_tokens: prompt, completion_tokens: completion } of tenants.flatMap((each) => each.days)) {
    const day = byDate.get(date) ?? { calls: 0, prompt: 0, completion: 0 };
    byDate.set(date, { calls: day.calls + calls, prompt: day.prompt + prompt, completion: day.completion + completion });
  }
  const newest = [...byDate.keys(), new Date().toISOString().slice(0, 10)].sort().at(-1);
  const last = Date.parse(newest) / 1000;
  const at = Array.from({ length: DAYS }, (_, index) => last - (DAYS - 1 - index) * DAY_SECONDS);
  const dates = at.map((instant) => new Date(instant * 1000).toISOString().slice(0, 10));
  const all = dates.map((date) => byDate.get(date) ?? { calls: 0, prompt: 0, completion: 0 });
  const shown = dates.map((date, index) => ({ date, ...all[index] })).filter(({ calls }) => calls > 0).reverse();
  return {
    at,
    calls: all.map((day) => day.calls),
    prompt: all.map((day) => day.prompt),
    both: all.map((day) => day.prompt + day.completion),
    allCalls: sum(all, "calls"),
    allTokens: sum(all, "prompt") + sum(all, "completion"),
    callRows: shown.map((day) => [day.date, count(day.calls)]),
    tokenRows: shown.map((day) => [day.date, count(day.prompt), count(day.completion)]),
  };
}

/** The last hour, minute by minute; null where nothing was called. */
export function hour(minutes) {
  const now = Math.floor(Date.now() / 60_000) * 60;
  const at = Array.from({ length: MINUTES }, (_, index) => now - (MINUTES - 1 - index) * 60);
  const byMinute = new Map(minutes.map((each) => [Date.parse(each.at) / 1000, each]));
  const found = at.map((instant) => byMinute.get(instant));
  const share = (each) => (each?.prompt_tokens ? (100 * each.cached_tokens) / each.prompt_tokens : null);
  const name = (each) => new Date(each.at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const newest = [...minutes].reverse();
  return {
    at,
    first: found.map((each) => each?.first_token_seconds ?? null),
    share: found.map(share),
    firstRows: newest.map((each) => [name(each), each.first_token_seconds?.toFixed(2) ?? "–", count(each.calls)]),
    cachedRows: newest.map((each) => [name(each), count(each.cached_tokens), count(each.prompt_tokens)]),
  };
}
