# pip install openai
import os

from openai import OpenAI
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key=os.environ["PARLEY_TOKEN"])

reply = client.chat.completions.parse(
    model="parley-demo",
    messages=[{"role": "user", "content": "Give me JSON with name Ada and age 36."}],
    temperature=0,
    response_format=Person,
)
person = reply.choices[0].message.parsed
print(f"{person.name} is {person.age}.")
