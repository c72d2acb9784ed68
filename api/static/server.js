// Talks to the service as any client does: with an API token, over the public routes.

/** A refusal, or a connection that failed; `message` is for people, `status` 0 where nothing was answered. */
export class Refused extends Error {
  constructor(message, status, resetsAt = null) {
    super(message);
    this.status = status;
    this.resetsAt = resetsAt;
  }
}

const LOST = "The connection to the server was lost. Nothing you wrote is gone; try again.";

export async function call(path, { token = null, body = null, signal = null } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(LOST, 0);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const reset = Number(response.headers.get("X-RateLimit-Reset"));
  let message = `The server answered ${response.status}.`;
  try {
    message = (await response.json()).message || message;
  } catch {
    // A proxy's page, say.
  }
  return new Refused(message, response.status, reset ? new Date(reset * 1000) : null);
}

/** Yields the objects of newline-delimited JSON as they come. */
export async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await read(reader);
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part) yield JSON.parse(part);
  }
  if (rest.trim()) yield JSON.parse(rest);
}

async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(LOST, 0);
  }
}
