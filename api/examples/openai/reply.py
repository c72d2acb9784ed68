# pip install openai
import os

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key=os.environ["PARLEY_TOKEN"])

reply = client.chat.completions.create(
    model="parley-demo",
    messages=[{"role": "user", "content": "Hello! What can you do?"}],
)
print(reply.choices[0].message.content)
