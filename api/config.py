"""The values the service needs, as plain data; where they come from is the composition root's business."""

from dataclasses import dataclass, field

from api.model_names import ModelNames
from generation.abilities import Abilities

BODY_SECONDS = 60.0
"""How long a request's body may take. A megabyte over a bad mobile line comes in half of it."""

REPLY_DEADLINE_SECONDS = 600.0
"""A reply that takes longer is a 504. A 128-token reply of an 8-billion-parameter model on two cores, behind a full
queue, stays well below it."""

ENGINE_WAIT_SECONDS = 8.0
"""How long a request waits for a restarting engine before it is told to come back. A restart of a small model takes
one to three seconds, so most callers never notice one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordApplication:
    """What a log-in with Discord needs: the application's two secrets, and Discord's REST base where it is another."""

    bot_token: str = field(repr=False)
    client_secret: str = field(repr=False)
    api_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Limits and names of one service. `public_url` is the address people see, without a slash at its end.

    `tenant_slots` bounds the slots of one tenant while others are about; None is all but one.
    `adapter_names` are the LoRA adapters that `model` may name beside the model itself.
    `system_prompt` is the persona of conversations that the service keeps, `uncensored_system_prompt` the operator's
    other one. `webhooks_waiting` and `webhooks_per_minute` bound each API token; `allows_private_webhooks` lets
    webhooks go to private machines and over http. `tokens_per_server` and `mature` are for API tokens made on the page;
    `discord_login` lets people log in there with Discord.
    """

    service_token: str = field(repr=False)
    model_name: str
    abilities: Abilities
    public_url: str
    daily_calls: int
    context_tokens: int
    slots: int
    max_waiting: int
    tenant_slots: int | None = None
    max_body_bytes: int
    body_seconds: float = BODY_SECONDS
    reply_deadline_seconds: float = REPLY_DEADLINE_SECONDS
    engine_wait_seconds: float = ENGINE_WAIT_SECONDS
    adapter_names: tuple[str, ...] = ()
    system_prompt: str = ""
    uncensored_system_prompt: str | None = None
    allows_private_webhooks: bool = False
    webhooks_waiting: int = 100
    webhooks_per_minute: int = 30
    webhook_retry_seconds: float = 15.0
    tokens_per_server: int = 25
    mature: bool = False
    discord_login: DiscordApplication | None = None

    @property
    def models(self) -> ModelNames:
        """What a request's `model` may say, and what it means."""
        return ModelNames(self.model_name, self.adapter_names)
