"""The data card: what a model learned from, and under which terms."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.errors import FileMissing
from sonimate.footage.shards import CLIPS, REJECTED, read_shards
from sonimate.footage.sync import STAGE, lag_text
from sonimate.media.files import replacing
from sonimate.speech.voice_terms import source_of_voice

NOT_STATED = "not stated"
Record = Mapping[str, Any]


def write_data_card(path: Path, shards: Path, speech: Path | None) -> None:
    """Write the card of a folder of `sonimate prepare` and, if given, one of `sonimate speech`, as markdown.

    Raises FileMissing, OutdatedData, OutputNotWritable.
    """
    accepted, rejected = (
        [{"terms": "", **clip.record} for clip in read_shards(shards, kind)] for kind in (CLIPS, REJECTED)
    )
    lines = ["# Data", "", *footage_card(accepted, rejected)]
    if speech is not None:
        lines += ["", *speech_card(read_speech(speech))]
    with replacing(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_speech(folder: Path) -> Record:
    """The manifest of a folder of `sonimate speech`. Raises FileMissing."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise FileMissing(
            f"{manifest} does not exist. Give the folder of a `sonimate speech` that has ended."
        )
    return json.loads(manifest.read_text(encoding="utf-8"))


def footage_card(accepted: Sequence[Record], rejected: Sequence[Record]) -> list[str]:
    """Lines of markdown: terms, speakers, then each clip and each rejected sample, from their records."""
    heading = f"{len(accepted)} clips, {_seconds(accepted):.1f} s; {len(rejected)} samples rejected."
    lines = ["## Footage", "", heading, ""]
    lines += ["| source | terms | clips | seconds | rejected |", "|---|---|---|---|---|"]
    origins = _grouped([*accepted, *rejected], "collection", "terms")
    for (collection, terms), records in origins.items():
        used = [record for record in records if not record["rejection"]]
        left = len(records) - len(used)
        lines.append(
            f"| {collection} | {terms or NOT_STATED} | {len(used)} | {_seconds(used):.1f} | {left} |"
        )
    lines += ["", "| speaker | clips | seconds | lag of the mouth, ms | r |", "|---|---|---|---|---|"]
    for (speaker,), records in _grouped(accepted, "speaker").items():
        lag, r = (np.array([record[STAGE][name] for record in records]) for name in ("lag_ms", "r"))
        spread = f"{lag.mean():+.0f}" + (f" +- {lag.std():.0f}" if len(lag) > 1 else "")
        lines.append(f"| {speaker} | {len(records)} | {_seconds(records):.1f} | {spread} | {r.mean():.2f} |")
    lines += [
        "",
        "Lags are those of the mouth as it was filmed. `moved` is how much later its sound is played.",
    ]
    lines += ["", "| clip | speaker | lag of the mouth | moved | by |", "|---|---|---|---|---|"]
    for record in sorted(accepted, key=lambda record: (record["speaker"], record["clip"])):
        sync = record[STAGE]
        moved = f"{sync['delay_ms']:+.0f} ms | {sync['by']}"
        lines.append(f"| {_place(record)} | {record['speaker']} | {lag_text(sync)} | {moved} |")
    if rejected:
        lines += ["", "### Rejected", "", "| sample | stage | reason | detail |", "|---|---|---|---|"]
        for record in rejected:
            found = record["rejection"]
            lines.append(f"| {_place(record)} | {found['stage']} | {found['reason']} | {found['detail']} |")
    return lines


def speech_card(manifest: Record) -> list[str]:
    """Lines of markdown: sources of the voices and their terms, languages, and what was rejected."""
    utterances = manifest["utterances"]
    lines = ["## Synthetic speech", "", f"{len(utterances)} utterances, {manifest['minutes']:.1f} minutes."]
    lines += ["", "| source | by | terms | voices | minutes |", "|---|---|---|---|---|"]
    voices = [{"source": source_of_voice(u["voice"]), **u} for u in utterances]
    for (source,), spoken in _grouped(voices, "source", order=lambda key: key[0].name).items():
        names = len({utterance["voice"] for utterance in spoken})
        facts = source.name, source.holder, source.terms, str(names), f"{_minutes(spoken):.1f}"
        lines.append(f"| {' | '.join(facts)} |")
    lines += ["", "| language | minutes |", "|---|---|"]
    for (language,), spoken in _grouped(utterances, "language").items():
        lines.append(f"| {language or 'none'} | {_minutes(spoken):.1f} |")
    lines += ["", "| rejected | reason | number |", "|---|---|---|"]
    for language, reasons in manifest["rejected_recordings"].items():
        lines += [f"| recordings, {language} | {reason} | {number} |" for reason, number in reasons.items()]
    lines += [
        f"| sentences | {reason} | {number} |" for reason, number in manifest["rejected_sentences"].items()
    ]
    return lines


def _grouped(
    records: Iterable[Record], *names: str, order: Any = None
) -> dict[tuple[Any, ...], list[Record]]:
    """Records by the values of some of their entries, in order."""
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        groups[tuple(record[name] for name in names)].append(record)
    return {key: groups[key] for key in sorted(groups, key=order)}


def _place(record: Record) -> str:
    """The file, and where in it the sample begins."""
    start = record["start_seconds"]
    return record["source"] + (f" from {start:.2f} s" if start else "")


def _seconds(records: Iterable[Record]) -> float:
    return sum(record["frames"] / record["fps"] for record in records)


def _minutes(utterances: Iterable[Record]) -> float:
    return sum(utterance["seconds"] for utterance in utterances) / 60
