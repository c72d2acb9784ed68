# pip install aiohttp
import asyncio
import json
import os

import aiohttp

HEADERS = {"Authorization": f"Bearer {os.environ['PARLEY_TOKEN']}"}


async def pieces(content):
    body = {"messages": [{"role": "user", "content": content}], "stream": True}
    async with (
        aiohttp.ClientSession("http://127.0.0.1:8080", headers=HEADERS) as session,
        session.post("/ai/chat", json=body) as response,
    ):
        async for line in response.content:
            piece = json.loads(line)
            if "error" in piece:
                raise RuntimeError(piece["message"])
            yield piece["message"]["content"]


async def main():
    async for text in pieces("Count from 1 to 10."):
        print(text, end="", flush=True)
    print()


asyncio.run(main())
