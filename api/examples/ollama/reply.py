# pip install ollama
import os

from ollama import Client

client = Client(
    "http://127.0.0.1:8080",
    headers={"Authorization": f"Bearer {os.environ['PARLEY_TOKEN']}"},
)

reply = client.chat(
    model="parley-demo",
    messages=[{"role": "user", "content": "Hello! What can you do?"}],
)
print(reply.message.content)
