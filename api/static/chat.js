// The start page: its state and what its buttons do. Markup: templates/chat.html.

import Alpine from "./vendor/alpinejs-csp/module.esm.min.js";
import { writeCall } from "./calls.js";
import { copy } from "./clipboard.js";
import * as conversations from "./conversations.js";
import { download } from "./export.js";
import { render } from "./markdown.js";
import * as options from "./options.js";
import { call } from "./server.js";
import { replying } from "./replying.js";
import * as tokens from "./token.js";
import { clock, count, plural } from "./words.js";

const COST_DELAY_MILLISECONDS = 400;

// Markup from a text that grows: made anew once a frame at most.
Alpine.directive("markdown", (element, { expression }, { evaluateLater, effect, cleanup }) => {
  const evaluate = evaluateLater(`${expression}.content`);
  let frame = 0;
  effect(() =>
    evaluate((text) => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => element.replaceChildren(render(text)));
    }),
  );
  cleanup(() => cancelAnimationFrame(frame));
});

Alpine.data("chat", () => {
  const facts = JSON.parse(document.getElementById("main").dataset.facts);
  return {
    ...replying,
    facts,
    ...options.load(facts.fields, facts.models),
    token: tokens.load(),
    tokenDraft: "",
    tokenProblem: "",
    remembers: true,
    account: null,
    defaultPersona: "",
    list: [],
    conversation: conversations.current() ?? conversations.create(),
    draft: "",
    editing: null,
    editDraft: "",
    open: null,
    problem: "",
    status: "",
    spoken: "",
    cost: "",

    init() {
      this.list = conversations.all();
      if (this.token) this.look();
      for (const name of ["values", "model", "language"]) this.$watch(name, () => options.keep(this));
      for (const name of ["draft", "values", "model", "conversation"]) this.$watch(name, () => this.countSoon());
      // Another tab has added, changed or removed one.
      window.addEventListener("storage", (event) => {
        if (conversations.isOne(event.key)) this.list = conversations.all();
      });
    },

    // The token -----------------------------------------------------------------------------------------------------

    async signIn() {
      const token = tokens.clean(this.tokenDraft);
      this.tokenProblem = token ? "" : "That is no API token: it begins with parley_ and has 43 more characters.";
      if (!token) return;
      if (await this.look(token)) {
        tokens.save(token, { remembers: this.remembers });
        this.token = token;
        this.tokenDraft = "";
        this.focus("draft");
      }
    },

    /** Focuses what is there at the end of this turn. */
    focus(id) {
      this.$nextTick(() => document.getElementById(id)?.focus());
    },

    /** Asks who the token is and what is left; a token that opens nothing any more is asked for again. */
    async look(token = this.token) {
      try {
        const state = await (await call("/state.json", { token })).json();
        this.account = state.own;
        this.defaultPersona = state.persona;
        return true;
      } catch (refused) {
        if (refused.status === 401) this.token = "";
        this.tokenProblem = refused.message;
        return false;
      }
    },

    signOut() {
      tokens.forget();
      this.token = "";
      this.account = null;
      this.focus("token");
    },

    get accountName() {
      return this.account ? `Token “${this.account.name}”` : "";
    },

    get allowance() {
      if (!this.account) return "Asking…";
      const { calls, llm_tokens: spent, resets_at: resets } = this.account;
      const balance = spent.balance === null ? "" : ` ${plural(Math.max(0, spent.balance), "LLM token")} left.`;
      return `${count(calls.remaining)} of ${plural(calls.limit, "call")} left today; the next day starts ${clock(resets)}.${balance}`;
    },

    // Conversations -------------------------------------------------------------------------------------------------

    begin() {
      this.stop();
      this.conversation = conversations.create();
      this.settle();
    },

    show(id) {
      this.stop();
      this.conversation = conversations.choose(id) ?? conversations.create();
      this.settle();
    },

    settle() {
      this.open = null;
      this.editing = null;
      this.problem = "";
      this.status = "";
      this.$nextTick(() => this.scroll(true));
      this.focus(this.token ? "draft" : "token");
    },

    remove(id) {
      const { title } = this.list.find((each) => each.id === id);
      if (!window.confirm(`Delete “${title}”? It is kept nowhere else.`)) return;
      conversations.remove(id);
      this.list = conversations.all();
      if (this.conversation.id === id) this.begin();
    },

    keep() {
      if (!conversations.keep(this.conversation)) {
        this.problem = "This browser has no room for more conversations: export and delete some, or this one is lost.";
      }
      this.list = conversations.all();
    },

    download(kind) {
      download(this.conversation, kind);
    },

    async copy(text) {
      this.status = (await copy(text)) ? "Copied." : "This browser does not allow copying; select the text.";
    },

    // Options -------------------------------------------------------------------------------------------------------

    get changes() {
      return Object.values(this.values).filter((value) => `${value}`.trim() !== "").length;
    },

    resetOptions() {
      for (const name of Object.keys(this.values)) this.values[name] = "";
    },

    toggle(panel) {
      this.open = this.open === panel ? null : panel;
    },

    get call() {
      try {
        const message = { role: "user", content: this.draft.trim() || "Hello! What can you do?" };
        const body = this.body([...this.conversation.messages, message]);
        return writeCall(this.language, body, { address: location.origin, variable: facts.tokenVariable });
      } catch (error) {
        return error.message;
      }
    },

    // What a prompt costs -------------------------------------------------------------------------------------------

    countSoon() {
      clearTimeout(this.counting);
      this.counting = setTimeout(() => this.countTokens(), COST_DELAY_MILLISECONDS);
    },

    async countTokens() {
      if (!this.token || this.isWriting || !this.draft.trim()) {
        if (!this.isWriting) this.cost = "";
        return;
      }
      this.cost = await this.tellCost(this.draft.trim());
    },
  };
});

Alpine.start();
