"""Settings: each name, default and bound; a mistake stops the start with one line that names the setting."""

import re
from pathlib import Path

import pytest

from parley.settings import DEFAULT_SYSTEM_PROMPT, Settings, SettingsError, example, known_names, load_settings

ROOT = Path(__file__).parents[2]

# Written out from the contract on purpose: this list does not follow the code.
CONTRACT_NAMES = [
    "DISCORD_TOKEN",
    "DISCORD_API_URL",
    "DISCORD_GATEWAY_URL",
    "DATABASE_URL",
    "HOST",
    "PORT",
    "PARLEY_API_URL",
    "PARLEY_SERVICE_TOKEN",
    "PARLEY_MODEL",
    "PARLEY_ENGINE",
    "PARLEY_ENGINE_URL",
    "PARLEY_ENGINE_API_KEY",
    "PARLEY_LLAMA_SERVER",
    "PARLEY_LORA",
    "PARLEY_CONTEXT",
    "PARLEY_PARALLEL",
    "PARLEY_THREADS",
    "PARLEY_DAILY_CALLS",
    "PARLEY_RESET_ZONE",
    "PARLEY_MAX_QUEUE",
    "PARLEY_MAX_BODY",
    "PARLEY_SYSTEM_PROMPT",
    "PARLEY_PUBLIC_URL",
    "DISCORD_CLIENT_SECRET",
    "PARLEY_RETENTION_DAYS",
    "PARLEY_MATURE",
]

ADDED_NAMES = [
    "PARLEY_LOG_FORMAT",
    "PARLEY_CACHE_DISK",
    "PARLEY_MATURE_DMS",
    "PARLEY_MAX_ATTACHMENT",
    "PARLEY_MESSAGE_CONTENT",
    "PARLEY_PERSON_CALLS",
    "PARLEY_PRIVATE_WEBHOOKS",
    "PARLEY_REPLY_MESSAGES",
    "PARLEY_TENANT_SLOTS",
    "PARLEY_TOKENS_PER_SERVER",
    "PARLEY_UNCENSORED_SYSTEM_PROMPT",
    "SHARD_COUNT",
    "SHARD_IDS",
]
"""What Discord at its best and in many processes, a fair queue and warm restarts need beside the contract, and two of
its section 8."""


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)


def load(tmp_path: Path, *lines: str) -> Settings:
    env_file = tmp_path / ".env"
    env_file.write_text("\n".join(lines), "utf-8")
    return load_settings(env_file)


def test_the_example_file_and_the_settings_agree() -> None:
    assert (ROOT / ".env.example").read_text("utf-8") == example(), "run: python -m parley.example"


def test_every_name_of_the_contract_is_a_setting_and_few_others() -> None:
    assert sorted(known_names()) == sorted([*CONTRACT_NAMES, *ADDED_NAMES])


def test_the_example_file_loads_to_the_defaults(tmp_path: Path) -> None:
    assert load_settings(ROOT / ".env.example") == load(tmp_path)


def test_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert (settings.context, settings.parallel, settings.max_queue) == (4096, 4, 64)
    assert (settings.daily_calls, settings.reset_zone) == (1000, "Europe/London")
    assert settings.max_body == 2**20
    assert settings.model == "demo"
    assert settings.database_url == "sqlite:///data/parley.db"
    assert settings.system_prompt == DEFAULT_SYSTEM_PROMPT
    assert settings.mature is False


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    assert load(tmp_path, "PORT=8000").port == 9000


def test_an_empty_value_means_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "")
    assert load(tmp_path, "DISCORD_TOKEN=").discord_token is None
    assert load(tmp_path).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("PARLEY_MODLE=x", r"PARLEY_MODLE: .*did you mean PARLEY_MODEL\?"),
        ("PARLEY_NONSENSE=1", r"PARLEY_NONSENSE: there is no such setting"),
        ("PORT=eighty", r"PORT: must be a whole number"),
        ("PORT=70000", r"PORT: must be less than or equal to 65535"),
        ("PARLEY_PARALLEL=0", r"PARLEY_PARALLEL: must be greater"),
        ("PARLEY_CONTEXT=63", r"PARLEY_CONTEXT: must be greater"),
        ("PARLEY_RESET_ZONE=Mars/Olympus", r"PARLEY_RESET_ZONE: is no IANA time zone"),
        ("PARLEY_MATURE=perhaps", r"PARLEY_MATURE: must be true or false"),
        ("PARLEY_MAX_BODY=large", r"PARLEY_MAX_BODY: must be a size"),
        ("PARLEY_ENGINE=quantum", r"PARLEY_ENGINE: is no engine"),
        ("PARLEY_ENGINE=remote", r"PARLEY_ENGINE_URL: needed for PARLEY_ENGINE=remote"),
        ("PARLEY_ENGINE_URL=localhost:8000", r"PARLEY_ENGINE_URL: has an entry that is no address"),
        ("PARLEY_ENGINE_URL=http://a:99999/v1", r"PARLEY_ENGINE_URL: has an entry that is no address"),
        ("PARLEY_ENGINE_URL=http://me:secret@a/v1", r"PARLEY_ENGINE_URL: has a name or password in it"),
        ("PARLEY_ENGINE_URL=http://a/v1?key=b", r"PARLEY_ENGINE_URL: has something behind its path"),
        ("PARLEY_ENGINE_URL=http://a/v1,http://a", r"PARLEY_ENGINE_URL: has an address twice"),
        ('PARLEY_ENGINE_API_KEY="a b"', r"PARLEY_ENGINE_API_KEY: holds a character"),
        ("PARLEY_ENGINE_URL=http://127.0.0.1:1", r"PARLEY_ENGINE_URL is set but PARLEY_ENGINE is not remote"),
        ("PARLEY_API_URL=localhost", r"PARLEY_API_URL: is no address"),
        ("PARLEY_SERVICE_TOKEN=short", r"PARLEY_SERVICE_TOKEN: is too short"),
        ("SHARD_COUNT=0", r"SHARD_COUNT: must be greater"),
        ("SHARD_IDS=a", r"SHARD_IDS: must be numbers and ranges, for example 0-3,7"),
        ("SHARD_IDS=0-1", r"^SHARD_IDS needs SHARD_COUNT"),
        ("DATABASE_URL=mysql://x", r"DATABASE_URL: use sqlite:///data/parley.db, or postgres://"),
        ("DATABASE_URL=postgres://x", r"DATABASE_URL: names no database"),
        ("DATABASE_URL=postgres://u:a@b@host/x", r"DATABASE_URL: write @ as %40"),
        ("DISCORD_CLIENT_SECRET=x", r"DISCORD_CLIENT_SECRET needs DISCORD_TOKEN"),
        ("PARLEY_LORA=file.gguf", r"PARLEY_LORA: write name=path\[,name=path\], or pirate alone"),
        ("PARLEY_LORA=a=", r"PARLEY_LORA: write name=path"),
        ("PARLEY_LORA=a b=x.gguf", r"PARLEY_LORA: a name has 1 to 64 letters"),
        ("PARLEY_LORA=a=x.gguf,a=y.gguf", r"PARLEY_LORA: has the name a twice"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_setting(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, line)
    assert re.search(expected, str(caught.value))
    assert "\n" not in str(caught.value)


def test_two_settings_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"PARLEY_LLAMA_SERVER needs PARLEY_ENGINE=llama\.cpp"):
        load(tmp_path, "PARLEY_ENGINE=ctransformers", "PARLEY_LLAMA_SERVER=/bin/true")
    with pytest.raises(SettingsError, match=r"SHARD_IDS: there is no shard 7 of SHARD_COUNT=4"):
        load(tmp_path, "SHARD_IDS=0-3,7", "SHARD_COUNT=4")
    with pytest.raises(SettingsError, match=r"PARLEY_LORA needs PARLEY_ENGINE=llama\.cpp"):
        load(tmp_path, "PARLEY_ENGINE=ctransformers", "PARLEY_LORA=pirate")


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, "PARLEY_SERVICE_TOKEN=s3cret")
    assert "s3cret" not in str(caught.value)


def test_secrets_do_not_show_in_the_representation(tmp_path: Path) -> None:
    settings = load(tmp_path, "DISCORD_TOKEN=very-secret-token", "PARLEY_SERVICE_TOKEN=also-very-secret")
    assert "very-secret" not in repr(settings)


def test_an_unreadable_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe")
    with pytest.raises(SettingsError, match="must be a UTF-8 text file"):
        load_settings(tmp_path / ".env")


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8080"), ("0.0.0.0", "http://127.0.0.1:8080"), ("::1", "http://[::1]:8080")],
)
def test_the_address_is_one_that_this_machine_reaches(tmp_path: Path, host: str, url: str) -> None:
    assert load(tmp_path, f"HOST={host}").listening_url() == url
