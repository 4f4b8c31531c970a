"""A corpus of synthetic speech in a folder: its plan, its utterances, its manifest.

OUT/NNNN.npz is an utterance (see utterances.save), OUT/pool-LANGUAGE.npz holds the aligned human phrases,
OUT/manifest.json says what was made and what was rejected. A run that was stopped goes on; a run with more
minutes adds to the utterances that are there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.errors import FolderOfAnotherRun, RecordingsMissing
from sonimate.media.files import replacing, write_errors
from sonimate.media.folders import FolderRecord
from sonimate.speech.corpus_options import CorpusOptions
from sonimate.speech.recordings import ASTERISK_FOLDERS, Recording, build_pool, packaged
from sonimate.speech.utterances import (
    LONGEST_SECONDS,
    MEAN_PAUSE_SECONDS,
    VOICELESS,
    Phrase,
    Spec,
    compose,
    facts_of,
    finished_utterances,
    load_pool,
    save,
    utterance_path,
)
from sonimate.speech.voices import require_engines

RECORD = "corpus.json"
VERSION = 2
"""Raised when the same seed makes other utterances than before, so that no folder mixes them."""
SHARES = {"human": 0.46, "flite": 0.22, "espeak": 0.14, "festival": 0.1, VOICELESS: 0.08}
"""Parts of the utterances by kind of voice."""
_ENGLISH_SHARE = 0.45
_MOST_PHRASES = 40


def make_corpus(
    out: Path, options: CorpusOptions, *, progress: Callable[[str, int, int], None] = lambda *_: None
) -> dict[str, Any]:
    """Build the pools, compose every utterance that is not there yet, write the manifest; returns it.

    progress: called with "pools" or "speech", the number of files done and to do.
    Raises RecordingsMissing and EngineMissing before anything is written, FolderOfAnotherRun,
    OutputNotWritable, and SynthesisFailed when a voice speaks none of its sentences.
    """
    count = options.count
    recordings = find_sources(out, options)
    with write_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    claim(out, seed=options.seed, count=count)
    with ProcessPoolExecutor(options.jobs) as workers:
        try:
            paths = [_pool_path(out, language) for language in recordings]
            for done, _ in enumerate(workers.map(build_pool, recordings.values(), paths), start=1):
                progress("pools", done, len(paths))
            make = partial(_make, out=out, seed=options.seed)
            specs = plan_utterances(_pools(out), count, options.seed)
            for done, _ in enumerate(workers.map(make, specs, chunksize=4), start=1):
                progress("speech", done, count)
        except BaseException:  # Ctrl-C included: without this, the pool would finish all other utterances
            workers.shutdown(wait=False, cancel_futures=True)
            raise
    return _write_manifest(out, count)


def find_sources(out: Path, options: CorpusOptions) -> dict[str, list[Recording]]:
    """The recordings, by language, that the corpus in `out` still needs.

    Raises RecordingsMissing, and EngineMissing if utterances are left to make.
    """
    recordings = packaged(
        [language for language in ASTERISK_FOLDERS if not _pool_path(out, language).exists()],
        sounds=options.recordings,
        documents=options.transcripts,
        testdata=options.testdata,
    )
    if not all(utterance_path(out, index).exists() for index in range(options.count)):
        require_engines()
    return recordings


def plan_utterances(pools: dict[str, list[Phrase]], count: int, seed: int) -> list[Spec]:
    """Specs of `count` utterances. No phrase of a language comes twice before all of them came once; after
    that they come again in another order (with other augmentation). pools: by language, not empty."""
    rng = np.random.default_rng([seed, 0])
    orders = {language: _shuffled(phrases, rng) for language, phrases in sorted(pools.items())}
    specs = []
    for index in range(count):
        kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        if kind != "human":
            specs.append(Spec(index, kind))
            continue
        weights = np.array([_ENGLISH_SHARE if language == "en" else 0.14 for language in orders])
        language = str(rng.choice(list(orders), p=weights / weights.sum()))
        specs.append(Spec(index, kind, tuple(_pick(language, pools[language], orders[language], rng))))
    return specs


def _shuffled(phrases: list[Phrase], rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(len(phrases)).tolist()


def _pick(
    language: str, phrases: list[Phrase], order: Iterator[int], rng: np.random.Generator
) -> Iterator[tuple[str, int]]:
    """Phrases of one language for one utterance: at least 4 .. 7.5 s, and no second one beyond 9 s. English
    phrases may be of several speakers."""
    wanted, seconds = rng.uniform(4.0, 7.5), 0.0
    for number in islice(order, _MOST_PHRASES):
        longer = seconds + phrases[number].waveform.seconds + MEAN_PAUSE_SECONDS
        if seconds and longer > LONGEST_SECONDS:
            continue
        seconds = longer
        yield language, number
        if seconds >= wanted:
            return


def claim(folder: Path, *, seed: int, count: int) -> None:
    """Record what a folder's utterances depend on. A run of the same seed may continue and add utterances.

    Raises FolderOfAnotherRun if the folder holds utterances of another seed or VERSION, or more than `count`.
    """
    there = finished_utterances(folder)
    record = FolderRecord(folder / RECORD)
    values = {"seed": seed, "version": VERSION}
    if there:
        advice = "Choose another folder. Only the same --seed and the same version of sonimate go on here."
        record.check(values, advice=advice)
    if any(int(path.stem) >= count for path in there):
        raise FolderOfAnotherRun(
            f"{folder} holds {len(there)} utterances, more than the {count} asked for. Choose another "
            "folder, or more --minutes."
        )
    record.write(values)


def _pool_path(out: Path, language: str) -> Path:
    return out / f"pool-{language}.npz"


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


def _make(spec: Spec, *, out: Path, seed: int) -> None:
    path = utterance_path(out, spec.index)
    if not path.exists():
        save(compose(spec, _pools(out), seed), path)


def _write_manifest(out: Path, count: int) -> dict[str, Any]:
    utterances = [facts_of(utterance_path(out, index)) for index in range(count)]
    minutes: Counter[str] = Counter()
    rejects: Counter[str] = Counter()
    for facts in utterances:
        minutes[facts["voice"]] += facts["seconds"] / 60
        rejects.update(facts["rejects"])
    manifest = {
        "minutes": sum(minutes.values()),
        "minutes_by_voice": {voice: round(value, 2) for voice, value in sorted(minutes.items())},
        "rejected_sentences": dict(rejects),
        "rejected_recordings": {
            language: load_pool(_pool_path(out, language))[1] for language in ASTERISK_FOLDERS
        },
        "utterances": utterances,
    }
    with replacing(out / "manifest.json") as partial:
        partial.write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    return manifest
