"""Cross-validation over groups of speakers.

`python -m sonimate.train.folds CONFIG --data DIR --out OUT --init RUN` trains one model a fold, without that
fold's speakers, from a run that saw synthetic speech only, through the later stages of `train.recipe`. It
writes OUT/STAGE.json for `benchmarks/lip_sync.py --folds`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from sonimate.data.compact.samples import load_samples
from sonimate.train.recipe import STAGES

UNCHANGED = "@1.0v0"
"""Suffix of the version of a real clip at its own speed and with its own sound."""


def speaker_folds(seconds: dict[str, float], count: int) -> list[list[str]]:
    """Divide speakers (name -> seconds of footage) into `count` groups of about the same length: the longest
    first, each into the shortest group so far."""
    groups: list[list[str]] = [[] for _ in range(count)]
    for speaker in sorted(seconds, key=lambda name: (-seconds[name], name)):
        min(groups, key=lambda group: sum(seconds[name] for name in group)).append(speaker)
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sonimate.train.folds", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, required=True, help="run folder of the synthetic-speech stage")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    arguments = parser.parse_args()
    clips: dict[str, list[str]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    for sample in load_samples(arguments.data / "samples"):
        if sample.source == "real" and sample.name.endswith(UNCHANGED):
            clips[sample.speaker].append(sample.name.partition("#")[0])
            seconds[sample.speaker] += len(sample.expression) / 25
    groups = speaker_folds(seconds, arguments.folds)
    starts = [arguments.init] * len(groups)
    for stage in arguments.stages:
        runs = [arguments.out / f"fold{index}-{stage}" for index in range(len(groups))]
        for run, start, speakers in zip(runs, starts, groups, strict=True):
            if not (run / "model" / "model_index.json").exists():
                command = [sys.executable, "-m", "sonimate", "train", str(arguments.config)]
                command += ["--data", str(arguments.data), "--out", str(run), "--init", str(start)]
                command += ["--hold-out", ",".join(speakers)]
                command += ["--set", f"seed={arguments.seed}", *STAGES[stage]]
                subprocess.run(command, check=True)
        entries = [
            {
                "model": str(run / "model"),
                "speakers": speakers,
                "clips": sorted({name for speaker in speakers for name in clips[speaker]}),
            }
            for run, speakers in zip(runs, groups, strict=True)
        ]
        (arguments.out / f"{stage}.json").write_text(json.dumps({"folds": entries}, indent=2) + "\n")
        starts = runs


if __name__ == "__main__":
    main()
