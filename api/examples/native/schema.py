# pip install aiohttp
import asyncio
import json
import os

import aiohttp

HEADERS = {"Authorization": f"Bearer {os.environ['PARLEY_TOKEN']}"}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


async def main():
    body = {
        "model": "parley-demo",
        "messages": [{"role": "user", "content": "Give me JSON with name Ada and age 36."}],
        "format": PERSON,
        "options": {"temperature": 0, "num_predict": 64},
    }
    async with (
        aiohttp.ClientSession("http://127.0.0.1:8080", headers=HEADERS) as session,
        session.post("/ai/chat", json=body) as response,
    ):
        reply = await response.json()
    if "error" in reply:
        raise RuntimeError(reply["message"])
    person = json.loads(reply["message"]["content"])
    print(f"{person['name']} is {person['age']}.")
    print(f"{reply['usage']['calls_remaining']} calls are left today.")


asyncio.run(main())
