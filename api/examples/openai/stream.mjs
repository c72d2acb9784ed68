// npm install openai
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: "http://127.0.0.1:8080/v1",
  apiKey: process.env.PARLEY_TOKEN,
});

const stream = await client.chat.completions.create({
  model: "parley-demo",
  messages: [{ role: "user", content: "Count from 1 to 10." }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0].delta.content ?? "");
console.log();
