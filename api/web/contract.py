"""The wire of the pages: what `GET /state.json` answers. Its parts are those of `api/contract.py`.

Holds no behaviour. Does not own: the pages, which need not be made from it.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from api.contract import Health, UsageReply


class QueueState(BaseModel):
    """The service's slots: how many there are, hold a reply, and how many requests wait for one."""

    slots: int
    running: int
    waiting: int


class MinuteRecord(BaseModel):
    """The calls that ended within one minute; `first_token_seconds` is their median, null where none had a token."""

    at: datetime
    calls: int
    first_token_seconds: float | None
    prompt_tokens: int
    cached_tokens: int


class StateReply(BaseModel):
    """Reply of `GET /state.json`.

    `scope` says whose calls `tenants` and `minutes` (the last hour with calls, oldest first) are about: those of one
    API token, those of the Discord servers that the visitor manages, or everyone's. `own` is the API token that asked.
    """

    scope: Literal["token", "servers", "everyone"]
    own: UsageReply | None
    persona: str
    health: Health
    queue: QueueState
    minutes: list[MinuteRecord]
    tenants: list[UsageReply]
