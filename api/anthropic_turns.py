"""Translates Anthropic's messages and tools to the common form.

Does not own: the wire (`anthropic_contract.py`), or what becomes of the messages (`pipeline.py`).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby

from api.anthropic_contract import (
    AnthropicMessage,
    AnthropicNamedTool,
    AnthropicPrompt,
    AnthropicText,
    AnthropicTool,
    AnthropicToolResult,
    AnthropicToolUse,
    Block,
)
from api.job import Tools
from generation.engine import Message, Role

BETWEEN = "\n\n"
"""Stands between blocks of one content, and between neighbouring messages of one role."""


def to_messages(asked: AnthropicPrompt) -> list[Message]:
    """Translate the system prompt and the messages; neighbours of one role are one turn, as there."""
    system = [Message("system", _join(asked.system))] if asked.system else []
    return [*system, *chain.from_iterable(_turns(asked.messages))]


def _turns(messages: Sequence[AnthropicMessage]) -> Iterator[Iterator[Message]]:
    for role, same in groupby(messages, key=lambda message: message.role):
        blocks = list(chain.from_iterable(message.content for message in same))
        yield iter([_assistants(blocks)]) if role == "assistant" else _others(role, blocks)


def _assistants(blocks: Sequence[Block]) -> Message:
    calls = [
        {
            "id": block.id,
            "type": "function",
            "function": {"name": block.name, "arguments": json.dumps(block.input, ensure_ascii=False)},
        }
        for block in blocks
        if isinstance(block, AnthropicToolUse)
    ]
    return Message("assistant", _join(blocks), tool_calls=calls)


def _others(role: Role, blocks: Sequence[Block]) -> Iterator[Message]:
    """Yield results and texts in their order, each result as a message of its own."""
    for is_result, same in groupby(blocks, key=lambda block: isinstance(block, AnthropicToolResult)):
        if not is_result:
            yield Message(role, _join(same))
            continue
        for block in same:
            assert isinstance(block, AnthropicToolResult)
            content = ("Error: " if block.is_error else "") + _join(block.content)
            yield Message("tool", content, tool_call_id=block.tool_use_id)
    if not blocks:
        yield Message(role, "")


def _join(blocks: Iterable[Block]) -> str:
    return BETWEEN.join(block.text for block in blocks if isinstance(block, AnthropicText))


def to_tools(asked: AnthropicPrompt) -> Tools | None:
    """Translate the tools and the choice among them."""
    choice = asked.tool_choice
    if not asked.tools or choice.type == "none":
        return None
    must_call: frozenset[str] = frozenset()
    if isinstance(choice, AnthropicNamedTool):
        must_call = frozenset({choice.name})
    elif choice.type == "any":
        must_call = frozenset(tool.name for tool in asked.tools)
    return Tools(
        offered=[_function(tool) for tool in asked.tools],
        must_call=must_call,
        is_one_call_at_most=choice.disable_parallel_tool_use,
    )


def _function(tool: AnthropicTool) -> dict[str, object]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    return {"type": "function", "function": {key: value for key, value in function.items() if value is not None}}
