"""What people ask of the bot through Discord's own controls: commands, menus, buttons, forms.

Owns: the interaction that reaches the bot, and what Discord's client would not let a person do. Does not own: the
answer (`discord_interactions.py`). Source: https://discord.com/developers/docs/interactions/receiving-and-responding.
"""

from typing import Any

from tests.doubles.discord_basics import AUTOCOMPLETE, COMMAND, COMPONENT, DM, MODAL_SUBMIT, Json
from tests.doubles.discord_forms import check_entries, submitted
from tests.doubles.discord_messages import BUTTON, STRING_SELECT, Message
from tests.doubles.discord_model import Interaction, owners_json
from tests.doubles.discord_options import Resolved, encode_options
from tests.doubles.discord_people import Role, User
from tests.doubles.discord_places import Channel
from tests.doubles.discord_world import World

_SLASH, _MESSAGE_MENU = 1, 3


class Uses(World):
    """What people use. Where Discord's client would not offer it, `ValueError` is raised."""

    async def slash(self, user: User, channel: Channel, command: str, /, **options: Any) -> Interaction:
        """Use a command, such as `chat` or `developer token create`; Discord has let the person do it.

        Values are text, numbers, booleans, people, roles and channels; a file is a tuple of name, content and, if it is
        not to be guessed, content type.
        """
        name, *path = command.split()
        known = self._known(name, channel, _SLASH, user)
        interaction = self._new(user, channel, command, COMMAND)
        await self._send_command(interaction, known, path, options)
        return interaction

    async def autocomplete(
        self, user: User, channel: Channel, command: str, option: str, typed: str, /, **others: Any
    ) -> list[Any]:
        """Type into an option and return the values that are suggested; `others` are filled in already."""
        suggested = await self.suggestions(user, channel, command, option, typed, **others)
        return [choice["value"] for choice in suggested]

    async def suggestions(
        self, user: User, channel: Channel, command: str, option: str, typed: str, /, **others: Any
    ) -> list[Json]:
        """Type into an option and return what is suggested, with `name` and `value`."""
        name, *path = command.split()
        known = self._known(name, channel, _SLASH, user)
        interaction = self._new(user, channel, command, AUTOCOMPLETE)
        await self._send_command(interaction, known, path, {**others, option: typed}, typed=option)
        await interaction.deferred()
        assert interaction.choices is not None
        return interaction.choices

    async def message_menu(self, user: User, channel: Channel, name: str, target: Message) -> Interaction:
        """Use a command of a message's menu; the bot is given the message's text whatever its intents."""
        known = self._known(name, channel, _MESSAGE_MENU, user)
        interaction = self._new(user, channel, name, COMMAND)
        interaction.target = target
        resolved = {"messages": {str(target.id): target.json()}}
        data = {"id": known["id"], "name": name, "type": _MESSAGE_MENU, "target_id": str(target.id)}
        await self._send(interaction, {**data, "resolved": resolved})
        return interaction

    async def press(self, user: User, message: Message, custom_id: str, *, forged: bool = False) -> Interaction:
        """Press a button. Discord looks neither at who presses nor, `forged`, at whether the button was ever there."""
        return await self._use_component(user, message, custom_id, {"component_type": BUTTON}, forged=forged)

    async def select(
        self, user: User, message: Message, custom_id: str, values: list[Any], *, forged: bool = False
    ) -> Interaction:
        """Choose from a menu: values of a text menu, or people, roles and channels from one of those."""
        found = message.component(custom_id)
        kind = STRING_SELECT if found is None else found["type"]
        resolved = self._resolved(message.channel)
        chosen = [resolved.add(each) if isinstance(each, User | Role | Channel) else each for each in values]
        if found is not None and not forged:
            _check_chosen(found, chosen)
        data = {"component_type": kind, "values": chosen, **({"resolved": resolved.json()} if resolved.json() else {})}
        return await self._use_component(user, message, custom_id, data, forged=forged)

    async def submit(
        self,
        user: User,
        opened: Interaction,
        entries: dict[str, Any],
        *,
        custom_id: str | None = None,
        forged: bool = False,
    ) -> Interaction:
        """Send the form that an interaction has opened, with the entries by custom id; see `Interaction.form`.

        `custom_id` takes the place of the form's own. `forged`: entries may be missing or longer than allowed.
        """
        form = opened.modal
        if form is None:
            raise ValueError(f"{opened.label} was not answered with a form")
        if not forged:
            check_entries(form, entries)
        interaction = self._new(user, opened.channel, custom_id or form["custom_id"], MODAL_SUBMIT)
        interaction.message, interaction.opened_by = opened.message, opened
        data = {"custom_id": custom_id or form["custom_id"], "components": submitted(form, entries)}
        await self._send(interaction, data)
        return interaction

    # How it reaches the bot ---------------------------------------------------------------------------------------

    def _known(self, name: str, channel: Channel, kind: int, user: User) -> Json:
        """Return a command that Discord's client would offer there."""
        wanted = (each for each in self.state.commands if each["name"] == name and each.get("type", _SLASH) == kind)
        known = next(wanted, None)
        if known is None:
            raise ValueError(f"Discord was not told about {'/' if kind == _SLASH else ''}{name}")
        context = 1 if channel.type == DM else 0
        if context not in (known.get("contexts") or (0, 1)):
            raise ValueError(f"/{name} is not shown here")
        if known.get("nsfw") and not self.state.shows_mature_commands and not _offers_mature(channel, user):
            raise ValueError(f"/{name} is age-restricted and not shown here")
        return known

    def _new(self, user: User, channel: Channel, command: str, kind: int) -> Interaction:
        return Interaction(user, channel, command, self.changes, self.state.lived, kind=kind)

    def _resolved(self, channel: Channel) -> Resolved:
        return Resolved(channel.guild, lambda file: self._cdn.keep_file(file, channel))

    async def _send_command(
        self,
        interaction: Interaction,
        known: Json,
        path: list[str],
        options: dict[str, Any],
        *,
        typed: str | None = None,
    ) -> None:
        resolved = self._resolved(interaction.channel)
        encoded = encode_options(known, path, options, resolved=resolved, typed=typed)
        data = {"id": known["id"], "name": known["name"], "type": _SLASH, "options": encoded}
        await self._send(interaction, {**data, **({"resolved": resolved.json()} if resolved.json() else {})})

    async def _use_component(
        self, user: User, message: Message, custom_id: str, data: Json, *, forged: bool
    ) -> Interaction:
        if not forged:
            _check_component(user, message, custom_id, data["component_type"])
        interaction = self._new(user, message.channel, custom_id, COMPONENT)
        interaction.message = message
        found = message.component(custom_id)
        await self._send(interaction, {"id": 0 if found is None else found["id"], "custom_id": custom_id, **data})
        return interaction

    async def _send(self, interaction: Interaction, data: Json) -> None:
        channel, user = interaction.channel, interaction.user
        self.state.interactions[interaction.token] = interaction
        event: Json = {
            "id": str(interaction.id),
            "application_id": str(self.bot.id),
            "type": interaction.kind,
            "data": data,
            "channel": channel.json(),
            "channel_id": str(channel.id),
            "token": interaction.token,
            "version": 1,
            "app_permissions": str(channel.bot_permissions),
            "locale": user.locale,
            "entitlements": [],
            "authorizing_integration_owners": owners_json(channel),
            "context": 1 if channel.guild is None else 0,
            "attachment_size_limit": 10 * 1024 * 1024,
        }
        if interaction.message is not None:
            event["message"] = interaction.message.json()
        guild_id = None if channel.guild is None else channel.guild.id
        await self.gateway.dispatch("INTERACTION_CREATE", {**event, **_person_json(user, channel)}, guild_id=guild_id)


def _person_json(user: User, channel: Channel) -> Json:
    """Render who it was: a user in a DM, a member in a server."""
    guild = channel.guild
    if guild is None:
        return {"user": user.json()}
    member = {"user": user.json(), **user.member_json(guild), "permissions": str(user.permissions_in(guild))}
    return {
        "guild_id": str(guild.id),
        "guild": guild.partial_json(),
        "guild_locale": guild.locale,
        "member": member,
    }


def _offers_mature(channel: Channel, user: User) -> bool:
    """Say whether age-restricted commands are offered: in age-restricted channels, and in DMs to those who chose so.

    See https://support.discord.com/hc/en-us/articles/10123937946007.
    """
    return user.has_mature_commands_in_dms if channel.type == DM else channel.is_age_restricted


def _check_component(user: User, message: Message, custom_id: str, kind: int) -> None:
    """Raise `ValueError` where the person could not do that in Discord's client."""
    found = message.component(custom_id)
    if message.is_deleted or found is None or found["type"] != kind:
        raise ValueError(f"the message carries no such component: {custom_id}")
    if found.get("disabled"):
        raise ValueError(f"{custom_id} is disabled")
    if message.is_ephemeral and message.visible_to is not user:
        raise ValueError(f"{user.display_name} does not see that message")


def _check_chosen(menu: Json, chosen: list[str]) -> None:
    if not menu.get("min_values", 1) <= len(chosen) <= menu.get("max_values", 1):
        raise ValueError(f"{len(chosen)} values are not what the menu asks for")
    if menu["type"] == STRING_SELECT and not set(chosen) <= {option["value"] for option in menu["options"]}:
        raise ValueError(f"the menu does not offer {chosen}")
