"""Workers on a Ray cluster: an actor for every GPU, or every CPU where no machine has a GPU.

The files of the list and the folder of its videos must be on storage that all machines see under the same
paths.
"""

# pyright: basic
from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from sonimate.apps.jobs.batch_run import JobRunner
from sonimate.apps.jobs.job_options import Job
from sonimate.apps.jobs.workers import Limits, Outcome, Worker
from sonimate.distributed.prepare_ray import connect
from sonimate.errors import WorkerDied


class JobActor:
    """Owns a worker process on its machine."""

    def __init__(self, limits: Limits) -> None:
        self._worker = Worker(limits=limits)

    def run(self, job: Job) -> Outcome:
        return self._worker.run(job)

    def pids(self) -> tuple[int, int]:
        """Of this actor, and of its worker."""
        return os.getpid(), self._worker.pid


@contextmanager
def ray_runners(address: str, count: int | None, limits: Limits) -> Generator[list[JobRunner]]:
    """Actors of the cluster at `address` ("local" starts one here), by default one for every GPU or CPU.

    Raises ClusterUnreachable.
    """
    connect(address, count)
    try:
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        needs = {"num_gpus": 1} if gpus else {"num_cpus": 1}
        actor: Any = ray.remote(JobActor)
        actors = [
            actor.options(**needs, max_restarts=-1).remote(limits)
            for _ in range(count or gpus or int(resources.get("CPU", 1)))
        ]
        yield [_runner(each) for each in actors]
    finally:
        ray.shutdown()


def _runner(actor: Any) -> JobRunner:
    def run(job: Job, cancelled: threading.Event) -> Outcome:
        try:
            reference = actor.run.remote(job)
            while not ray.wait([reference], timeout=1.0)[0]:
                if cancelled.is_set():
                    return Outcome(error={"code": "job_cancelled", "message": "The batch was stopped."})
            return ray.get(reference)
        except RayError as error:
            died = WorkerDied(f"The actor of the job ended ({type(error).__name__}). Try again.")
            return Outcome(error={"code": died.code, "message": str(died)})

    return run
