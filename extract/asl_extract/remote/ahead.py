"""One video is made ready by a thread while others are decoded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

Item = TypeVar("Item")
Ready = TypeVar("Ready")


def prepare_ahead(
    items: Iterable[Item], prepare: Callable[[Item], Ready], *, is_slow: Callable[[Item], bool]
) -> Generator[Ready | None, None, None]:
    """Yield what `prepare` returns for each item, in order; None as long as the next is not ready.

    A slow item is prepared by a thread. As it is handed out, the thread for the next one starts.

    Parameters
    ----------
    items : iterable
        Taken one by one, at most one ahead of what is handed out.
    prepare : callable
        Called in a thread if the item is slow, else in this one; what it raises is raised here.
    is_slow : callable
        Whether to prepare an item in a thread.
    """
    left = iter(items)
    while (head := _start_next(left, prepare, is_slow)) is not None:
        while head is not None:
            while not head.done():
                yield None
            # The next one is prepared while this one is used; after a quick one there is no need to hurry.
            following = _start_next(left, prepare, is_slow) if isinstance(head, _InThread) else None
            yield head.result()
            head = following


class _InThread(Future[Ready]):
    """A result that a thread of its own computes; the process does not wait for that thread at its end."""

    def __init__(self, prepare: Callable[[], Ready]) -> None:
        super().__init__()
        self._prepare = prepare
        threading.Thread(target=self._run, name="asl-kit fetcher", daemon=True).start()

    def _run(self) -> None:
        try:
            self.set_result(self._prepare())
        except BaseException as fault:
            self.set_exception(fault)


def _start_next(
    items: Iterable[Item], prepare: Callable[[Item], Ready], is_slow: Callable[[Item], bool]
) -> Future[Ready] | None:
    for item in items:
        if is_slow(item):
            return _InThread(lambda item=item: prepare(item))  # type: ignore[misc]
        done: Future[Ready] = Future()
        done.set_result(prepare(item))
        return done
    return None


def share_ready(items: Iterable[Item | None], count: int) -> list[Iterator[Item | None]]:
    """Return iterators of which each yields all items, as those of `itertools.tee`; None is passed on at once."""
    left = iter(items)
    queues: list[deque[Item]] = [deque() for _ in range(count)]

    def share(own: deque[Item]) -> Iterator[Item | None]:
        while True:
            if not own:
                try:
                    item = next(left)
                except StopIteration:
                    return
                if item is None:
                    yield None
                    continue
                for queue in queues:
                    queue.append(item)
            yield own.popleft()

    return [share(queue) for queue in queues]
