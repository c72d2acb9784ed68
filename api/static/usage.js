// The page of what was used: asks the service every few seconds, while somebody looks. Markup: templates/usage.html.

import Alpine from "./vendor/alpinejs-csp/module.esm.min.js";
import { bars, line } from "./charts.js";
import { days, hour, sum } from "./figures.js";
import { call } from "./server.js";
import * as tokens from "./token.js";
import { count, plural, seconds } from "./words.js";

const EVERY_MILLISECONDS = 5000;

const SCOPES = {
  token: "The calls of the API token in this browser.",
  servers: "The calls of your Discord servers and their API tokens.",
  everyone: "All calls: the hundred busiest API tokens and Discord servers of the last 30 days.",
};

const HEALTH = { ok: "Ready", degraded: "Ready, but", unavailable: "Not ready" };

Alpine.data("usage", () => ({
  state: null,
  problem: "",
  isPaused: false,
  tenant: "",
  rows: { calls: [], tokens: [], first: [], cached: [] },
  summaries: { calls: "", tokens: "", first: "", cached: "" },

  init() {
    this.hasSession = document.getElementById("main").dataset.session === "yes";
    this.token = this.hasSession ? null : tokens.load();
    this.drawn = { calls: bars("calls"), tokens: bars("tokens", 2), first: line("first", "s"), cached: line("cached", "%") };
    this.$watch("tenant", () => this.draw());
    if (!this.isKnown) return;
    this.look();
    this.timer = setInterval(() => {
      if (!this.isPaused && !document.hidden) this.look();
    }, EVERY_MILLISECONDS);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    window.addEventListener("resize", () => this.draw());
  },

  get isKnown() {
    return this.hasSession || this.token !== "";
  },

  async look() {
    try {
      this.state = await (await call("/state.json", { token: this.token })).json();
      this.problem = "";
      this.$nextTick(() => this.draw());
    } catch (refused) {
      this.problem = `${refused.message} What is shown may be old.`;
    }
  },

  pause() {
    this.isPaused = !this.isPaused;
    if (!this.isPaused) this.look();
  },

  get scope() {
    return this.state ? SCOPES[this.state.scope] : "";
  },

  get hasSeveral() {
    return this.tenants.length > 1;
  },

  get tenants() {
    return (this.state?.tenants ?? []).map((each) => ({
      id: each.id,
      name: each.name,
      today: count(each.calls.used),
      limit: count(each.calls.limit),
      calls: count(sum(each.days, "calls")),
      prompt: count(each.llm_tokens.prompt),
      completion: count(each.llm_tokens.completion),
    }));
  },

  get tiles() {
    if (!this.state) return [];
    const { health, queue, minutes, tenants } = this.state;
    const prompt = sum(minutes, "prompt_tokens");
    const cached = sum(minutes, "cached_tokens");
    const waits = minutes.map((each) => each.first_token_seconds).filter((each) => each !== null);
    waits.sort((one, other) => one - other);
    return [
      { name: "Engine", value: HEALTH[health.status], more: health.reason, kind: health.status },
      { name: "Making replies", value: `${queue.running} of ${queue.slots}`, more: "slots in use", kind: "" },
      { name: "Waiting in line", value: count(queue.waiting), more: queue.waiting ? "" : "nobody waits", kind: "" },
      { name: "First token", value: waits.length ? seconds(waits[waits.length >> 1]) : "–", more: "median of this hour", kind: "" },
      { name: "From the cache", value: prompt ? `${Math.round((100 * cached) / prompt)} %` : "–", more: "of this hour's prompt tokens", kind: "" },
      { name: "Calls today", value: count(tenants.reduce((total, each) => total + each.calls.used, 0)), more: "", kind: "" },
    ];
  },

  draw() {
    if (!this.state) return;
    const chosen = this.state.tenants.filter((each) => !this.tenant || each.id === this.tenant);
    const daily = days(chosen);
    const hourly = hour(this.state.minutes);
    this.drawn.calls([daily.at, daily.calls]);
    this.drawn.tokens([daily.at, daily.both, daily.prompt]);
    this.drawn.first([hourly.at, hourly.first]);
    this.drawn.cached([hourly.at, hourly.share]);
    this.rows = { calls: daily.callRows, tokens: daily.tokenRows, first: hourly.firstRows, cached: hourly.cachedRows };
    this.summaries = {
      calls: `Bars: ${plural(daily.allCalls, "call")} in 30 days, at most ${count(Math.max(...daily.calls))} a day.`,
      tokens: `Bars: ${plural(daily.allTokens, "LLM token")} in 30 days, prompts and replies.`,
      first: `Line: median time to the first token in each minute of the last hour, ${plural(hourly.firstRows.length, "minute")} with calls.`,
      cached: `Line: share of prompt tokens from the cache in each minute of the last hour.`,
    };
  },
}));

Alpine.start();
