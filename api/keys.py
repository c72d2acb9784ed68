"""The typed keys under which the application and a request carry their parts; nothing else."""

from typing import Any

from aiohttp import web

from api.allowance import Allowance, Call, RateState
from api.auth import Authenticator
from api.config import ApiConfig
from api.draining import Draining
from api.metrics import Metrics
from api.pipeline import Pipeline
from generation.engine import Engine
from storage.clock import Clock
from storage.ledger import Ledger

CONFIG = web.AppKey("config", ApiConfig)
CLOCK: web.AppKey[Clock] = web.AppKey("clock")
ENGINE: web.AppKey[Engine] = web.AppKey("engine")
AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
ALLOWANCE = web.AppKey("allowance", Allowance)
LEDGER = web.AppKey("ledger", Ledger)
PIPELINE = web.AppKey("pipeline", Pipeline)
METRICS = web.AppKey("metrics", Metrics)
DRAINING = web.AppKey("draining", Draining)
PAGE = web.AppKey("page", str)
DOCUMENT: web.AppKey[dict[str, Any]] = web.AppKey("document")
STARTED_AT = web.AppKey("started_at", int)

REQUEST_ID = web.RequestKey("request_id", str)
RATE = web.RequestKey("rate", RateState)
"""What the rate-limit headers of this reply say; a route that charges nothing sets it."""
CALL = web.RequestKey("call", Call)
"""The charged call; its rate goes before `RATE`."""
STREAM = web.RequestKey("stream", web.StreamResponse)
"""The reply that has begun, so that a later error is not answered twice."""
