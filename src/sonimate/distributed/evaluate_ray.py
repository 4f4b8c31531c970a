"""Evaluation on a Ray cluster: each worker sees whole videos and leaves their features in the shared
cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import ray
import ray.data

from sonimate.distributed.prepare_ray import connect
from sonimate.evaluate.suite import WatchClips


class _Watcher:
    """Loads the detectors once and sees one video per call."""

    def __init__(self, watch: WatchClips):
        self._watch = watch

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        return {"path": str(self._watch(Path(row["path"])))}


def watch_on_ray(
    paths: Sequence[Path], watch: WatchClips, *, address: str, workers: int | None = None
) -> Iterator[Path]:
    """An `evaluate.suite.Runner` on the cluster at `address` ("local" starts one on this machine).

    workers: processes with one CPU each, by default as many as the cluster has CPUs. Raises
    ClusterUnreachable.
    """
    connect(address, workers)
    try:
        limit = min(workers or int(ray.cluster_resources().get("CPU", 1)), len(paths))
        rows = [{"path": str(path)} for path in paths]
        seen = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            cast(Any, _Watcher),
            fn_constructor_args=(watch,),
            compute=ray.data.ActorPoolStrategy(size=limit),
            num_cpus=1,
        )
        for row in seen.iter_rows():
            yield Path(row["path"])
    finally:
        ray.shutdown()
