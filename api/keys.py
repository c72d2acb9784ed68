"""The typed keys under which the application and a request carry their parts; nothing else."""

import asyncio

from aiohttp import web

from api.allowance import Allowance, Call
from api.auth import Authenticator
from api.config import ApiConfig
from api.dialect import Dialect, Dialects
from api.documentation import Documentation
from api.draining import Draining
from api.metrics import Metrics
from api.pipeline import Pipeline
from api.pulse import Pulse
from api.rate import RateState
from api.transcripts import Signer
from api.web.attempts import Attempts
from api.web.discord_oauth import DiscordOAuth
from api.web.recent import RecentCalls
from api.web.sessions import Sessions
from api.webhooks.deliverer import Deliverer
from generation.engine import Engine
from generation.finishing import Finisher
from storage.chats import Chats
from storage.clock import Clock
from storage.health import DatabaseHealth
from storage.ledger import Ledger
from storage.login_links import LoginLinks
from storage.outbox import Outbox
from storage.signing_keys import SigningKeys
from storage.tokens import TokenStore

CONFIG = web.AppKey("config", ApiConfig)
DIALECTS = web.AppKey("dialects", Dialects)
CLOCK: web.AppKey[Clock] = web.AppKey("clock")
ENGINE: web.AppKey[Engine] = web.AppKey("engine")
AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
ALLOWANCE = web.AppKey("allowance", Allowance)
LEDGER = web.AppKey("ledger", Ledger)
PIPELINE = web.AppKey("pipeline", Pipeline)
METRICS = web.AppKey("metrics", Metrics)
PULSE = web.AppKey("pulse", Pulse)
LOGIN_LINKS = web.AppKey("login_links", LoginLinks)
ATTEMPTS = web.AppKey("attempts", Attempts)
SESSIONS = web.AppKey("sessions", Sessions)
DISCORD_OAUTH: web.AppKey[DiscordOAuth | None] = web.AppKey("discord_oauth")
"""The cookies' keys, and Discord's side of a log-in where that is on; both known once the service has started."""
TOKENS = web.AppKey("tokens", TokenStore)
RECENT = web.AppKey("recent", RecentCalls)
DRAINING = web.AppKey("draining", Draining)
CHATS = web.AppKey("chats", Chats)
OUTBOX = web.AppKey("outbox", Outbox)
SIGNING_KEYS = web.AppKey("signing_keys", SigningKeys)
HEALTH = web.AppKey("health", DatabaseHealth)
FINISHER = web.AppKey("finisher", Finisher)
TRANSCRIPTS = web.AppKey("transcripts", Signer)
FETCHES = web.AppKey("fetches", Signer)
"""The addresses of transcripts, and of replies that are made later; both known once the service has started."""
DELIVERER = web.AppKey("deliverer", Deliverer)
BACKGROUND: web.AppKey[set[asyncio.Task[None]]] = web.AppKey("background")
"""The replies that are made for webhooks."""
DOCUMENTATION = web.AppKey("documentation", Documentation)
STARTED_AT = web.AppKey("started_at", int)

REQUEST_ID = web.RequestKey("request_id", str)
DIALECT: web.RequestKey[Dialect] = web.RequestKey("dialect")
RATE = web.RequestKey("rate", RateState)
"""What the rate-limit headers of this reply say; a route that charges nothing sets it."""
CALL = web.RequestKey("call", Call)
"""The charged call; its rate goes before `RATE`."""
STREAM = web.RequestKey("stream", web.StreamResponse)
"""The reply that has begun, so that a later error is not answered twice."""
