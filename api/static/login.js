// The operator's link: its code stands behind # and is taken here. A browser that has no API token gets one, too.

import { call } from "./server.js";
import * as tokens from "./token.js";

const code = location.hash.slice(1);

async function redeem() {
  const problem = document.getElementById("problem");
  const working = document.getElementById("working");
  // Neither the history nor a bookmark keeps the code.
  history.replaceState(null, "", location.pathname);
  problem.hidden = true;
  working.hidden = false;
  try {
    const body = JSON.stringify({ code, needs_token: tokens.load() === "" });
    const { token } = await (await call("/login.json", { body })).json();
    if (token) tokens.save(token, { remembers: true });
    location.replace("/");
  } catch (refused) {
    working.hidden = true;
    problem.hidden = false;
    problem.textContent = refused.message;
  }
}

if (code) redeem();
// A link pasted into a tab that shows this page already.
window.addEventListener("hashchange", () => location.reload());
