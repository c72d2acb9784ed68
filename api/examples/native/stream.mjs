import { createInterface } from "node:readline";
import { Readable } from "node:stream";

async function* pieces(content) {
  const response = await fetch("http://127.0.0.1:8080/ai/chat", {
    method: "POST",
    headers: {
      Authorization: `Bearer ${process.env.PARLEY_TOKEN}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({ messages: [{ role: "user", content }], stream: true }),
  });
  for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
    const piece = JSON.parse(line);
    if (piece.error) throw new Error(piece.message);
    yield piece.message.content;
  }
}

for await (const text of pieces("Count from 1 to 10.")) process.stdout.write(text);
console.log();
