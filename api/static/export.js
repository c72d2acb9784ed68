// A conversation as a file.

export function download(conversation, kind) {
  const [text, type, ending] =
    kind === "json"
      ? [JSON.stringify(plain(conversation), null, 2), "application/json", "json"]
      : [markdown(conversation), "text/markdown", "md"];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = `parley-${new Date(conversation.touchedAt).toISOString().slice(0, 10)}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function plain({ title, persona, messages }) {
  const said = messages.map(({ role, content }) => ({ role, content }));
  return { title, messages: persona ? [{ role: "system", content: persona }, ...said] : said };
}

function markdown({ title, persona, messages }) {
  const parts = [`# ${title}`];
  if (persona) parts.push(`*Persona:* ${persona}`);
  for (const { role, content } of messages) parts.push(`## ${role === "user" ? "You" : "Parley"}`, content);
  return `${parts.join("\n\n")}\n`;
}
