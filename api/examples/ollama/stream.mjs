// npm install ollama
import { Ollama } from "ollama";

const client = new Ollama({
  host: "http://127.0.0.1:8080",
  headers: { Authorization: `Bearer ${process.env.PARLEY_TOKEN}` },
});

const stream = await client.chat({
  model: "parley-demo",
  messages: [{ role: "user", content: "Count from 1 to 10." }],
  stream: true,
});
for await (const piece of stream) process.stdout.write(piece.message.content);
console.log();
