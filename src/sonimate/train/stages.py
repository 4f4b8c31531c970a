"""The stages of the compact model's training, and the two commands that go through them: from public sources
to the bundled model (`sonimate recipe`), and cross-validation over speakers (`sonimate folds`).

Each step is a `sonimate` command in a process of its own, and each of these commands continues where it was
stopped: so do recipe and folds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType

from sonimate.clock import VIDEO_FPS
from sonimate.errors import FileMissing, OptionOutOfRange, StepFailed, TooFewClips
from sonimate.features.motion_samples import MotionSample, load_samples
from sonimate.media.files import replacing
from sonimate.speech.corpus_options import CorpusOptions
from sonimate.train.config import CompactConfig, read_changes, read_recipe

MINUTES = 120
"""Length of the synthetic speech: training then draws about as many windows of an utterance as it has."""
SPEECH = "speech"
STAGES = MappingProxyType(
    {
        "real": (
            *("steps=500", "real_share=0.5", "learning_rate=4e-4"),
            *("warmup_steps=20", "bucket_steps=200"),
        ),
        "student": (
            *("steps=200", "batch_size=8", "real_share=0.5", "distil_guidance=2.0"),
            *("learning_rate=3e-4", "warmup_steps=20", "bucket_steps=0", "sigma_std=2.0"),
        ),
    }
)
"""Settings of the stages after the first, which sees synthetic speech alone. "real" adds real clips, for
fewer steps: minutes of footage are soon memorised. "student" distils the sampler's default guidance over all
noise levels that the sampler visits."""


def check_recipe(footage: Path | None, out: Path, config: str | Path) -> None:
    """Check all that the steps of `recipe_commands` need, before the first one runs.

    Raises FileMissing, OptionOutOfRange, EngineMissing, RecordingsMissing.
    """
    from sonimate.footage.sources import find_footage
    from sonimate.speech.corpus import find_sources

    for settings in ((), *STAGES.values()):
        if not isinstance(read_recipe(config, **read_changes(settings)), CompactConfig):
            raise OptionOutOfRange(f"{config} is a recipe of the full model; give one of the compact model.")
    if footage is not None:
        find_footage(footage)
    find_sources(out / SPEECH, CorpusOptions(minutes=MINUTES))


def recipe_commands(
    footage: Path, out: Path, config: str | Path, *, seed: int, jobs: int
) -> Iterator[list[str]]:
    """The arguments of each `sonimate` command, in order; the last one trains OUT/student."""
    speech, shards, data = (str(out / name) for name in (SPEECH, "shards", "data"))
    yield ["speech", "-o", speech, "--minutes", str(MINUTES), "--jobs", str(jobs)]
    yield ["prepare", str(footage), "-o", shards]
    yield ["footage", "data-card", shards, "--speech", speech, "-o", str(out / "DATA_CARD.md")]
    yield ["features", shards, "-o", data, "--speech", speech]
    last = str(out / "synthetic")
    train, seeded = ["train", str(config), "--data", data, "-o"], ["--set", f"seed={seed}"]
    yield [*train, last, *seeded]
    for stage, settings in STAGES.items():
        run = str(out / stage)
        yield [*train, run, "--init", last, *seeded, *settings]
        last = run


def run_commands(commands: Iterable[Sequence[str]]) -> None:
    """Run `sonimate` with each of these arguments, one after another. Raises StepFailed at the first that
    fails."""
    for command in commands:
        print("$ sonimate", *command, flush=True)
        done = subprocess.run([sys.executable, "-m", "sonimate", *command])
        if done.returncode:
            raise StepFailed(
                f"`sonimate {command[0]}` ended with code {done.returncode}; its message is above. Fix that, "
                "and repeat the command: finished steps are kept."
            )


def speaker_folds(seconds: dict[str, float], count: int) -> list[list[str]]:
    """Divide speakers (name -> seconds of footage) into `count` groups of about the same length: the longest
    speaker first, each into the shortest group so far."""
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


def train_folds(
    config: str | Path,
    data: Path,
    out: Path,
    init: str,
    *,
    folds: int,
    seed: int = 0,
    stages: Sequence[str] = tuple(STAGES),
) -> None:
    """Train one model a fold, without the speakers of the fold, through `stages`, starting from `init`, which
    must not know any speaker. Writes OUT/STAGE.json, which `benchmarks/lip_sync.py --folds` reads. The codec,
    the gestures and the reduction of audio features in `data` were fitted to the speakers of all folds.

    Raises FileMissing, TooFewClips, OptionOutOfRange before the first step, and StepFailed.
    """
    for stage in stages:
        read_recipe(config, **read_changes(STAGES[stage]))
    clips = real_clips(load_samples(data / "samples"))
    if not clips:
        raise FileMissing(
            f"{data} holds no samples of footage. Give a folder that `sonimate features` wrote from shards."
        )
    if not 2 <= folds <= len(clips):
        raise TooFewClips(
            f"{len(clips)} speakers do not divide into {folds} folds. Set --folds from 2 to the number of "
            "speakers, or prepare footage of more people."
        )
    groups = speaker_folds({speaker: sum(seconds.values()) for speaker, seconds in clips.items()}, folds)
    starts = [init] * folds
    for stage in stages:
        entries = []
        for index, speakers in enumerate(groups):
            run = str(out / f"fold{index}-{stage}")
            command = ["train", str(config), "--data", str(data), "-o", run, "--init", starts[index], "--set"]
            run_commands([[*command, f"seed={seed}", f"held_out={json.dumps(speakers)}", *STAGES[stage]]])
            starts[index] = run
            names = sorted(name for speaker in speakers for name in clips[speaker])
            entries.append({"model": f"{run}/model", "speakers": speakers, "clips": names})
        with replacing(out / f"{stage}.json") as partial:
            partial.write_text(json.dumps({"folds": entries}, indent=2) + "\n", encoding="utf-8")
