"""Data preparation on a Ray cluster: every file of footage is a task, done by the same stages.

Footage and output must be on storage that all machines see under the same paths, as clusters have it:
workers write finished files to the output's cache, and the driver packs the shards.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import ray
import ray.data

from sonimate.errors import ClusterUnreachable
from sonimate.footage.prepare_options import PrepareOptions
from sonimate.footage.preparer import Preparer, Source, Task

LOCAL = "local"
ONE_THREAD = {"env_vars": {"OMP_NUM_THREADS": "1"}}
"""Sums over several threads differ in their last digits: with one, all machines agree."""


class _Worker:
    """Loads the networks once and prepares one source per call."""

    def __init__(self, options: PrepareOptions):
        self._preparer = Preparer(options)

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        source = Source(row["name"], Path(row["path"]), row["speaker"])
        self._preparer(source, Path(row["done"]))
        return {"name": source.name}


def run_on_ray(
    tasks: Sequence[Task], options: PrepareOptions, *, address: str, workers: int | None = None
) -> Iterator[str]:
    """A `footage.preparer.Runner` on the cluster at `address` ("local" starts one on this machine).

    workers: processes with one CPU each, by default as many as the cluster has CPUs.
    Raises ClusterUnreachable.
    """
    connect(address, workers)
    try:
        limit = min(workers or int(ray.cluster_resources().get("CPU", 1)), len(tasks))
        rows = [
            {"name": source.name, "path": str(source.path), "speaker": source.speaker, "done": str(done)}
            for source, done in tasks
        ]
        prepared = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            cast(Any, _Worker),
            fn_constructor_args=(options,),
            compute=ray.data.ActorPoolStrategy(size=limit),
            num_cpus=1,
        )
        for row in prepared.iter_rows():
            yield row["name"]
    finally:
        ray.shutdown()


def connect(address: str, workers: int | None) -> None:
    """Join the cluster at `address`; "local" starts one here with `workers` CPUs. Raises
    ClusterUnreachable."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    started_here = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {}
    quiet = {"log_to_driver": False, "logging_level": logging.WARNING}
    try:
        ray.init(address, runtime_env=ONE_THREAD, **quiet, **started_here)
    except (ConnectionError, ValueError) as error:
        raise ClusterUnreachable(
            f"No Ray cluster answers at {address} ({error}). Give an address such as 10.0.0.1:6379, start "
            "one with `ray start --head`, or use --ray local."
        ) from error
