# pip install requests
import os

import requests

reply = requests.post(
    "http://127.0.0.1:8080/api/v6/llm/chat",
    json={"key": os.environ["PARLEY_TOKEN"], "prompt": "Hello! What can you do?"},
    timeout=600,
).json()
if reply["status"] == "error":
    raise RuntimeError(reply["message"])
print(reply["message"])
