# pip install ollama
import os

from ollama import Client
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


client = Client(
    "http://127.0.0.1:8080",
    headers={"Authorization": f"Bearer {os.environ['PARLEY_TOKEN']}"},
)

reply = client.generate(
    model="parley-demo",
    prompt="Give me JSON with name Ada and age 36.",
    format=Person.model_json_schema(),
    options={"temperature": 0},
)
person = Person.model_validate_json(reply.response)
print(f"{person.name} is {person.age}.")
