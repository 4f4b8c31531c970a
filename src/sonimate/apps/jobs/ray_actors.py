"""Workers on a Ray cluster: an actor for every GPU, or every CPU where no machine has a GPU.

The files of jobs must be on storage that all machines see under the same paths.
"""

# pyright: basic
from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError

from sonimate.apps.jobs.job_options import Job
from sonimate.apps.jobs.workers import JobProgress, Limits, Outcome, Worker
from sonimate.distributed.prepare_ray import connect
from sonimate.errors import JobCancelled, WorkerDied

SECONDS_BETWEEN_QUESTIONS = 0.3
Step = tuple[str, int, int]
"""Stage, done and total, as in `types.Progress`."""


class JobActor:
    """Owns a worker process on its machine. `run` and `step` are called at the same time."""

    def __init__(self, limits: Limits) -> None:
        self._worker = Worker(limits=limits)
        self._step: Step | None = None
        self._cancelled = threading.Event()

    def run(self, job: Job) -> Outcome:
        """See `Worker.run`."""
        self._step = None
        self._cancelled.clear()
        return self._worker.run(job, self._note, self._cancelled)

    def step(self, cancelled: bool) -> Step | None:
        """How far the job is; `cancelled` stops it."""
        if cancelled:
            self._cancelled.set()
        return self._step

    def pids(self) -> tuple[int, int]:
        """Of this actor, and of its worker."""
        return os.getpid(), self._worker.pid

    def _note(self, *step: Any) -> None:
        self._step = step


class RayRunner:
    """A `JobRunner`: has an actor make videos. An actor that ends is started again by Ray."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    def run(
        self, job: Job, progress: JobProgress | None = None, cancelled: threading.Event | None = None
    ) -> Outcome:
        """See `Worker.run`."""
        cancelled = cancelled or threading.Event()
        job = replace(job, folder=os.path.abspath(job.folder))
        try:
            made = self.actor.run.remote(job)
            while not ray.wait([made], timeout=SECONDS_BETWEEN_QUESTIONS)[0]:
                step = ray.get(self.actor.step.remote(cancelled.is_set()))
                if step and progress:
                    progress(*step)
            return ray.get(made)
        except RayError as error:
            self._wait_for_restart(cancelled)
            if cancelled.is_set():
                ended: JobCancelled | WorkerDied = JobCancelled("The job was cancelled.")
            else:
                ended = WorkerDied(f"The actor of the job ended ({type(error).__name__}). Try again.")
            return Outcome(error={"code": ended.code, "message": str(ended)})

    def close(self) -> None:
        """End the actor and its worker."""
        ray.kill(self.actor)

    def _wait_for_restart(self, cancelled: threading.Event) -> None:
        """Return when the actor answers: until then, it would fail every job that it is given."""
        while not cancelled.is_set():
            try:
                ray.get(self.actor.pids.remote(), timeout=SECONDS_BETWEEN_QUESTIONS)
                return
            except RayError:
                cancelled.wait(SECONDS_BETWEEN_QUESTIONS)


@contextmanager
def ray_runners(address: str, count: int | None, limits: Limits) -> Generator[list[RayRunner]]:
    """Actors of the cluster at `address` ("local" starts one here), by default one for every GPU or CPU.

    Raises ClusterUnreachable.
    """
    connect(address, count)
    try:
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        needs = {"num_gpus": 1} if gpus else {"num_cpus": 1}
        actor: Any = ray.remote(JobActor)
        yield [
            RayRunner(actor.options(**needs, max_restarts=-1, max_concurrency=2).remote(limits))
            for _ in range(count or gpus or int(resources.get("CPU", 1)))
        ]
    finally:
        ray.shutdown()
