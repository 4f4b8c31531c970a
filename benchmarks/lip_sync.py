"""Lip sync on held-out speakers, measured on rendered and tracked video.

lip_sync.py CLIPS --folds FOLDS.json              every clip by the model that has not seen it
lip_sync.py CLIPS --runs MODEL...                 every clip by each model
lip_sync.py CLIPS --folds F --audio-guidance 1 2 3 --temperature 0.5 1 --steps 6 12    r and amplitude of
all combinations, without pixels
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from sonimate.evaluate.lip_sync import (
    Fold,
    Take,
    lip_checks,
    read_folds,
    read_takes,
    score_takes,
    summarise,
    sweep,
)
from sonimate.evaluate.plots import plot_panels
from sonimate.evaluate.tables import publish
from sonimate.footage.sources import read_speakers
from sonimate.pipeline import SonicPipeline


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, help="folder of real clips; a MANIFEST.tsv may name speakers")
    models = parser.add_mutually_exclusive_group(required=True)
    models.add_argument(
        "--folds", type=Path, help='{"folds": [{"model": DIR, "clips" or "speakers": [...]}]}'
    )
    models.add_argument("--runs", nargs="+", metavar="MODEL", help="bundled names or model folders")
    parser.add_argument("--only", nargs="+", default=[], metavar="CLIP", help="names of the clips to use")
    parser.add_argument("--audio-guidance", nargs="+", type=float, default=[], help="sweep these values")
    parser.add_argument(
        "--temperature", nargs="+", type=float, default=[], help="sweep these initial temperatures"
    )
    parser.add_argument("--steps", nargs="+", type=int, default=[], help="sweep these numbers of steps")
    parser.add_argument("--seed", nargs="+", type=int, default=[], help="sweep these seeds")
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args(argv)
    if arguments.folds:
        measure(arguments, "lip_sync", read_folds(arguments.folds, read_speakers(arguments.clips)))
        return
    for run in arguments.runs:
        name = "lip_sync" if len(arguments.runs) == 1 else f"lip_sync_{Path(run).name}"
        measure(arguments, name, [Fold(run, tuple(arguments.only))])


def measure(arguments: argparse.Namespace, name: str, folds: list[Fold]) -> None:
    """Score or sweep one set of folds. A fold without clips takes all."""
    names = [clip for fold in folds for clip in fold.clips if not arguments.only or clip in arguments.only]
    takes = read_takes(arguments.clips, names)
    model_of = {
        take.name: fold.model for fold in folds for take in takes if take.name in fold.clips or not fold.clips
    }
    load = cache(SonicPipeline.from_pretrained)

    def pipeline_of(take: Take) -> SonicPipeline:
        return load(model_of[take.name])

    settings = {
        "audio_guidance": arguments.audio_guidance,
        "initial_temperature": arguments.temperature,
        "steps": arguments.steps,
        "seed": arguments.seed,
    }
    swept = {field: values for field, values in settings.items() if values}
    if swept:
        rows = list(sweep(takes, pipeline_of, swept))
        publish(f"{name}_sweep", arguments.out, rows=rows)
        plot(arguments.out / f"{name}_sweep.png", rows, list(swept))
        return
    scores = []
    for score in score_takes(takes, pipeline_of, arguments.out / name):
        print(
            f"{score.clip}: r {score.r:.2f}, lag {score.lag_ms:+.0f} ms, amplitude {score.amplitude:.2f}",
            flush=True,
        )
        scores.append(score)
    summary = summarise(scores)
    rows = [{**asdict(score), "model": model_of[score.clip]} for score in scores]
    publish(name, arguments.out, rows=rows, summary=summary, checks=lip_checks(summary))


def plot(path: Path, rows: list[dict[str, Any]], settings: list[str]) -> None:
    """r and amplitude along the first of the settings, one line for every combination of the others."""
    along, *others = settings
    lines = defaultdict(list)
    for row in rows:
        lines[", ".join(f"{name} {row[name]:g}" for name in others)].append(row)
    panels = {
        title: {
            label: ([row[along] for row in line], [row[key] for row in line]) for label, line in lines.items()
        }
        for key, title in (("mean_r", "Lip correlation r"), ("mean_amplitude", "Amplitude, generated / real"))
    }
    plot_panels(path, panels, x_label=along)


if __name__ == "__main__":
    main()
