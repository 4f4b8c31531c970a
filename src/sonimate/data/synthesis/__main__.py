"""`python -m sonimate.data.synthesis OUT --minutes 90 --seed 0 --jobs 1`: write a corpus of utterances.

OUT/NNNN.npz per utterance (see corpus.save), OUT/pool-LANGUAGE.npz with the aligned human phrases, and
OUT/manifest.json. Running it again goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

from sonimate.data.synthesis.corpus import MEAN_SECONDS, Spec, compose, facts_of, plan, save
from sonimate.data.synthesis.harvest import build_pool
from sonimate.data.synthesis.pool import Phrase, load_pool
from sonimate.data.synthesis.recordings import ASTERISK_FOLDERS, asterisk, pocketsphinx_tests


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sonimate.data.synthesis", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--asterisk", type=Path, default=Path("/usr/share/asterisk/sounds"))
    parser.add_argument("--documents", type=Path, default=Path("/usr/share/doc"))
    parser.add_argument("--testdata", type=Path, default=Path("/usr/share/pocketsphinx/test/data"))
    return parser.parse_args()


def _build(task: tuple[str, argparse.Namespace]) -> None:
    language, arguments = task
    path = arguments.out / f"pool-{language}.npz"
    if path.exists():
        return
    recordings = asterisk(arguments.asterisk, arguments.documents, language)
    recordings += pocketsphinx_tests(arguments.testdata) if language == "en" else []
    build_pool(recordings, path)


@cache
def _pools(out: Path) -> dict[str, list[Phrase]]:
    return {language: load_pool(out / f"pool-{language}.npz")[0] for language in ASTERISK_FOLDERS}


def _make(task: tuple[Spec, Path, int]) -> None:
    spec, out, seed = task
    path = out / f"{spec.index:04d}.npz"
    if not path.exists():
        save(compose(spec, _pools(out), seed), path)


def _write_manifest(out: Path, count: int) -> None:
    utterances = [facts_of(out / f"{index:04d}.npz") for index in range(count)]
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
            language: load_pool(out / f"pool-{language}.npz")[1] for language in ASTERISK_FOLDERS
        },
        "utterances": utterances,
    }
    (out / "manifest.json").write_text(json.dumps(report, ensure_ascii=False, indent=1))
    print(json.dumps({key: value for key, value in report.items() if key != "utterances"}, indent=1))


def main() -> None:
    """Build the pools, plan, compose every utterance that is not there yet, write the manifest."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    count = round(arguments.minutes * 60 / MEAN_SECONDS)
    with ProcessPoolExecutor(arguments.jobs) as workers:
        list(workers.map(_build, [(language, arguments) for language in ASTERISK_FOLDERS]))
        specs = plan(_pools(arguments.out), count, arguments.seed)
        tasks = [(spec, arguments.out, arguments.seed) for spec in specs]
        for done, _ in enumerate(workers.map(_make, tasks, chunksize=4), start=1):
            if done % 20 == 0:
                print(f"{done} of {count} utterances", flush=True)
    _write_manifest(arguments.out, count)


if __name__ == "__main__":
    main()
