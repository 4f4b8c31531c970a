"""Results that one worker thread prepares ahead: training batches, and frames of a video."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")

AHEAD = 2
"""Results that wait or are being prepared, while one is in use."""


@contextmanager
def prefetched(make: Callable[[K], T], keys: Iterable[K]) -> Generator[Iterator[T]]:
    """Yield an iterator over make(key) for all keys, in their order; one thread calls `make`, at most AHEAD
    calls before their results are asked for.

    An exception of `make` is raised, with its traceback, where its result is asked for. When the block ends,
    for whatever reason, no further call starts, and the one that is running is waited for.
    """
    worker = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    try:
        yield _results(worker, make, keys)
    finally:
        worker.shutdown(cancel_futures=True)


def _results(worker: ThreadPoolExecutor, make: Callable[[K], T], keys: Iterable[K]) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    for key in keys:
        waiting.append(worker.submit(make, key))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
