# pip install anthropic
import os

from anthropic import Anthropic

client = Anthropic(base_url="http://127.0.0.1:8080", api_key=os.environ["PARLEY_TOKEN"])

reply = client.messages.create(
    model="parley-demo",
    max_tokens=128,
    messages=[{"role": "user", "content": "Hello! What can you do?"}],
)
print(reply.content[0].text)
