// npm install ollama
import { Ollama } from "ollama";

const client = new Ollama({
  host: "http://127.0.0.1:8080",
  headers: { Authorization: `Bearer ${process.env.PARLEY_TOKEN}` },
});

const reply = await client.chat({
  model: "parley-demo",
  messages: [{ role: "user", content: "Hello! What can you do?" }],
});
console.log(reply.message.content);
