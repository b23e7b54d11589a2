"""Iterate with a deadline, even if the producer blocks."""

import queue
import threading
from collections.abc import Callable, Generator
from typing import TypeVar

Item = TypeVar("Item")

AHEAD = 16  # items that may be produced before they are asked for


class End(Exception):
    """There are no more items."""


def in_time(items: Generator[Item, None, None], left: Callable[[], float]) -> Generator[Item, None, None]:
    """The items, as long as each comes within the `left()` seconds that are left when it is asked for.

    A thread produces them. Nothing can stop it while it waits in a system call; it then ends with that call or with the
    program. Raises TimeoutError, and whatever `items` raises.
    """
    produced: queue.Queue[Item | Exception] = queue.Queue(AHEAD)
    enough = threading.Event()
    threading.Thread(target=_produce, args=(items, produced, enough), daemon=True).start()
    try:
        while True:
            item = produced.get(timeout=max(0.0, left()))
            if isinstance(item, End):
                return
            if isinstance(item, Exception):
                raise item
            yield item
    except queue.Empty:
        raise TimeoutError from None
    finally:
        enough.set()


def _produce(
    items: Generator[Item, None, None], produced: queue.Queue[Item | Exception], enough: threading.Event
) -> None:
    """The thread: put the items into `produced`, then End or the exception; stop when `enough` is set."""

    def put(item: Item | Exception) -> None:
        while not enough.is_set():
            try:
                return produced.put(item, timeout=1)
            except queue.Full:
                pass

    try:
        for item in items:
            put(item)
            if enough.is_set():
                items.close()
        put(End())
    except Exception as error:
        put(error)
