"""Cross-validation over groups of speakers.

`python -m sonimate.train.folds CONFIG --data DIR --out OUT --init RUN` trains one model a fold, without that
fold's speakers, from a run that saw synthetic speech only, through the later stages of `train.recipe`. It
writes OUT/STAGE.json for `benchmarks/lip_sync.py --folds`. Repeated, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from sonimate.clock import VIDEO_FPS
from sonimate.errors import FileMissing, SonimateError, TooFewClips
from sonimate.features.motion_samples import MotionSample, load_samples
from sonimate.train.recipe import STAGES


def speaker_folds(seconds: dict[str, float], count: int) -> list[list[str]]:
    """Divide speakers (name -> seconds of footage) into `count` groups of about the same length: the longest
    first, each into the shortest group so far."""
    groups: list[list[str]] = [[] for _ in range(count)]
    for speaker in sorted(seconds, key=lambda name: (-seconds[name], name)):
        min(groups, key=lambda group: sum(seconds[name] for name in group)).append(speaker)
    return groups


def real_clips(samples: Iterable[MotionSample]) -> dict[str, dict[str, float]]:
    """Seconds of real footage, by speaker and file."""
    clips: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for sample in samples:
        if sample.is_footage:
            clips[sample.speaker][sample.clip_id.source] += len(sample.expression) / VIDEO_FPS
    return clips


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sonimate.train.folds", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, required=True, help="run folder of the synthetic-speech stage")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    try:
        return train_folds(parser.parse_args(argv))
    except SonimateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def train_folds(arguments: argparse.Namespace) -> int:
    """Exit code of the first run that failed, or 0. Raises FileMissing, TooFewClips."""
    clips = real_clips(load_samples(arguments.data / "samples"))
    if not clips:
        raise FileMissing(
            f"{arguments.data} holds no real samples. Give the folder that python -m sonimate.features "
            "has written from footage."
        )
    if not 2 <= arguments.folds <= len(clips):
        raise TooFewClips(
            f"{len(clips)} speakers do not divide into {arguments.folds} folds. Set --folds from 2 to their "
            "number, or prepare footage of more."
        )
    groups = speaker_folds(
        {speaker: sum(seconds.values()) for speaker, seconds in clips.items()}, arguments.folds
    )
    starts = [arguments.init] * len(groups)
    for stage in arguments.stages:
        runs = [arguments.out / f"fold{index}-{stage}" for index in range(len(groups))]
        for run, start, speakers in zip(runs, starts, groups, strict=True):
            command = [sys.executable, "-m", "sonimate", "train", str(arguments.config)]
            command += ["--data", str(arguments.data), "--out", str(run), "--init", str(start), "--set"]
            command += [f"seed={arguments.seed}", f"held_out={json.dumps(speakers)}", *STAGES[stage]]
            done = subprocess.run(command)
            if done.returncode:
                return done.returncode
        entries = [
            {
                "model": str(run / "model"),
                "speakers": speakers,
                "clips": sorted(name for speaker in speakers for name in clips[speaker]),
            }
            for run, speakers in zip(runs, groups, strict=True)
        ]
        (arguments.out / f"{stage}.json").write_text(json.dumps({"folds": entries}, indent=2) + "\n")
        starts = runs
    return 0


if __name__ == "__main__":
    sys.exit(main())
