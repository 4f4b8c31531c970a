# pyright: basic
"""Threads that take jobs from the store, have a worker make each video, and keep the folder clean; one more
worker checks uploads."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from sonimate.apps.jobs.job_options import Job, video_name
from sonimate.apps.jobs.workers import JobRunner, Limits, Outcome, Worker
from sonimate.apps.service.job_store import JobStore
from sonimate.apps.service.observing import ServiceMetrics, log_event

PORTRAIT, AUDIO, VIDEO = "portrait", "audio", "video"
MAX_ATTEMPTS = 3
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_UNTIL_STORE_IS_ASKED_AGAIN = 1.0
SECONDS_BETWEEN_UPDATES = 0.3
SECONDS_BETWEEN_CLEANINGS = 30.0
SECONDS_OF_A_CHECK = 20.0
"""Of an upload that would take longer, the job would, too: it is refused."""
SECONDS_OF_AN_UPLOAD = 600.0
"""A folder is there before its job is, and this long at most."""

_log = logging.getLogger("sonimate.service")


class JobCrew:
    """Has the jobs of a store made by `runners`. Each job has a folder of its id in `folder`.

    own_options: of the service's owner, for all jobs.
    """

    def __init__(
        self,
        store: JobStore,
        folder: Path,
        runners: Sequence[JobRunner],
        *,
        memory_mb: float,
        keep_seconds: float,
        own_options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._store, self._folder, self._keep_seconds = store, folder, keep_seconds
        self._own_options = own_options
        self.metrics = ServiceMetrics()
        self._stopping = threading.Event()
        self._in_hand: dict[str, threading.Event] = {}
        """The jobs that this crew is making, and what cancels each."""
        self._claiming = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(runner,)) for runner in runners]
        self._threads.append(threading.Thread(target=self._clean))
        self._checker = Worker(limits=Limits(seconds=SECONDS_OF_A_CHECK, memory_mb=memory_mb))
        self._checks = ThreadPoolExecutor(1)

    def start(self) -> None:
        self._store.recover()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Cancel what is running, which is queued again for the next start."""
        self._stopping.set()
        for event in list(self._in_hand.values()):
            event.set()
        for thread in self._threads:
            thread.join()
        self._checks.shutdown(cancel_futures=True)
        self._checker.close()
        self._store.close()

    def cancel(self, job_id: str) -> None:
        """Stop a job if it is running."""
        if event := self._in_hand.get(job_id):
            event.set()

    async def check(self, job_id: str, options: dict[str, Any]) -> Outcome:
        """Whether a video can be made of the files in the folder of this new job, one check after another."""
        order = replace(self._order(job_id, options), only_check=True)
        return await asyncio.get_running_loop().run_in_executor(self._checks, self._check, order)

    def _check(self, order: Job) -> Outcome:
        for _ in range(MAX_ATTEMPTS):
            outcome = self._checker.run(order, cancelled=self._stopping)
            if not outcome.worth_another_try:
                break
        return outcome

    def _order(self, job_id: str, options: dict[str, Any]) -> Job:
        return Job(
            portrait=PORTRAIT,
            audio=AUDIO,
            output=video_name(VIDEO, options),
            options={**options, **self._own_options},
            folder=str(self._folder / job_id),
        )

    def _work(self, runner: JobRunner) -> None:
        while not self._stopping.is_set():
            try:
                with self._claiming:
                    if job := self._store.claim():
                        self._in_hand[job["id"]] = threading.Event()
                if job:
                    try:
                        self._make(runner, job, self._in_hand[job["id"]])
                    finally:
                        del self._in_hand[job["id"]]
                    continue
            except Exception:  # a database that is away must not end the thread: it looks again
                _log.exception("the job store failed")
            self._stopping.wait(SECONDS_BETWEEN_LOOKS)

    def _make(self, runner: JobRunner, job: dict, cancelled: threading.Event) -> None:
        job_id, last, started = job["id"], [0.0], time.monotonic()
        self.metrics.waited.observe(max(0.0, time.time() - job["created"]))

        def progress(stage: str, done: int, total: int) -> None:
            if done == total or time.monotonic() - last[0] > SECONDS_BETWEEN_UPDATES:
                last[0] = time.monotonic()
                with suppress(SQLAlchemyError):  # the next step tells it
                    self._store.change(job_id, only_from=("running",), stage=stage, done=done, total=total)

        now = self._store.get(job_id)
        if self._stopping.is_set() or now is None or now["status"] != "running":
            cancelled.set()
        outcome = runner.run(self._order(job_id, json.loads(job["options"])), progress, cancelled)
        again = outcome.worth_another_try and job["attempts"] < MAX_ATTEMPTS
        if again or (self._stopping.is_set() and outcome.status == "cancelled"):
            self._record(job_id, status="queued")
            self.metrics.retries.inc()
            log_event("job queued again", id=job_id, attempts=job["attempts"], error=outcome.error)
            return
        error = json.dumps(outcome.error) if outcome.error else None
        if not self._record(job_id, status=outcome.status, error=error, ended=time.time()):
            return
        for name in (PORTRAIT, AUDIO):
            (self._folder / job_id / name).unlink(missing_ok=True)
        if not self._store.get(job_id):  # a client removed it meanwhile
            shutil.rmtree(self._folder / job_id, ignore_errors=True)
        seconds = time.monotonic() - started
        self.metrics.job_seconds.labels(outcome.status).observe(seconds)
        log_event(
            "job ended", id=job_id, status=outcome.status, seconds=round(seconds, 3), error=outcome.error
        )

    def _record(self, job_id: str, **values: Any) -> bool:
        """Write how a running job goes on, as soon as the store takes it. False after a stop before that: the
        job stays running, and the next start queues it again."""
        while True:
            try:
                self._store.change(job_id, only_from=("running",), **values)
                return True
            except SQLAlchemyError:
                _log.exception("the job store failed")
            if self._stopping.wait(SECONDS_UNTIL_STORE_IS_ASKED_AGAIN):
                return False

    def _clean(self) -> None:
        while True:
            try:
                self._clean_once()
            except Exception:  # what could not be cleaned is looked at again
                _log.exception("cleaning failed")
            if self._stopping.wait(SECONDS_BETWEEN_CLEANINGS):
                return

    def _clean_once(self) -> None:
        """Queue again what a failing store left running; remove jobs and videos some time after their end,
        and folders without a job."""
        with self._claiming:
            self._store.recover(in_hand=list(self._in_hand))
        for job_id in self._store.ended_before(time.time() - self._keep_seconds):
            self._store.remove(job_id)
        for folder in self._folder.iterdir():
            old = folder.stat().st_mtime < time.time() - SECONDS_OF_AN_UPLOAD
            if old and not self._store.get(folder.name):
                shutil.rmtree(folder, ignore_errors=True)
