# pip install anthropic
import os

from anthropic import Anthropic

client = Anthropic(base_url="http://127.0.0.1:8080", api_key=os.environ["PARLEY_TOKEN"])

with client.messages.stream(
    model="parley-demo",
    max_tokens=128,
    messages=[{"role": "user", "content": "Count from 1 to 10."}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
