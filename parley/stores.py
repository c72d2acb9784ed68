"""Opens the database and hands out what stands on it. The SQL is in `storage`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from parley.settings import Settings
from storage.channels import ChannelSettings
from storage.chats import Chats
from storage.claims import Claims
from storage.clock import Clock, SystemClock
from storage.computed import ComputedNames
from storage.conversations import Conversations
from storage.database import Database
from storage.days import DayZone
from storage.health import DatabaseHealth
from storage.ledger import Ledger
from storage.login_links import LoginLinks
from storage.notes import Notes
from storage.open_questions import OpenQuestions
from storage.outbox import Outbox
from storage.person_limits import PersonLimits
from storage.personas import Personas
from storage.signing_keys import SigningKeys
from storage.stop_requests import StopRequests
from storage.tokens import TokenStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Everything that lasts, on one open database."""

    database: Database
    clock: Clock
    tokens: TokenStore
    ledger: Ledger
    conversations: Conversations
    computed_names: ComputedNames
    channels: ChannelSettings
    personas: Personas
    person_limits: PersonLimits
    notes: Notes
    claims: Claims
    open_questions: OpenQuestions
    stop_requests: StopRequests
    chats: Chats
    outbox: Outbox
    login_links: LoginLinks
    signing_keys: SigningKeys
    health: DatabaseHealth


@asynccontextmanager
async def open_stores(settings: Settings, *, sole_service: bool = False) -> AsyncIterator[Stores]:
    """Open the database for the block; raises `StorageError`.

    `sole_service` says that this process serves the API from this database, so that no second one may.
    """
    database = await Database.open(settings.database_url, sole_service=sole_service)
    clock = SystemClock()
    try:
        yield Stores(
            database=database,
            clock=clock,
            tokens=TokenStore(database, clock=clock),
            ledger=Ledger(database, zone=DayZone(settings.reset_zone), clock=clock),
            conversations=Conversations(database, clock=clock),
            computed_names=ComputedNames(database),
            channels=ChannelSettings(database, clock=clock),
            personas=Personas(database, clock=clock),
            person_limits=PersonLimits(database, clock=clock),
            notes=Notes(database),
            claims=Claims(database, clock=clock),
            open_questions=OpenQuestions(database, clock=clock),
            stop_requests=StopRequests(database, clock=clock),
            chats=Chats(database, clock=clock),
            outbox=Outbox(database, clock=clock),
            login_links=LoginLinks(database, clock=clock),
            signing_keys=SigningKeys(database),
            health=DatabaseHealth(database, clock=clock),
        )
    finally:
        await database.close()
