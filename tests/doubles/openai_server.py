"""A stand-in for servers that take messages only: the least that OpenAI's route promises, or what Ollama adds to it.

It leaves out in silence what it does not know, as many do.
https://docs.ollama.com/api/openai-compatibility
"""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from generation.finishing import Finisher

REPLY = ("Hello", " there", ", how", " are", " you", "?")


class OpenAIServer:
    """One server; `knows` is what it does beyond the least: `logprobs`, `json_schema`, `tools`, `usage`, `thinks`."""

    def __init__(self, *models: str, knows: frozenset[str] = frozenset({"usage"}), context_tokens: int = 0) -> None:
        self.models = list(models)
        self.knows = knows
        self.context_tokens = context_tokens
        self.bodies: list[dict[str, Any]] = []
        self.app = web.Application()
        self.app.router.add_get("/v1/models", self._list)
        self.app.router.add_post("/v1/chat/completions", self._chat)

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        said = sum(len(message["content"]) for message in body["messages"])
        if self.context_tokens and said > self.context_tokens:
            error = {"message": "Too long.", "type": "invalid_request_error", "param": "messages"}
            return web.json_response({"error": {**error, "code": "context_length_exceeded"}}, status=400)
        if body["temperature"] > 2:
            error = {"message": "Invalid temperature.", "type": "invalid_request_error", "param": "temperature"}
            return web.json_response({"error": {**error, "code": None}}, status=400)
        texts = self._write(body)
        calls = self._call(body)
        if body.get("stream"):
            return await self._stream(request, body, [] if calls else texts, calls)
        if calls:
            message = {"role": "assistant", "content": None, "tool_calls": calls}
            return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(texts)}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice | self._logprobs(body, texts[0])]})

    def _write(self, body: Mapping[str, Any]) -> list[str]:
        if "json_schema" in self.knows and "response_format" in body:
            return [Finisher().finish(body["response_format"]["json_schema"]["schema"], "")]
        return list(REPLY[: body["max_tokens"]])

    def _call(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Call the first function that is offered, unless it was answered already."""
        if "tools" not in self.knows or not body.get("tools") or body["messages"][-1]["role"] == "tool":
            return []
        function = {"name": body["tools"][0]["function"]["name"], "arguments": '{"city": "Oslo"}'}
        return [{"index": 0, "id": "call_1", "type": "function", "function": function}]

    def _logprobs(self, body: Mapping[str, Any], text: str) -> dict[str, Any]:
        if "logprobs" not in self.knows or not body.get("logprobs"):
            return {}
        entry = {"token": text, "logprob": -0.25, "bytes": list(text.encode())}
        other = {"token": "No", "logprob": -2.0, "bytes": None}
        return {"logprobs": {"content": [{**entry, "top_logprobs": [entry, other][: body["top_logprobs"]]}]}}

    async def _stream(
        self, request: web.Request, body: Mapping[str, Any], texts: list[str], calls: list[dict[str, Any]]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": "Let me think."}] if "thinks" in self.knows else []
        for call in calls:
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            deltas.append({"tool_calls": [call | {"function": {"name": name, "arguments": ""}}]})
            for part in (arguments[:5], arguments[5:]):
                deltas.append({"tool_calls": [{"index": call["index"], "function": {"arguments": part}}]})
        for delta in deltas:
            await _send(response, {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        for text in texts:
            choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
            await _send(response, {"choices": [choice | self._logprobs(body, text)]})
        reason = "length" if len(texts) == body["max_tokens"] else "stop"
        await _send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if "usage" in self.knows:
            await _send(response, {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": len(texts)}})
        await response.write(b"data: [DONE]\n\n")
        return response


async def _send(response: web.StreamResponse, document: Mapping[str, Any]) -> None:
    await response.write(f"data: {json.dumps(document)}\n\n".encode())
