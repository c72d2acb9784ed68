// The same request as a program, in three languages. Each works as it stands, with the token in the environment.

export function writeCall(language, body, { address, variable }) {
  return WRITERS[language](body, `${address}/ai/chat`, variable);
}

const WRITERS = {
  curl: (body, url, variable) =>
    [
      `curl ${url} \\`,
      `  -H "Authorization: Bearer $${variable}" \\`,
      '  -H "Content-Type: application/json" \\',
      // Only texts hold an apostrophe, and there the escape says the same.
      `  -d '${JSON.stringify(body, null, 2).replaceAll("'", "\\u0027")}'`,
    ].join("\n"),
  python: (body, url, variable) =>
    [
      "import json",
      "import os",
      "from urllib.request import Request, urlopen",
      "",
      `body = ${literal(body)}`,
      "headers = {",
      `    "Authorization": f"Bearer {os.environ['${variable}']}",`,
      '    "Content-Type": "application/json",',
      "}",
      `request = Request(${JSON.stringify(url)}, json.dumps(body).encode(), headers)`,
      "with urlopen(request) as response:",
      '    print(json.load(response)["message"]["content"])',
    ].join("\n"),
  javascript: (body, url, variable) =>
    [
      `const response = await fetch(${JSON.stringify(url)}, {`,
      '  method: "POST",',
      "  headers: {",
      `    Authorization: \`Bearer \${process.env.${variable}}\`,`,
      '    "Content-Type": "application/json",',
      "  },",
      `  body: JSON.stringify(${JSON.stringify(body, null, 2).replaceAll("\n", "\n  ")}),`,
      "});",
      "const reply = await response.json();",
      "if (reply.error) throw new Error(reply.message);",
      "console.log(reply.message.content);",
    ].join("\n"),
};

const WORDS = { true: "True", false: "False", null: "None" };

/** JSON as Python writes it. */
function literal(value, indent = "") {
  const deeper = `${indent}    `;
  if (Array.isArray(value)) return block("[", value.map((each) => literal(each, deeper)), "]", indent);
  if (value && typeof value === "object") {
    const pairs = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each, deeper)}`);
    return block("{", pairs, "}", indent);
  }
  return WORDS[String(value)] && typeof value !== "string" ? WORDS[String(value)] : JSON.stringify(value);
}

function block(open, parts, close, indent) {
  if (parts.length === 0) return open + close;
  return `${open}\n${parts.map((part) => `${indent}    ${part},\n`).join("")}${indent}${close}`;
}
