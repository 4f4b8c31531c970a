"""From public sources to the bundled model by one command: `python -m sonimate.train.recipe -o OUT`.

Clips are fetched, unless a folder of others is given, and prepared, speech is made, and both are turned into
training data. The compact model is trained in three stages: on synthetic speech alone, with real clips
beside it, and as a student that predicts in one call what guidance makes of two. A run that was stopped goes
on where it was. The model is OUT/student/model.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MINUTES = 120
"""Of synthetic speech: each utterance is seen about as often as its windows differ."""
STAGES = {
    "real": (
        "steps=300",
        "batch_size=8",
        "real_share=0.6",
        "learning_rate=4e-4",
        "warmup_steps=20",
        "bucket_steps=100",
    ),
    "student": (
        "steps=150",
        "batch_size=8",
        "real_share=0.5",
        "learning_rate=3e-4",
        "warmup_steps=20",
        "bucket_steps=0",
        "distil_guidance=2.0",
        "sigma_std=2.0",
    ),
}
"""Settings of the stages after the first. Real clips: briefly, for a minute and a half of footage is
soon known by heart. The student: guidance of the sampler's default, over all noise levels that it visits."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sonimate.train.recipe", description=__doc__)
    parser.add_argument(
        "footage",
        type=Path,
        nargs="?",
        help="folder of videos of talking people; by default, the public clips are fetched",
    )
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("configs/compact.yaml"))
    parser.add_argument("--seed", type=int, default=0, help="of training; the data's is 0")
    parser.add_argument("--jobs", type=int, default=1, help="processes that make speech")
    arguments = parser.parse_args()
    for command in commands(**vars(arguments)):
        print("$", *command, flush=True)
        done = subprocess.run([sys.executable, "-m", *command])
        if done.returncode:
            sys.exit(done.returncode)


def commands(footage: Path | None, out: Path, config: Path, seed: int, jobs: int) -> Iterator[list[str]]:
    """The modules to run, each with its arguments."""
    speech, shards, data = (str(out / name) for name in ("speech", "shards", "data"))
    if footage is None:
        footage = out / "clips"
        yield ["sonimate.footage.public_clips", str(footage)]
    yield ["sonimate", "speech", "-o", speech, "--minutes", str(MINUTES), "--jobs", str(jobs)]
    yield ["sonimate", "prepare", str(footage), "-o", shards]
    yield ["sonimate.features", shards, "-o", data, "--speech", speech]
    train = ["sonimate", "train", str(config), "--data", data]
    last = str(out / "synthetic")
    yield [*train, "-o", last, "--set", f"seed={seed}"]
    for stage, settings in STAGES.items():
        run = str(out / stage)
        yield [*train, "-o", run, "--init", last, "--set", f"seed={seed}", *settings]
        last = run


if __name__ == "__main__":
    main()
