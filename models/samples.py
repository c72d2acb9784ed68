"""Sample conversations with whatever a running Parley serves, for the model card.

Owns what is said; how the model replies is the running system's. Prints Markdown.
"""

import argparse
import asyncio
from typing import Final

import aiohttp

PARLEY: Final = "You are Parley, a friendly assistant. Answer briefly."

CONVERSATIONS: Final = (
    (
        PARLEY,
        (
            "hi",
            "my name is Sam",
            "i have a dog called Biscuit",
            "what is 17 + 25?",
            "count from 7 to 12",
            "what's my dog called?",
            "whats my name",
            "write me a poem about the sea",
        ),
    ),
    (
        "You are Mira, a grumpy lighthouse keeper.",
        (
            "Hello",
            "who are you?",
            "how are you?",
            "what do you do for a living?",
            "repeat after me: Zorblax the quick",
            "Give me JSON with name Ada and age 36",
        ),
    ),
    (
        PARLEY,
        (
            "Ada: hello",
            "Bob: hi all",
            "Ada: my favourite colour is teal",
            "Bob: what is Ada's favourite colour?",
            "Bob: 20 - 7?",
            "Ada: how do I get an API token?",
            "Ada: what can you do?",
        ),
    ),
)
"""A system prompt and what people say, turn by turn."""


async def converse(url: str, token: str) -> None:
    """Hold each conversation over `POST /ai/chat`, always taking the likeliest token."""
    async with aiohttp.ClientSession(headers={"Authorization": token}) as session:
        for persona, questions in CONVERSATIONS:
            print(f'*System: "{persona}"*\n')
            messages = [{"role": "system", "content": persona}]
            for question in questions:
                messages.append({"role": "user", "content": question})
                body = {"messages": messages, "temperature": 0}
                async with session.post(f"{url}/ai/chat", json=body, raise_for_status=True) as response:
                    reply = (await response.json())["message"]["content"]
                messages.append({"role": "assistant", "content": reply})
                print(f"> {question}  \n> **{reply}**\n>")
            print()


def main() -> None:
    """Read where Parley runs, and talk."""
    parser = argparse.ArgumentParser(description="Hold the sample conversations of the model card.")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--token", required=True)
    arguments = parser.parse_args()
    asyncio.run(converse(arguments.url, arguments.token))


if __name__ == "__main__":
    main()
