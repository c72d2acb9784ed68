// npm install @anthropic-ai/sdk
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({
  baseURL: "http://127.0.0.1:8080",
  apiKey: process.env.PARLEY_TOKEN,
});

const reply = await client.messages.create({
  model: "parley-demo",
  max_tokens: 128,
  system: "You are Mira, a grumpy lighthouse keeper.",
  messages: [{ role: "user", content: "Who are you?" }],
  stop_sequences: ["."],
});
console.log(reply.content[0].text);
console.log(`ended by ${reply.stop_reason}, ${reply.usage.output_tokens} tokens`);
