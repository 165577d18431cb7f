"""Work that goes on beside other work: the next item is made while this one is used.

Effects: threads. Frames are made and counted outside Python's own lock, so two stages of
the same walk take about as long as the slower of them. Order is kept, a fault comes out
where its item would have, and nothing runs on after the ``with``.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

END: Final = object()


@contextmanager
def ahead(items: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Make the next of some items in a thread while the caller uses the one before.

    One item waits at most, and one is being made.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as worker:
        made = _made(items, worker)
        try:
            yield made
        finally:
            made.close()


def _made(items: Iterator[Item], worker: ThreadPoolExecutor) -> Generator[Item, None, None]:
    coming: Future[object] = worker.submit(next, items, END)
    while (item := coming.result()) is not END:
        coming = worker.submit(next, items, END)
        yield item  # type: ignore[misc]  # what is not END came from the items


class Lanes(Generic[Result]):
    """A few pieces of work at a time, each in a thread; one more waits for its turn."""

    def __init__(self, count: int) -> None:
        """Plan ``count`` lanes."""
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="lane")
        self._open: set[Future[Result]] = set()

    def __enter__(self) -> Self:
        """Stay open until the last piece is done."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is under way; start nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def start(self, work: Callable[[], Result]) -> list[Result]:
        """Start a piece of work as soon as a lane is free.

        Returns:
            What the pieces that ended meanwhile came to.

        Raises:
            BaseException: What an earlier piece raised.
        """
        ended = self._ended(most_open=self._count)
        self._open.add(self._pool.submit(work))
        return ended

    def finish(self) -> list[Result]:
        """Wait for all that was started.

        Raises:
            BaseException: What a piece raised.
        """
        return self._ended(most_open=0)

    def _ended(self, most_open: int) -> list[Result]:
        ended: list[Result] = []
        while len(self._open) > most_open:
            done, self._open = wait(self._open, return_when=FIRST_COMPLETED)
            ended += [each.result() for each in done]
        return ended
