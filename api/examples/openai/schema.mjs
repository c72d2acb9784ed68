// npm install openai
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: "http://127.0.0.1:8080/v1",
  apiKey: process.env.PARLEY_TOKEN,
});

const reply = await client.chat.completions.parse({
  model: "parley-demo",
  messages: [{ role: "user", content: "Give me JSON with name Ada and age 36." }],
  temperature: 0,
  response_format: {
    type: "json_schema",
    json_schema: {
      name: "person",
      strict: true,
      schema: {
        type: "object",
        properties: { name: { type: "string" }, age: { type: "integer" } },
        required: ["name", "age"],
        additionalProperties: false,
      },
    },
  },
});
const person = JSON.parse(reply.choices[0].message.content);
console.log(`${person.name} is ${person.age}.`);
