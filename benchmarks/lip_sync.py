"""Lip sync on held-out speakers, measured on rendered and tracked video.

Each real clip is first re-timed by its own lag, or its source's, as `sonimate prepare` does it; raw_lag_ms is
the lag against the clip as it is in its file.

lip_sync.py CLIPS --folds FOLDS.json     each clip by the model that was not trained on its speaker
lip_sync.py CLIPS --runs MODEL...        each clip by each model
lip_sync.py CLIPS --folds FOLDS.json --audio-guidance 1 2 3 --temperature 0.5 1 --steps 6 12
                                         r and amplitude of all combinations, from motion that is not drawn
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from lib.clips import Fold, add_landmarks, read_folds
from lib.command import benchmark_parser
from lib.plots import plot_panels
from lib.report import publish
from lib.targets import lip_checks
from sonimate.evaluate.lips import Clip, compare_settings, score_clips, summarise
from sonimate.footage.clip_reading import read_clips, read_retimed_clips
from sonimate.footage.sources import read_speakers
from sonimate.pipeline import SonicPipeline


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("clips", type=Path, help="folder of real clips; a MANIFEST.tsv may name speakers")
    models = parser.add_mutually_exclusive_group(required=True)
    models.add_argument(
        "--folds", type=Path, help='{"folds": [{"model": DIR, "clips" or "speakers": [...]}]}'
    )
    models.add_argument("--runs", nargs="+", metavar="MODEL", help="bundled names or model folders")
    parser.add_argument("--only", nargs="+", default=[], metavar="CLIP", help="names of the clips to use")
    parser.add_argument("--audio-guidance", nargs="+", type=float, default=[], help="try these values")
    parser.add_argument(
        "--temperature", nargs="+", type=float, default=[], help="try these initial temperatures"
    )
    parser.add_argument("--steps", nargs="+", type=int, default=[], help="try these numbers of steps")
    parser.add_argument("--seed", nargs="+", type=int, default=[], help="try these seeds")
    parser.add_argument("--raw-timing", action="store_true", help="do not re-time the real clips")
    add_landmarks(parser)
    arguments = parser.parse_args(argv)
    if arguments.folds:
        measure(arguments, "lip_sync", read_folds(arguments.folds, read_speakers(arguments.clips)))
        return
    for run in arguments.runs:
        name = "lip_sync" if len(arguments.runs) == 1 else f"lip_sync_{Path(run).name}"
        measure(arguments, name, [Fold(run, tuple(arguments.only))])


def measure(arguments: argparse.Namespace, name: str, folds: list[Fold]) -> None:
    """Score one set of folds, or compare settings on it. A fold without clips uses all clips."""
    names = [clip for fold in folds for clip in fold.clips if not arguments.only or clip in arguments.only]
    read = read_clips if arguments.raw_timing else read_retimed_clips
    clips = read(arguments.clips, names, arguments.landmarks)
    model_for = {
        clip.name: fold.model for fold in folds for clip in clips if clip.name in fold.clips or not fold.clips
    }
    load = cache(SonicPipeline.from_pretrained)

    def pipeline_for(clip: Clip) -> SonicPipeline:
        return load(model_for[clip.name])

    settings = {
        "audio_guidance": arguments.audio_guidance,
        "initial_temperature": arguments.temperature,
        "steps": arguments.steps,
        "seed": arguments.seed,
    }
    swept = {field: values for field, values in settings.items() if values}
    if swept:
        rows = list(compare_settings(clips, pipeline_for, swept))
        publish(f"{name}_sweep", arguments.out, rows=rows)
        plot(arguments.out / f"{name}_sweep.png", rows, list(swept))
        return
    scores = []
    for score in score_clips(clips, pipeline_for, arguments.out / name):
        print(
            f"{score.clip}: r {score.r:.2f}, lag {score.lag_ms:+.0f} ms "
            f"(raw {score.raw_lag_ms:+.0f}, {score.retimed_by}), amplitude {score.amplitude:.2f}",
            flush=True,
        )
        scores.append(score)
    summary = summarise(scores)
    rows = [{**asdict(score), "model": model_for[score.clip]} for score in scores]
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
