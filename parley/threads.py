"""Blocking work that must not keep a stopping process alive."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_daemon_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a thread of its own and return its result.

    `asyncio.to_thread` is no choice for a download: at its end the event loop waits for such threads, however long.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def finish(settle: Callable[[], None]) -> None:
        if not result.done():
            settle()

    def work() -> None:
        settle: Callable[[], None]
        try:
            value = function(*args, **kwargs)
            settle = partial(result.set_result, value)
        except BaseException as error:  # noqa: BLE001 - handed over, whatever it is
            settle = partial(result.set_exception, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, settle)

    threading.Thread(target=work, daemon=True).start()
    return await result
