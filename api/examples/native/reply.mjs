async function ask(content) {
  const response = await fetch("http://127.0.0.1:8080/ai/chat", {
    method: "POST",
    headers: {
      Authorization: `Bearer ${process.env.PARLEY_TOKEN}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({ messages: [{ role: "user", content }] }),
  });
  const reply = await response.json();
  if (reply.error) throw new Error(reply.message);
  return reply.message.content;
}

console.log(await ask("Hello! What can you do?"));
