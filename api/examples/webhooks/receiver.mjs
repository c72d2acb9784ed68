import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const token = process.env.PARLEY_TOKEN;
const seen = new Set();

function isFromParley(headers, body) {
  const timestamp = headers["x-parley-timestamp"] ?? "";
  const key = createHash("sha256").update("parley-webhook:" + token).digest();
  const expected = Buffer.from("v1=" + createHmac("sha256", key).update(timestamp + ".").update(body).digest("hex"));
  const given = Buffer.from(headers["x-parley-signature"] ?? "");
  const isRecent = Math.abs(Date.now() / 1000 - Number(timestamp)) < 300;
  return isRecent && given.length === expected.length && timingSafeEqual(given, expected);
}

function answer(request, response, body) {
  if (!isFromParley(request.headers, body)) {
    response.writeHead(403).end();
    return;
  }
  const reply = JSON.parse(body);
  if (!seen.has(reply.id)) { // it may come twice
    seen.add(reply.id);
    console.log(reply.track_id, reply.message);
  }
  response.writeHead(204).end();
}

createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => answer(request, response, Buffer.concat(chunks)));
}).listen(process.env.PORT ?? 9000, "127.0.0.1");
