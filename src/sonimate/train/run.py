"""A whole training run: the recipe, the data and the start make a task, which goes through both stages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelerate import PartialState

from sonimate.checkpoints.registry import INDEX, is_full, model_folder
from sonimate.errors import OptionOutOfRange
from sonimate.train.bucket_stage import BUCKETS, bucket_config
from sonimate.train.compact_task import CompactData, CompactTask
from sonimate.train.config import CompactConfig, FullConfig, read_config
from sonimate.train.full_task import FullTask
from sonimate.train.loop import Trainer
from sonimate.train.run_identity import about_run, claim
from sonimate.types import Progress, no_progress


def train(
    recipe: Path,
    data: Path,
    out: Path,
    *,
    init: str | None = None,
    changes: dict[str, Any] | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Train by a recipe until done, from where a stopped run was; returns the model's folder. A run that is
    done is only written once more.

    data: of `python -m sonimate.features` or `python -m sonimate.features.latents`. init: a bundled model's
    name, a model folder, or the folder of a run; the full size needs one. changes: settings that differ from
    the recipe. Raises SonimateError.
    """
    config = read_config(recipe, **changes or {})
    start = None if init is None else starting_model(init)
    if isinstance(config, CompactConfig):
        compact = CompactData.load(data)
        claim(out, about_run(config, start, _rows_of_compact(compact)))
        task = CompactTask(config, compact, start)
    elif isinstance(config, FullConfig) and start is not None and is_full(start):
        from sonimate.features.latents import read_latents

        clips = read_latents(data, start)
        rows = ((str(c.clip_id), c.speaker, c.latents.shape, c.buckets.tolist()) for c in clips)
        claim(out, about_run(config, start, rows))
        task = FullTask(config, clips, start, out / "validation")
    else:
        raise OptionOutOfRange(
            "The full size starts from a full model. Give its folder by --init; docs/training.md tells how "
            "to make one of Stable Video Diffusion XT."
        )
    Trainer(task, config, out).run(progress)
    model = out / "model"
    if config.bucket_steps:
        Trainer(task.bucket_task(model), bucket_config(config), out / BUCKETS).run(progress, "buckets")
    PartialState().destroy_process_group()
    return model


def starting_model(init: str) -> Path:
    """The folder of a model, or of the model that a run has made. Raises UnknownModel."""
    made = Path(init) / "model"
    return made if (made / INDEX).is_file() else model_folder(init)


def _rows_of_compact(data: CompactData) -> Iterator[tuple[object, ...]]:
    """What tells samples, and the features they are reduced to, from others."""
    features = [hashlib.sha256(reducer.components.tobytes()).hexdigest() for reducer in data.reducers]
    for sample in data.samples:
        shapes = sample.expression.shape, sample.token_rows.shape
        yield str(sample.clip_id), sample.speaker, sample.kind, shapes, sample.buckets.tolist(), features
