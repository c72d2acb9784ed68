# pip install anthropic
import os

from anthropic import Anthropic

client = Anthropic(base_url="http://127.0.0.1:8080", api_key=os.environ["PARLEY_TOKEN"])

reply = client.messages.create(
    model="parley-demo",
    max_tokens=128,
    system="You are Mira, a grumpy lighthouse keeper.",
    messages=[{"role": "user", "content": "Who are you?"}],
    stop_sequences=["."],
)
print(reply.content[0].text)
print(f"ended by {reply.stop_reason}, {reply.usage.output_tokens} tokens")
