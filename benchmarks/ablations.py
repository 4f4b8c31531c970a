"""Table 3 of the paper at the compact size: what temporal audio attention, the motion controller and the
position shift do, on real clips of people whom no model has seen.

ablations.py CLIPS --data DATA     DATA of `python -m sonimate.features`

Trains three models a seed on synthetic speech alone, under OUT/ablations, where a run that was stopped goes
on, and animates the first frame of every real clip of DATA with its own sound and its own motion buckets.
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

from sonimate.configs import COMPACT
from sonimate.evaluate.ablation import Reading, read_model
from sonimate.evaluate.lip_sync import read_takes
from sonimate.evaluate.tables import publish
from sonimate.features.motion_samples import load_samples
from sonimate.pipeline import SonicPipeline

RECIPE = Path(__file__).parents[1] / "configs" / "compact.yaml"
STEPS, BATCH_SIZE, WARMUP_STEPS = 250, 8, 30
"""A twelfth of the windows that the bundled model's first stage sees: nine such runs take half an hour."""


@dataclass(frozen=True)
class Variant:
    """training: settings of the recipe. sampling: of SamplingOptions."""

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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--jobs", type=int, default=1, help="runs that train at the same time")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args(argv)
    plan = [(variant, seed) for seed in arguments.seeds for variant in trained()]
    with ThreadPoolExecutor(arguments.jobs) as workers:
        list(workers.map(lambda task: train(task[0], task[1], arguments), plan))

    samples = load_samples(arguments.data / "samples")
    buckets = {sample.clip_id.source: sample.buckets for sample in samples if sample.is_footage}
    takes = read_takes(arguments.clips, sorted(buckets))
    readings: dict[str, list[Reading]] = {variant.name: [] for variant in VARIANTS}
    for seed in arguments.seeds:
        for variant in VARIANTS:
            pipeline = SonicPipeline.from_pretrained(folder(variant, seed, arguments.out) / "model")
            sampling = replace(COMPACT, seed=COMPACT.fixed_seed + seed, **variant.sampling)
            reading = read_model(pipeline, takes, buckets, sampling)
            readings[variant.name].append(reading)
            print(variant.name, seed, reading, flush=True)
    rows = [{"model": name, **summary(some)} for name, some in readings.items()]
    clips = np.array(list(buckets.values())).mean(0)
    publish(
        "ablations",
        arguments.out,
        rows=rows,
        summary={"clips": len(takes), "real head": clips[0], "real expression": clips[1]},
    )


def trained() -> list[Variant]:
    """Those that need a model of their own: the others differ in sampling alone."""
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
    command = [sys.executable, "-m", "sonimate", "train", str(RECIPE), "--data", str(arguments.data)]
    command += ["-o", str(run), "--set", *settings, *variant.training]
    subprocess.run(command, check=True)


def summary(readings: Sequence[Reading]) -> dict[str, str]:
    """Mean and standard deviation over seeds of every field."""
    table = {name: [asdict(reading)[name] for reading in readings] for name in asdict(readings[0])}
    return {
        name: f"{np.mean(values):.2f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.2f}"
        for name, values in table.items()
    }


if __name__ == "__main__":
    main()
