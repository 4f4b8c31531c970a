"""Runs the jobs of a list on workers of this machine or of a Ray cluster."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from queue import Empty, SimpleQueue

from sonimate.apps.jobs.batch_list import Entry
from sonimate.apps.jobs.workers import JobRunner, Limits, Outcome, Worker
from sonimate.errors import extra_needed


def open_runners(
    cluster: str | None, count: int | None, limits: Limits, *, most: int | None = None
) -> AbstractContextManager[Sequence[JobRunner]]:
    """`count` actors of a Ray cluster, or without one, worker processes that share this machine's cores, by
    default one for every two, and at most `most`. Raises ExtraMissing, ClusterUnreachable."""
    if cluster:
        with extra_needed("ray"):
            from sonimate.apps.jobs.ray_actors import ray_runners
        return ray_runners(cluster, count, limits)
    cores = os.cpu_count() or 1
    workers = count or max(1, cores // 2)
    if most:
        workers = min(workers, most)
    return local_runners(workers, limits, max(1, cores // workers))


@contextmanager
def local_runners(count: int, limits: Limits, threads: int) -> Generator[list[Worker]]:
    """Worker processes of this machine."""
    workers = [Worker(limits=limits, threads=threads) for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.close()


def run_entries(
    entries: Sequence[Entry],
    runners: Sequence[JobRunner],
    done: Callable[[Entry, Outcome, int], None],
    *,
    retries: int,
) -> None:
    """Run all jobs, each by the first runner that is free, and call `done` with how it ended and the number
    of attempts. A job whose worker died is tried again, `retries` times at most. One call at a time."""
    waiting: SimpleQueue[Entry] = SimpleQueue()
    for entry in entries:
        waiting.put(entry)
    cancelled, lock = threading.Event(), threading.Lock()

    def work(runner: JobRunner) -> None:
        while not cancelled.is_set():
            try:
                entry = waiting.get_nowait()
            except Empty:
                return
            attempts, outcome = 1, _outcome(entry, runner, cancelled)
            while outcome.worth_another_try and attempts <= retries:
                attempts, outcome = attempts + 1, _outcome(entry, runner, cancelled)
            if outcome.status != "cancelled":
                with lock:
                    done(entry, outcome, attempts)

    with ThreadPoolExecutor(len(runners)) as pool:
        futures = [pool.submit(work, runner) for runner in runners]
        try:
            for future in futures:
                future.result()
        except BaseException:
            cancelled.set()
            raise


def _outcome(entry: Entry, runner: JobRunner, cancelled: threading.Event) -> Outcome:
    if entry.job is None:
        assert entry.reason is not None
        return Outcome(error={"code": entry.reason.code, "message": str(entry.reason)})
    return runner.run(entry.job, cancelled=cancelled)
