"""Reading ahead in threads, in order, so that whoever consumes does not wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")

_AHEAD_PER_WORKER = 2


def prefetched(
    items: Iterable[Item], read: Callable[[Item], Read], workers: int
) -> Generator[Read]:
    """`read` of each item, in order. With no workers each is read when it is asked for.

    An error of `read` is raised where its result is due. Closing the iterator waits for no more
    than what is being read.
    """
    if not workers:
        yield from map(read, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="weft-data")
    ahead: deque[Future[Read]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(read, item))
            if len(ahead) > _AHEAD_PER_WORKER * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
