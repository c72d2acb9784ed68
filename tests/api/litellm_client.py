"""A program that asks a Parley service through the unmodified `litellm` package and prints what came, as one JSON line.

litellm pins an older `openai` than the tests of that package itself use, so it lives in an environment of its own
(`make test-litellm`); `test_litellm.py` runs this file there. Arguments: the address, and the model's name; the API
token comes on standard input, and on the next line one whose calls are used.
"""

import json
import sys
from typing import Any

import litellm

HELLO = [{"role": "user", "content": "Hello!"}]


def main() -> None:
    address, model = sys.argv[1:]
    secret, spent = (sys.stdin.readline().strip() for _ in range(2))
    shared: dict[str, Any] = {
        "model": f"openai/{model}",
        "api_base": f"{address}/v1",
        "api_key": secret,
        "messages": HELLO,
        "temperature": 0,
        "num_retries": 0,
        "max_retries": 0,
    }
    plain = litellm.completion(**shared)
    stream = litellm.completion(**shared, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    several = litellm.completion(**shared, n=2, max_tokens=4)
    print(  # noqa: T201 - read by the test
        json.dumps(
            {
                "text": plain.choices[0].message.content,
                "usage": plain.usage.total_tokens,
                "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
                "choices": len(several.choices),
                "errors": [
                    name_error({**shared, "model": "openai/gpt-9"}),
                    name_error({**shared, "messages": [{"role": "user", "content": "hello " * 5000}]}),
                    name_error({**shared, "max_tokens": -1}),
                    name_error({**shared, "api_key": "parley_wrong"}),
                    name_error({**shared, "api_key": spent}),
                ],
            }
        )
    )


def name_error(fields: dict[str, Any]) -> str:
    try:
        litellm.completion(**fields)
    except Exception as error:  # noqa: BLE001 - its class is what is tested
        return type(error).__name__
    return ""


if __name__ == "__main__":
    main()
