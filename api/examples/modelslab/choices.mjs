const response = await fetch("http://127.0.0.1:8080/api/v6/llm/chat", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    key: process.env.PARLEY_TOKEN,
    model_id: "parley-demo",
    prompt: "Which day comes after Monday?",
    generator_type: "choices",
    generator_choices: ["Sunday", "Tuesday", "Friday"],
    do_sample: false,
  }),
});
const reply = await response.json();
if (reply.status === "error") throw new Error(reply.message);
console.log(reply.message);
