const response = await fetch("http://127.0.0.1:8080/ai/chat", {
  method: "POST",
  headers: {
    Authorization: `Bearer ${process.env.PARLEY_TOKEN}`,
    "Content-Type": "application/json",
  },
  body: JSON.stringify({
    model: "parley-demo",
    messages: [{ role: "user", content: "Give me JSON with name Ada and age 36." }],
    format: {
      type: "object",
      properties: { name: { type: "string" }, age: { type: "integer" } },
      required: ["name", "age"],
      additionalProperties: false,
    },
    options: { temperature: 0, num_predict: 64 },
  }),
});
const reply = await response.json();
if (reply.error) throw new Error(reply.message);

const person = JSON.parse(reply.message.content);
console.log(`${person.name} is ${person.age}.`);
console.log(`${reply.usage.calls_remaining} calls are left today.`);
