"""Every setting of Parley: its name, default, bounds and meaning, read from the environment or `.env`.

Owns: the names in `contract.md` section 3 and the one line a wrong one gets. Does not own: what the values are used
for; the other rooms get plain values from the wiring.
"""

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from pydantic import AliasChoices, ByteSize, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.contract import MIN_CONTEXT_TOKENS
from generation.remote.address import read_addresses
from parley.logs import LogFormat
from parley.lora import read_adapters
from parley.shards import MAX_SHARDS, read_shard_ids, require_fitting
from storage.errors import StorageError
from storage.postgresql_url import is_postgresql, parse_url

ENV_FILE = ".env"
PREFIX = "PARLEY_"
MODEL_DEMO = "demo"

DEFAULT_SYSTEM_PROMPT = "You are Parley, a friendly assistant. Answer briefly."
"""The bundled demo model was trained with exactly this persona."""


class SettingsError(Exception):
    """A setting is wrong; `str(error)` is one line that names it and says what to do."""


def _named(name: str, default: Any, description: str, **bounds: Any) -> Any:
    """Declare a field by its exact environment name, which is its only name."""
    return Field(default, validation_alias=AliasChoices(name), description=description, **bounds)


class Settings(BaseSettings):
    """All settings. Built once by the command line; nothing reads the environment after that."""

    model_config = SettingsConfigDict(
        extra="ignore",
        env_ignore_empty=True,
        case_sensitive=True,
        str_strip_whitespace=True,
        env_file_encoding="utf-8",
    )

    discord_token: SecretStr | None = _named("DISCORD_TOKEN", None, "bot token; without it Parley serves HTTP only")
    discord_api_url: str | None = _named(
        "DISCORD_API_URL", None, "REST base, for a REST proxy or a compatible server; default: Discord's"
    )
    discord_gateway_url: str | None = _named(
        "DISCORD_GATEWAY_URL", None, "gateway, for a gateway proxy or a compatible server; default: asked from REST"
    )
    shard_count: int | None = _named(
        "SHARD_COUNT",
        None,
        "shards of all bot processes together; default: what Discord recommends, all of them in one process",
        ge=1,
        le=MAX_SHARDS,
    )
    shard_ids: str | None = _named(
        "SHARD_IDS", None, "the shards of this process, such as 0-3,7; needs SHARD_COUNT; default: all"
    )
    discord_client_secret: SecretStr | None = _named(
        "DISCORD_CLIENT_SECRET",
        None,
        "the application's OAuth2 secret; lets people log in to the page /tokens with Discord",
    )
    database_url: str = _named(
        "DATABASE_URL",
        "sqlite:///data/parley.db",
        "where everything is kept: sqlite:///PATH, or postgres://USER:PASSWORD@HOST:PORT/NAME",
        # It may hold a password.
        repr=False,
    )
    host: str = _named("HOST", "127.0.0.1", "address the service listens on; 0.0.0.0 for every network")
    port: int = _named("PORT", 8080, "port the service listens on", ge=0, le=65535)
    api_url: str | None = _named(
        "PARLEY_API_URL", None, "where the bot sends requests; default: the service of this process"
    )
    service_token: SecretStr | None = _named(
        "PARLEY_SERVICE_TOKEN",
        None,
        "secret by which the bot acts for Discord servers; needed when bot and service run apart, else made at start",
    )
    model: str = _named(
        "PARLEY_MODEL",
        MODEL_DEMO,
        "demo, a path to a GGUF file, or hf:owner/repo/file.gguf; for remote: a name of its list, if it has several",
    )
    engine: str = _named("PARLEY_ENGINE", "llama.cpp", "llama.cpp, ctransformers, or remote: a server elsewhere")
    engine_url: str | None = _named(
        "PARLEY_ENGINE_URL",
        None,
        "for remote: base URL of llama-server, vLLM or another OpenAI-compatible server; several alike: URL,URL",
    )
    engine_api_key: SecretStr | None = _named("PARLEY_ENGINE_API_KEY", None, "for remote: the key its servers take")
    llama_server: Path | None = _named(
        "PARLEY_LLAMA_SERVER", None, "path of a llama-server binary to run instead of the packaged one"
    )
    lora: str | None = _named(
        "PARLEY_LORA", None, "name=path[,name=path]: LoRA adapters, each a model name; pirate alone: the bundled one"
    )
    context: int = _named(
        "PARLEY_CONTEXT", 4096, "largest num_ctx a request may use, tokens; memory grows with it", ge=MIN_CONTEXT_TOKENS
    )
    parallel: int = _named(
        "PARLEY_PARALLEL",
        4,
        "slots: replies made at the same time; for remote: on all its servers together",
        ge=1,
        le=256,
    )
    cache_disk: Annotated[ByteSize, Field(ge=0)] = _named(
        "PARLEY_CACHE_DISK",
        ByteSize(2**30),
        "disk for what the model has computed of conversations, so that they go on at once after a restart; 0: none",
    )
    threads: int | None = _named("PARLEY_THREADS", None, "engine threads; default: the cores", ge=1, le=1024)
    daily_calls: int = _named(
        "PARLEY_DAILY_CALLS", 1000, "calls per day of a new API token and of a Discord server", ge=0, le=2**31 - 1
    )
    reset_zone: str = _named("PARLEY_RESET_ZONE", "Europe/London", "IANA zone whose midnight starts the day")
    max_queue: int = _named(
        "PARLEY_MAX_QUEUE", 64, "waiting requests before 503; one tenant may take up three quarters of it", ge=0
    )
    tenant_slots: int | None = _named(
        "PARLEY_TENANT_SLOTS",
        None,
        "slots that one API token or Discord server may hold while others ask, too; default: all but one",
        ge=1,
        le=256,
    )
    max_body: Annotated[ByteSize, Field(ge=1024)] = _named("PARLEY_MAX_BODY", ByteSize(2**20), "largest request body")
    system_prompt: str = _named("PARLEY_SYSTEM_PROMPT", DEFAULT_SYSTEM_PROMPT, "default persona", max_length=8_000)
    uncensored_system_prompt: str | None = _named(
        "PARLEY_UNCENSORED_SYSTEM_PROMPT",
        None,
        "persona that a ModelsLab client gets with uncensored_system_prompt; default: none, asking for it is refused",
        max_length=8_000,
    )
    private_webhooks: bool = _named(
        "PARLEY_PRIVATE_WEBHOOKS",
        default=False,
        description="true lets webhooks go over http and to private machines: every API token then reaches them",
    )
    public_url: str | None = _named(
        "PARLEY_PUBLIC_URL", None, "address that people and webhook receivers see; default: http://HOST:PORT"
    )
    log_format: LogFormat = _named("PARLEY_LOG_FORMAT", "text", "text, or json: one JSON object a line")
    retention_days: int | None = _named(
        "PARLEY_RETENTION_DAYS", None, "conversations untouched for longer are deleted; default: never", ge=1, le=36_500
    )
    mature: bool = _named(
        "PARLEY_MATURE",
        default=False,
        description="true marks the model as adult: Discord replies only in age-restricted channels",
    )
    mature_dms: bool = _named(
        "PARLEY_MATURE_DMS", default=False, description="true lets an adult model answer in DMs, too"
    )
    message_content: bool = _named(
        "PARLEY_MESSAGE_CONTENT",
        default=False,
        description="true lets the bot read every message: quotes, thread starts and posted API tokens that do not "
        "mention it; needs the intent Message Content, switched on for the bot at Discord",
    )
    person_calls: int | None = _named(
        "PARLEY_PERSON_CALLS",
        None,
        "calls per day of one person in a Discord server, where its admins set nothing; default: no bound of its own",
        ge=1,
        le=2**31 - 1,
    )
    tokens_per_server: int = _named(
        "PARLEY_TOKENS_PER_SERVER", 25, "active API tokens a Discord server may have", ge=0, le=1000
    )
    reply_messages: int = _named(
        "PARLEY_REPLY_MESSAGES", 4, "Discord messages a reply may take; the rest comes as a file", ge=1, le=10
    )
    max_attachment: Annotated[ByteSize, Field(ge=0, le=2**23)] = _named(
        "PARLEY_MAX_ATTACHMENT", ByteSize(2**16), "largest text attachment that joins a question in Discord"
    )

    @field_validator("reset_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):
            raise ValueError("is no IANA time zone; write one like Europe/London or America/New_York") from None
        return value

    @field_validator("discord_api_url", "discord_gateway_url", "api_url", "public_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(?:https?|wss?)://[^\s/]+\S*", value):
            raise ValueError("is no address; write it like http://127.0.0.1:8080")
        return value.rstrip("/") if value is not None else None

    @field_validator("engine")
    @classmethod
    def _engine_exists(cls, value: str) -> str:
        if value not in {"llama.cpp", "ctransformers", "remote"}:
            raise ValueError("is no engine; use llama.cpp, ctransformers or remote")
        return value

    @field_validator("engine_url")
    @classmethod
    def _servers_have_addresses(cls, value: str | None) -> str | None:
        if value is not None:
            read_addresses(value)
        return value

    @field_validator("engine_api_key")
    @classmethod
    def _key_fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("holds a character that no HTTP header can; copy the key again")
        return value

    @field_validator("lora")
    @classmethod
    def _adapters_are_named(cls, value: str | None) -> str | None:
        read_adapters(value)
        return value

    @field_validator("shard_ids")
    @classmethod
    def _shards_are_numbers(cls, value: str | None) -> str | None:
        read_shard_ids(value)
        return value

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, value: str) -> str:
        if is_postgresql(value):
            try:
                parse_url(value)
            except StorageError as error:
                raise ValueError(str(error).removeprefix("DATABASE_URL: ")) from None
        elif not value.startswith("sqlite:///") or len(value) == len("sqlite:///"):
            raise ValueError("use sqlite:///data/parley.db, or postgres://user:password@host:5432/name")
        return value

    @field_validator("service_token")
    @classmethod
    def _secret_is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 8:
            raise ValueError("is too short; use 8 characters or more, for example from: openssl rand -hex 32")
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse what contradicts itself, and what this version cannot do yet rather than ignore it."""
        require_fitting(read_shard_ids(self.shard_ids), self.shard_count)
        if self.engine == "remote" and self.engine_url is None:
            raise ValueError(
                "PARLEY_ENGINE_URL: needed for PARLEY_ENGINE=remote; write it like http://127.0.0.1:8000/v1"
            )
        if self.engine_url is not None and self.engine != "remote":
            raise ValueError("PARLEY_ENGINE_URL is set but PARLEY_ENGINE is not remote; leave it out")
        if self.engine_api_key is not None and self.engine != "remote":
            raise ValueError("PARLEY_ENGINE_API_KEY is set but PARLEY_ENGINE is not remote; leave it out")
        if self.llama_server is not None and self.engine != "llama.cpp":
            raise ValueError("PARLEY_LLAMA_SERVER needs PARLEY_ENGINE=llama.cpp; unset one of them")
        if self.lora is not None and self.engine != "llama.cpp":
            raise ValueError("PARLEY_LORA needs PARLEY_ENGINE=llama.cpp; unset one of them")
        if self.mature_dms and not self.mature:
            raise ValueError("PARLEY_MATURE_DMS needs PARLEY_MATURE=true; set it or leave this out")
        if self.discord_client_secret is not None and self.discord_token is None:
            raise ValueError(
                "DISCORD_CLIENT_SECRET needs DISCORD_TOKEN, the bot of the same application; set it or leave this out"
            )
        return self

    def listening_url(self, port: int | None = None) -> str:
        """Give the address of the service as this machine reaches it; `port` where 0 was asked for."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{port if port is not None else self.port}"


def setting_name(field: FieldInfo) -> str:
    """Give the environment name of a field of `Settings`."""
    assert isinstance(field.validation_alias, AliasChoices)
    return str(field.validation_alias.choices[0])


def known_names() -> list[str]:
    """List every setting's name, in the order people read them."""
    return [setting_name(field) for field in Settings.model_fields.values()]


def load_settings(env_file: str | Path = ENV_FILE) -> Settings:
    """Read the settings from the environment, then `.env`; raises `SettingsError` naming the first bad one."""
    _refuse_unknown(os.environ.keys() | _names_in(Path(env_file)))
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None


def _names_in(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    try:
        return set(dotenv_values(path))
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path}: cannot be read; it must be a UTF-8 text file") from None


def _refuse_unknown(names: Iterable[str]) -> None:
    known = known_names()
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "see .env.example for every setting"
            raise SettingsError(f"{name}: there is no such setting; {hint}")


_PROBLEMS = {
    "int_parsing": "must be a whole number",
    "bool_parsing": "must be true or false",
    "byte_size": "must be a size such as 1 MiB or 500 kB",
    "byte_size_unit": "must be a size such as 1 MiB or 500 kB",
}


def _one_line(error: ValidationError) -> str:
    """Say what is wrong with the first bad setting, never repeating its value (it may be a secret)."""
    found = error.errors(include_url=False, include_input=False)[0]
    message = _PROBLEMS.get(found["type"], found["msg"].removeprefix("Value error, "))
    message = message.replace("Input should be", "must be")
    return f"{found['loc'][0]}: {message}" if found["loc"] else message


def example() -> str:
    """Render `.env.example`: every setting with its default and meaning."""
    lines = ["# Copy to .env and change what you need; everything has a default. Names are exact."]
    for field in Settings.model_fields.values():
        default = _written_default(field)
        lines += ["", f"# {field.description}", f"{setting_name(field)}={default}"]
    return "\n".join(lines) + "\n"


def _written_default(field: FieldInfo) -> str:
    match field.default:
        case None:
            return ""
        case bool() as flag:
            return str(flag).lower()
        case ByteSize() as size:
            return size.human_readable(separator=" ").replace(".0 ", " ")
        case value:
            return f'"{value}"' if " " in str(value) else str(value)
