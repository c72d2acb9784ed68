// Markdown to nodes of the page. What the model, people and Discord wrote is never trusted: raw HTML is shown as the text
// it is, DOMPurify lets a short list of elements through, and nothing is loaded from elsewhere (a picture is a link).

import "./vendor/dompurify/purify.min.js";
import { Marked } from "./vendor/marked/marked.esm.js";
import { copyButton } from "./clipboard.js";

const ELEMENTS = (
  "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr input li ol p pre strong table tbody td th thead tr ul"
).split(" ");

const purify = window.DOMPurify();
const RULES = {
  ALLOWED_TAGS: ELEMENTS,
  ALLOWED_ATTR: ["href", "title", "start", "align", "class", "type", "checked", "disabled"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

purify.addHook("uponSanitizeAttribute", (node, data) => {
  if (data.attrName === "class") data.keepAttr = node.nodeName === "CODE" && /^language-[\w+#.-]{1,40}$/.test(data.attrValue);
});
purify.addHook("afterSanitizeAttributes", (node) => {
  if (node.nodeName === "A") {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer nofollow");
  }
  if (node.nodeName === "INPUT") {
    node.setAttribute("type", "checkbox");
    node.setAttribute("disabled", "");
    node.setAttribute("aria-label", node.hasAttribute("checked") ? "done" : "to do");
  }
});

const escape = (text) =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || "picture")}</a>`,
  },
});

/** Renders a text; the fragment is safe to put into the page. */
export function render(text) {
  const fragment = purify.sanitize(marked.parse(text), RULES);
  for (const block of fragment.querySelectorAll("pre")) frame(block);
  return fragment;
}

/** Puts a bar with the language and a button over a block of code. */
function frame(block) {
  const code = block.querySelector("code");
  const language = (code?.className || "").replace("language-", "");
  const bar = document.createElement("div");
  const name = document.createElement("span");
  bar.className = "code-bar";
  name.textContent = language;
  bar.append(name, copyButton(() => block.textContent, "Copy the code"));
  block.tabIndex = 0;
  block.before(bar);
}
