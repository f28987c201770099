"""Work that the end of a run needs, done beside its simulation."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def ahead(work: Callable[[], T]) -> Callable[[], T]:
    """Begin some work on a thread, for which no end of the command waits.

    Returns:
        A function that waits for its result, or raises what it raised.
    """
    future: Future[T] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # raised where the result is needed
            future.set_exception(error)

    Thread(target=do, daemon=True).start()
    return future.result
