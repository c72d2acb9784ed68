// The page of tokens works without this: it copies the secret, and asks anew what the back button shows.

import { copy } from "./clipboard.js";

for (const button of document.querySelectorAll("[data-copies]")) {
  const field = document.getElementById(button.dataset.copies);
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    button.textContent = (await copy(field.value)) ? "Copied" : "Press Ctrl+C";
  });
}

// Kept whole by the browser, it might show what was there before a log-out.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
