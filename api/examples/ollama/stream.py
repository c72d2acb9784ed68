# pip install ollama
import os

from ollama import Client

client = Client(
    "http://127.0.0.1:8080",
    headers={"Authorization": f"Bearer {os.environ['PARLEY_TOKEN']}"},
)

stream = client.chat(
    model="parley-demo",
    messages=[{"role": "user", "content": "Count from 1 to 10."}],
    stream=True,
)
for piece in stream:
    print(piece.message.content, end="", flush=True)
print()
