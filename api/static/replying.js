// Sending a conversation and reading the reply as it is written. Mixed into the page's component (chat.js).

import { message } from "./conversations.js";
import * as options from "./options.js";
import { Refused, call, lines } from "./server.js";
import { clock, plural, seconds, size } from "./words.js";

const SAVE_MILLISECONDS = 1000;
const SPOKEN_CHARACTERS = 2000;

export const replying = {
  isWriting: false,

  onEnter(event) {
    if (event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.send();
  },

  /** The body of a request: only what differs from the defaults. Throws for an option that is none. */
  body(messages) {
    const said = messages.filter((each) => each.content !== "").map(({ role, content }) => ({ role, content }));
    const persona = this.conversation.persona.trim() || this.defaultPersona;
    const all = persona ? [{ role: "system", content: persona }, ...said] : said;
    const model = this.model === this.facts.models[0] ? {} : { model: this.model };
    return { ...model, messages: all, ...options.read(this.facts.fields, this.values) };
  },

  async send() {
    const text = this.draft.trim();
    if (!text || this.isWriting) return;
    const asked = message("user", text);
    if (!this.fits([...this.conversation.messages, asked])) return;
    this.conversation.messages.push(asked);
    this.draft = "";
    this.keep();
    const refused = await this.reply();
    if (refused && this.draft === "" && this.isLastMessage(asked)) {
      // Nothing came of it: the words go back to where they can be changed.
      this.conversation.messages.pop();
      this.draft = text;
      this.keep();
      this.focus("draft");
    }
  },

  isLastMessage(asked) {
    return this.conversation.messages.at(-1)?.id === asked.id;
  },

  isLast(index) {
    return index === this.conversation.messages.length - 1;
  },

  /** Says whether a request can be sent at all, and what is wrong with it. */
  fits(messages) {
    try {
      const bytes = new TextEncoder().encode(JSON.stringify(this.body(messages))).length;
      const most = this.facts.maxBodyBytes;
      this.problem = bytes + 32 > most ? `This is too large: ${size(bytes)}, and the server takes ${size(most)}. Nothing was sent.` : "";
    } catch (error) {
      this.problem = error.message;
    }
    return this.problem === "";
  },

  edit(asked) {
    this.editing = asked.id;
    this.editDraft = asked.content;
    this.focus(`edit-${asked.id}`);
  },

  async resend(index) {
    const text = this.editDraft.trim();
    const asked = this.conversation.messages[index];
    if (!text || !this.fits([...this.conversation.messages.slice(0, index), { ...asked, content: text }])) return;
    this.editing = null;
    asked.content = text;
    this.conversation.messages.splice(index + 1);
    await this.reply();
  },

  async regenerate() {
    const messages = this.conversation.messages;
    const replaced = messages.at(-1)?.role === "assistant" ? messages.pop() : null;
    const refused = await this.reply();
    if (refused && replaced) {
      messages.push(replaced);
      this.keep();
    }
  },

  async goOn() {
    const begun = this.conversation.messages.at(-1);
    begun.isCut = false;
    begun.note = "";
    await this.reply(begun);
  },

  stop() {
    this.stopping?.abort();
  },

  /** Asks for a reply to what was said, or for the rest of one. Returns true when nothing came of it. */
  async reply(begun = null) {
    const conversation = this.conversation;
    if (!this.fits(conversation.messages)) return true;
    const body = JSON.stringify({ ...this.body(conversation.messages), stream: true });
    this.stopping = new AbortController();
    this.isWriting = true;
    this.status = "Asking…";
    this.cost = "";
    this.spoken = "";
    const before = begun ? begun.content.length : 0;
    let reply = begun;
    try {
      const response = await call("/ai/chat", { token: this.token, body, signal: this.stopping.signal });
      if (!reply) {
        conversation.messages.push(message("assistant", ""));
        reply = conversation.messages.at(-1);
      }
      await this.read(response, reply);
    } catch (error) {
      this.fail(error, conversation, reply, before);
    } finally {
      this.isWriting = false;
    }
    if (reply && reply.content.length === before && !begun) this.drop(conversation, reply);
    this.keep();
    this.look();
    return !reply || (reply.content.length === before && this.problem !== "");
  },

  drop(conversation, reply) {
    conversation.messages = conversation.messages.filter((each) => each.id !== reply.id);
  },

  async read(response, reply) {
    let savedAt = Date.now();
    for await (const event of lines(response)) {
      if (event.error) throw new Refused(event.message, event.code);
      if (event.queue) this.status = place(event.queue);
      if (event.message?.content) {
        this.status = "Writing… Escape stops it.";
        reply.content += event.message.content;
        this.scroll(false);
      }
      if (event.done) this.finish(event, reply);
      if (Date.now() - savedAt > SAVE_MILLISECONDS) {
        savedAt = Date.now();
        this.keep();
      }
    }
  },

  finish(event, reply) {
    const { usage } = event;
    const speed = seconds(event.total_duration / 1e9);
    this.status = `${plural(usage.total_tokens, "LLM token")} (${usage.cached_tokens} from the cache) in ${speed}, seed ${event.seed}.`;
    reply.isCut = event.done_reason === "length";
    const notes = event.warnings.map((warning) => `${warning}.`);
    if (reply.isCut) notes.push("Cut at num_predict.");
    if (event.dropped_messages) notes.push(dropped(event.dropped_messages, "were left out of what the model read"));
    if (reply.content === "") notes.push("The model ended its reply before it wrote anything.");
    reply.note = notes.join(" ");
    this.spoken = `Parley: ${reply.content.slice(0, SPOKEN_CHARACTERS)}`;
  },

  fail(error, conversation, reply, before) {
    if (error.name === "AbortError") {
      this.status = "Stopped.";
      if (reply) reply.note = "Stopped.";
      return;
    }
    if (!(error instanceof Refused)) throw error;
    const advice = error.status === 429 && error.resetsAt ? ` (${clock(error.resetsAt)} here)` : "";
    this.status = "";
    if (reply && reply.content.length > before) {
      reply.problem = `The reply broke off: ${error.message}`;
      reply.isCut = true;
    } else {
      this.problem = error.message + advice;
    }
    if (error.status === 401) this.tokenProblem = error.message;
  },

  async tellCost(text) {
    const messages = [...this.conversation.messages, message("user", text)];
    try {
      const { messages: said, num_ctx, num_predict } = this.body(messages);
      const body = JSON.stringify({ messages: said, num_ctx, num_predict });
      if (body.length > this.facts.maxBodyBytes) return "";
      const counted = await (await call("/ai/tokenize", { token: this.token, body })).json();
      const left = counted.dropped_messages ? ` ${dropped(counted.dropped_messages, "will not fit")}` : "";
      return `${plural(counted.tokens, "LLM token")} before the reply.${left}`;
    } catch (error) {
      return error.message;
    }
  },

  /** Follows what is written, unless the reader has scrolled up. */
  scroll(isForced) {
    const box = document.getElementById("messages");
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 120;
    if (isForced || isAtEnd) requestAnimationFrame(() => (box.scrollTop = box.scrollHeight));
  },
};

function place({ position, wait_seconds: wait }) {
  const when = wait === null ? "" : `, about ${plural(wait, "second")}`;
  return position === 1 ? `Next in line${when}.` : `Number ${position} in line${when}.`;
}

function dropped(number, what) {
  return `The ${number === 1 ? "oldest message" : `${number} oldest messages`} ${what}.`.replace(
    "oldest message were",
    "oldest message was",
  );
}
