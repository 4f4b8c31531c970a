"""`python -m sonimate.speech OUT --minutes 90 --seed 0 --jobs 1`: write a corpus of utterances.

OUT/NNNN.npz per utterance (see corpus.save), OUT/pool-LANGUAGE.npz with the aligned human phrases, and
OUT/manifest.json. Running it again goes on where it stopped; with more minutes, it adds to what is there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

from sonimate.errors import RecordingsMissing, SonimateError
from sonimate.media.files import write_errors
from sonimate.speech.corpus import MEAN_SECONDS, Spec, compose, facts_of, plan, save
from sonimate.speech.folder import FIRST_SEED, claim, utterance_path
from sonimate.speech.harvest import build_pool
from sonimate.speech.pool import Phrase, load_pool
from sonimate.speech.recordings import ASTERISK_FOLDERS, Recording, packaged
from sonimate.speech.voices import require_engines


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sonimate.speech", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--asterisk", type=Path, default=Path("/usr/share/asterisk/sounds"))
    parser.add_argument("--documents", type=Path, default=Path("/usr/share/doc"))
    parser.add_argument("--testdata", type=Path, default=Path("/usr/share/pocketsphinx/test/data"))
    return parser.parse_args(argv)


def _pool_path(out: Path, language: str) -> Path:
    return out / f"pool-{language}.npz"


def _build(task: tuple[list[Recording], Path]) -> None:
    build_pool(*task)


@cache
def _pools(out: Path) -> dict[str, list[Phrase]]:
    """By language. Raises RecordingsMissing when one is empty."""
    pools = {language: load_pool(_pool_path(out, language))[0] for language in ASTERISK_FOLDERS}
    for language, phrases in pools.items():
        if not phrases:
            raise RecordingsMissing(
                f"{_pool_path(out, language)} holds no phrases: it was made without recordings. Delete {out} "
                "and run again."
            )
    return pools


def _make(task: tuple[Spec, Path, int]) -> None:
    spec, out, seed = task
    path = utterance_path(out, spec.index)
    if not path.exists():
        save(compose(spec, _pools(out), seed), path)


def _write_manifest(out: Path, count: int) -> None:
    utterances = [facts_of(utterance_path(out, index)) for index in range(count)]
    minutes: Counter[str] = Counter()
    rejects: Counter[str] = Counter()
    for facts in utterances:
        minutes[facts["voice"]] += facts["seconds"] / 60
        rejects.update(facts["rejects"])
    report = {
        "minutes": sum(minutes.values()),
        "minutes_by_voice": {voice: round(value, 2) for voice, value in sorted(minutes.items())},
        "rejected_sentences": dict(rejects),
        "rejected_recordings": {
            language: load_pool(_pool_path(out, language))[1] for language in ASTERISK_FOLDERS
        },
        "utterances": utterances,
    }
    (out / "manifest.json").write_text(json.dumps(report, ensure_ascii=False, indent=1))
    print(json.dumps({key: value for key, value in report.items() if key != "utterances"}, indent=1))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    try:
        _run(_arguments(argv))
    except SonimateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _run(arguments: argparse.Namespace) -> None:
    """Build the pools, plan, compose every utterance that is not there yet, write the manifest."""
    out, seed = arguments.out, arguments.seed
    count = round(arguments.minutes * 60 / MEAN_SECONDS)
    recordings = packaged(
        [language for language in ASTERISK_FOLDERS if not _pool_path(out, language).exists()],
        sounds=arguments.asterisk,
        documents=arguments.documents,
        testdata=arguments.testdata,
    )
    if not all(utterance_path(out, index).exists() for index in range(count)):
        require_engines()
    with write_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    claim(out, seed=seed, count=count)
    with ProcessPoolExecutor(arguments.jobs) as workers:
        list(workers.map(_build, [(some, _pool_path(out, name)) for name, some in recordings.items()]))
        tasks = [(spec, out, seed) for spec in plan(_pools(out), count, seed)]
        for done, _ in enumerate(workers.map(_make, tasks, chunksize=4), start=1):
            if done % 20 == 0:
                print(f"{done} of {count} utterances", flush=True)
    _write_manifest(out, count)


if __name__ == "__main__":
    sys.exit(main())
