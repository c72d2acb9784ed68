# pip install requests
import os

import requests


def ask(prompt, chat_id=None):
    reply = requests.post(
        "http://127.0.0.1:8080/api/v6/llm/chat",
        json={"key": os.environ["PARLEY_TOKEN"], "prompt": prompt, "chat_id": chat_id},
        timeout=600,
    ).json()
    if reply["status"] == "error":
        raise RuntimeError(reply["message"])
    return reply


first = ask("My lucky number is 58.")
second = ask("What is my lucky number?", first["chat_id"])
print(second["message"])
