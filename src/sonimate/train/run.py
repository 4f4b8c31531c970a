"""A whole training run: recipe, data and starting model become a task, which is trained in both stages."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import PartialState

from sonimate.checkpoints.registry import INDEX, is_full, model_folder
from sonimate.errors import OptionOutOfRange
from sonimate.media.folders import files_fingerprint, fingerprint, locked
from sonimate.train.compact_task import CompactData, CompactTask
from sonimate.train.config import CompactConfig, FullConfig, TrainConfig, read_recipe
from sonimate.train.loop import Trainer
from sonimate.train.run_folder import RECORD, RunFolder
from sonimate.train.task import BUCKETS, bucket_config
from sonimate.types import Progress, no_progress

WITHOUT_EFFECT = (
    *("accumulation", "gradient_checkpointing", "checkpoint_every"),
    *("validate_every", "validation_clips", "sampling"),
)
"""Settings that change no trained number: memory of a step, checkpoints, validation."""
UNCALIBRATED = (
    "%s has motion buckets in sonimate's own unit. A converted Sonic release learned another unit, and this "
    "run teaches it ours. To keep its unit, repeat `sonimate features` with --calibrate-buckets. (A model "
    "made from Stable Video Diffusion has learned none yet.)"
)
_log = logging.getLogger("sonimate")


def train(
    recipe: str | Path,
    data: Path,
    out: Path,
    *,
    init: str | None = None,
    changes: dict[str, Any] | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Train by a recipe to the end, from the last checkpoint in `out` if there is one; returns the folder of
    the model. A finished run only writes its model again.

    recipe: path of a YAML file, or the name of a recipe of the package. data: a folder of `sonimate
    features`. init: a bundled model's name, a model folder, or the folder of a run; the full size needs one.
    changes: settings that differ from the recipe. Raises SonimateError.
    """
    config = read_recipe(recipe, **changes or {})
    start = None
    if init is not None:
        trained = Path(init) / "model"
        start = trained if (trained / INDEX).is_file() else model_folder(init)
    first_process = is_first_process()
    samples, make_task = _read_data(config, data, start, out)
    with locked(out) if first_process else nullcontext():
        RunFolder(out).claim(run_record(config, start, samples), write=first_process)
        task = make_task()
        Trainer(task, config, out).run(progress)
        model = out / "model"
        if config.bucket_steps:
            stage = Trainer(task.bucket_task(model), bucket_config(config), out / BUCKETS)
            stage.run(progress, "buckets")
        PartialState().destroy_process_group()
    return model


def is_first_process() -> bool:
    """Whether this is the first, or the only, of the processes that torchrun or accelerate launch started."""
    return os.environ.get("RANK", "0") == "0"


def run_record(config: TrainConfig, init: Path | None, samples: Iterable[object]) -> dict[str, Any]:
    """What the results of a run depend on, as JSON values.

    init: the folder of a model. samples: an object for each sample, whose `repr` identifies it.
    """
    settings = {name: value for name, value in asdict(config).items() if name not in WITHOUT_EFFECT}
    rows = sorted(map(repr, samples))
    record = {
        "size": type(config).__name__,
        "settings": settings,
        "init": None if init is None else files_fingerprint(init, "**/*.safetensors"),
        "data": f"{len(rows)} samples, {fingerprint(*rows)}",
    }
    return json.loads(json.dumps(record))


def _read_data(
    config: TrainConfig, data: Path, start: Path | None, out: Path
) -> tuple[Iterable[object], Callable[[], Any]]:
    """Facts about each sample and its features, for the record, and a function that makes the task."""
    if isinstance(config, CompactConfig):
        compact = CompactData.load(data)
        fitted = [fingerprint(reducer.components.tobytes()) for reducer in compact.reducers]
        facts = []
        for sample in compact.samples:
            shapes = sample.expression.shape, sample.token_rows.shape
            buckets = sample.buckets.tolist()
            facts.append((str(sample.clip_id), sample.speaker, sample.kind, shapes, buckets, fitted))
        return facts, lambda: CompactTask(config, compact, start)
    if isinstance(config, FullConfig) and start is not None and is_full(start):
        from sonimate.features.calibration import is_calibrated
        from sonimate.features.latents import read_latents
        from sonimate.train.full_task import FullTask

        known_unit = is_calibrated(data) or (start.parent / RECORD).exists()
        if not known_unit and is_first_process():
            _log.warning(UNCALIBRATED, data)
        clips = read_latents(data, start)
        facts = [(str(c.clip_id), c.speaker, c.latents.shape, c.buckets.tolist()) for c in clips]
        return facts, lambda: FullTask(config, clips, start, out / "validation")
    raise OptionOutOfRange(
        "The full size starts from a full model. Give its folder by --init; docs/training.md says how to "
        "make one from Stable Video Diffusion XT."
    )
