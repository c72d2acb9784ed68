# pip install aiohttp
import asyncio
import os

import aiohttp

HEADERS = {"Authorization": f"Bearer {os.environ['PARLEY_TOKEN']}"}


async def ask(content):
    body = {"messages": [{"role": "user", "content": content}]}
    async with (
        aiohttp.ClientSession("http://127.0.0.1:8080", headers=HEADERS) as session,
        session.post("/ai/chat", json=body) as response,
    ):
        reply = await response.json()
    if "error" in reply:
        raise RuntimeError(reply["message"])
    return reply["message"]["content"]


print(asyncio.run(ask("Hello! What can you do?")))
