"""Table 3 of the paper at the compact size: the effect of temporal audio attention, of the motion controller
and of the position shift, on real clips of people on whom no model was trained.

ablations.py CLIPS --data DATA     DATA: folder that `sonimate features` wrote

For each seed, trains three models on synthetic speech alone, in OUT/ablations; an interrupted run continues.
Then animates the first frame of every real clip of DATA with its own sound and its own motion buckets.
About forty minutes on one core.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lib.ablation import AblationScore, score_model
from lib.clips import read_clips
from lib.command import benchmark_parser
from lib.report import publish
from sonimate.configs import COMPACT
from sonimate.features.motion_samples import load_samples
from sonimate.pipeline import SonicPipeline

STEPS, BATCH_SIZE, WARMUP_STEPS = 250, 8, 30
"""A twelfth of the windows of the bundled model's first training stage: nine such runs take half an hour."""


@dataclass(frozen=True)
class Variant:
    """A model or a way to sample. training: settings of the recipe. sampling: fields of SamplingOptions."""

    name: str
    training: tuple[str, ...] = ()
    sampling: dict[str, Any] = field(default_factory=dict)


VARIANTS = (
    Variant("full"),
    Variant("without temporal audio", ("temporal_audio=false",)),
    Variant("without motion controller", ("motion_controller=false",)),
    Variant("without shift", sampling={"windows": "independent"}),
)


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--jobs", type=int, default=1, help="runs that train at the same time")
    arguments = parser.parse_args(argv)
    plan = [(variant, seed) for seed in arguments.seeds for variant in trained()]
    with ThreadPoolExecutor(arguments.jobs) as workers:
        list(workers.map(lambda task: train(task[0], task[1], arguments), plan))

    samples = load_samples(arguments.data / "samples")
    buckets = {sample.clip_id.source: sample.buckets for sample in samples if sample.is_footage}
    clips = read_clips(arguments.clips, sorted(buckets))
    scores: dict[str, list[AblationScore]] = {variant.name: [] for variant in VARIANTS}
    for seed in arguments.seeds:
        for variant in VARIANTS:
            pipeline = SonicPipeline.from_pretrained(folder(variant, seed, arguments.out) / "model")
            sampling = replace(COMPACT, seed=COMPACT.fixed_seed + seed, **variant.sampling)
            score = score_model(pipeline, clips, buckets, sampling)
            scores[variant.name].append(score)
            print(variant.name, seed, score, flush=True)
    rows = [{"model": name, **summary(some)} for name, some in scores.items()]
    head, expression = np.mean(list(buckets.values()), axis=0).tolist()
    real = {"clips": len(clips), "real head": head, "real expression": expression}
    publish("ablations", arguments.out, rows=rows, summary=real)


def trained() -> list[Variant]:
    """The variants that need a model of their own; the others differ only in sampling."""
    return [variant for variant in VARIANTS if variant.training or not variant.sampling]


def folder(variant: Variant, seed: int, out: Path) -> Path:
    name = variant.name if variant.training else "full"
    return out / "ablations" / f"{name.replace(' ', '-')}-{seed}"


def train(variant: Variant, seed: int, arguments: argparse.Namespace) -> None:
    run = folder(variant, seed, arguments.out)
    settings = [
        f"steps={arguments.steps}",
        f"batch_size={BATCH_SIZE}",
        f"warmup_steps={WARMUP_STEPS}",
        f"seed={seed}",
        "real_share=0",
        "bucket_steps=100",
    ]
    command = [sys.executable, "-m", "sonimate", "train", "compact", "--data", str(arguments.data)]
    command += ["-o", str(run), "--set", *settings, *variant.training]
    subprocess.run(command, check=True)


def summary(scores: Sequence[AblationScore]) -> dict[str, str]:
    """Mean and standard deviation over seeds of every field."""
    table = {name: [asdict(score)[name] for score in scores] for name in asdict(scores[0])}
    return {
        name: f"{np.mean(values):.2f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.2f}"
        for name, values in table.items()
    }


if __name__ == "__main__":
    main()
