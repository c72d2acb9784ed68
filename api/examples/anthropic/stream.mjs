// npm install @anthropic-ai/sdk
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({
  baseURL: "http://127.0.0.1:8080",
  apiKey: process.env.PARLEY_TOKEN,
});

const stream = client.messages.stream({
  model: "parley-demo",
  max_tokens: 128,
  messages: [{ role: "user", content: "Count from 1 to 10." }],
});
stream.on("text", (text) => process.stdout.write(text));
await stream.finalMessage();
console.log();
