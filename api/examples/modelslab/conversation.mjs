async function ask(prompt, chat_id) {
  const response = await fetch("http://127.0.0.1:8080/api/v6/llm/chat", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: process.env.PARLEY_TOKEN, prompt, chat_id }),
  });
  const reply = await response.json();
  if (reply.status === "error") throw new Error(reply.message);
  return reply;
}

const first = await ask("My lucky number is 58.");
const second = await ask("What is my lucky number?", first.chat_id);
console.log(second.message);
