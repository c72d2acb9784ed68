// npm install ollama
import { Ollama } from "ollama";

const client = new Ollama({
  host: "http://127.0.0.1:8080",
  headers: { Authorization: `Bearer ${process.env.PARLEY_TOKEN}` },
});

const reply = await client.generate({
  model: "parley-demo",
  prompt: "Give me JSON with name Ada and age 36.",
  format: {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer" } },
    required: ["name", "age"],
    additionalProperties: false,
  },
  options: { temperature: 0 },
});
const person = JSON.parse(reply.response);
console.log(`${person.name} is ${person.age}.`);
