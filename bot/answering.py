"""The straight line from a question to its reply: take a place, show life, wait, ask, deliver; or say why not.

Owns: that order, and that every refusal and fault ends in a sentence or, where nobody can be told, in a log line.
"""

import logging

from bot import texts
from bot.delivery import NETWORK_ERRORS, Delivery
from bot.dialogue import Dialogue, Question
from bot.errors import RefusedError, ServiceRefusedTokenError, UnexpectedError, explain
from bot.faults import describe, log_fault
from bot.lanes import Lanes, Place

logger = logging.getLogger(__name__)


class Answering:
    """Answers questions, one at a time per conversation, in the order they were asked."""

    def __init__(self, dialogue: Dialogue, lanes: Lanes) -> None:
        self._dialogue = dialogue
        self._lanes = lanes

    async def answer(self, question: Question, delivery: Delivery) -> None:
        """Answer one question. Raises nothing but a cancellation."""
        try:
            await self._answer(question, delivery)
        except NETWORK_ERRORS as error:
            logger.warning("a reply in %s could not be posted: %s", question.conversation_key, describe(error))

    async def _answer(self, question: Question, delivery: Delivery) -> None:
        try:
            # Taken before anything is awaited: the order of questions is the order of events.
            with self._lanes.place(question.conversation_key) as place:
                await self._reply(question, delivery, place)
        except RefusedError as error:
            _log_refusal(question, error)
            await delivery.refuse(explain(error))

    async def _reply(self, question: Question, delivery: Delivery, place: Place) -> None:
        """Reply or refuse, while the place is held: whoever is next begins when this is posted."""
        try:
            async with delivery.thinking(), place.turn():
                answer = await self._dialogue.answer(question)
        except RefusedError as error:
            _log_refusal(question, error)
            await delivery.refuse(explain(error))
        except NETWORK_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - the border: a person is waiting, whatever it was
            log_fault(logger, f"a question in {question.conversation_key}", error)
            await delivery.refuse(explain(UnexpectedError()))
        else:
            await delivery.deliver(answer.text)

    async def forget(self, conversation_key: str, delivery: Delivery) -> None:
        """Forget a conversation once the questions asked before are answered, and say so.

        Raises `RefusedError` where it was refused before anything was shown.
        """
        with self._lanes.place(conversation_key) as place:
            async with delivery.thinking(), place.turn():
                forgotten = await self._dialogue.forget(conversation_key)
            await delivery.deliver(texts.conversation_forgotten(messages=forgotten))


def _log_refusal(question: Question, error: RefusedError) -> None:
    if isinstance(error, ServiceRefusedTokenError):
        logger.error("the service refuses the bot's token; PARLEY_SERVICE_TOKEN must be the same on both sides")
    elif isinstance(error, UnexpectedError):
        logger.error("the service failed on a question of %s, request %s", question.tenant, error.request_id)
    else:
        logger.info("a question of %s was refused: %s", question.tenant, type(error).__name__)
