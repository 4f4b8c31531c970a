"""Real clips to compare with: read from a folder, and divided into folds of speakers.

A fold is a model and the clips of speakers that it was not trained on.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import FileMissing, OptionOutOfRange
from sonimate.evaluate.face_curves import face_curves, shape_curves
from sonimate.evaluate.lips import Clip
from sonimate.face.mesh import FaceMesh
from sonimate.face.tracking import video_landmarks
from sonimate.footage.clip_id import ClipId
from sonimate.footage.prepare_stages import PrepareOptions
from sonimate.footage.preparer import prepare
from sonimate.footage.sources import MANIFEST, find_footage, read_speakers
from sonimate.media.audio import read_audio
from sonimate.media.video import read_frames
from sonimate.types import Waveform

MIN_LAG_R = 0.45
"""Correlation of a mouth with the reading of its sound under which their lag is not trusted."""


@dataclass(frozen=True)
class Fold:
    """A model and the names of the clips that it is tested on."""

    model: str
    clips: tuple[str, ...]


def read_folds(path: Path, speakers: dict[str, str]) -> list[Fold]:
    """Folds of a JSON file {"folds": [{"model": FOLDER, "clips": [...]}, ...]}, as `sonimate folds` writes
    it; without "clips", all clips of its "speakers".

    Model folders are relative to the working directory. speakers: clip name -> speaker.
    Raises FileMissing, and OptionOutOfRange when a fold is not of this form or a clip is in two of them.
    """
    if not path.is_file():
        raise FileMissing(
            f"There is no file {path}. Give a JSON file that names each fold's model and clips."
        )
    folds = []
    for entry in json.loads(path.read_text())["folds"]:
        if "model" not in entry or not {"clips", "speakers"} & set(entry):
            raise OptionOutOfRange(
                f'A fold of {path} needs "model" and "clips" or "speakers"; it has {sorted(entry)}.'
            )
        of_speakers = [name for name, speaker in speakers.items() if speaker in entry.get("speakers", ())]
        names = entry.get("clips", of_speakers)
        if not names:
            raise OptionOutOfRange(f"The fold of {entry['model']} in {path} holds no clip; name its clips.")
        folds.append(Fold(entry["model"], tuple(names)))
    names = [name for fold in folds for name in fold.clips]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionOutOfRange(f"{', '.join(twice)} are in two folds of {path}; a clip is held out once.")
    return folds


def read_clips(folder: Path, names: Sequence[str] = ()) -> list[Clip]:
    """The named clips of a folder, or by default all that data preparation accepts.

    Raises FileMissing when a named clip is missing or no clip is accepted.
    """
    speakers = read_speakers(folder)
    videos = {path.relative_to(folder).as_posix(): path for path in find_footage(folder)}
    missing = sorted(set(names) - set(videos))
    if missing:
        raise FileMissing(f"{folder} holds no {', '.join(missing)}. Give the folder of the clips.")
    mesh = FaceMesh(num_threads=1)
    clips = []
    for name in names or accepted_names(folder):
        landmarks = video_landmarks(videos[name], mesh)
        curves = face_curves(landmarks)
        count = len(curves) * SAMPLES_PER_VIDEO_FRAME
        sound = read_audio(videos[name]).samples[:count]
        sound = np.pad(sound, (0, count - len(sound)))
        pixels = next(iter(read_frames(videos[name], fps=VIDEO_FPS)))
        clips.append(
            Clip(
                name=name,
                key=ClipId(name).key,
                speaker=speakers.get(name, name),
                pixels=pixels,
                waveform=Waveform(sound, SAMPLE_RATE_HZ),
                curves=curves,
                shapes=shape_curves(landmarks),
            )
        )
    if not clips:
        raise FileMissing(f"No clip in {folder} shows a talking face with its sound.")
    return clips


def read_sources(folder: Path) -> dict[str, str]:
    """File name -> where the clip comes from: the column `source_repo` of the folder's MANIFEST.tsv. Empty
    without that file."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return {}
    with manifest.open(encoding="utf-8-sig", newline="") as lines:
        return {
            row["file"]: row.get("source_repo") or "unnamed" for row in csv.DictReader(lines, delimiter="\t")
        }


def accepted_names(folder: Path) -> list[str]:
    """Names of the videos that data preparation accepts; prints why it rejects the others."""
    with TemporaryDirectory() as out:
        report = prepare(folder, Path(out), PrepareOptions())
    accepted = {sample["source"] for sample in report.samples if sample["decision"] == "accepted"}
    for sample in report.samples:
        if sample["source"] not in accepted:
            print(f"left out {sample['source']}: {sample['decision']}")
    return sorted(accepted)


def source_of(name: str) -> str:
    """The source of a clip: its folder, or what its file name says before "__"; else the name itself."""
    folder, _, file = name.rpartition("/")
    return folder or file.partition("__")[0]


def read_lags(path: Path) -> dict[str, float]:
    """Clip -> how late its mouth is against its sound in ms: columns `file` and `mouth_late_ms` of a table
    with tabs. Where there is a column `r`, readings under MIN_LAG_R are left out.

    Raises FileMissing, and OptionOutOfRange where a column is missing or holds no number."""
    if not path.is_file():
        raise FileMissing(f"There is no file {path}. Give a table of the clips' lags, or leave out --lags.")
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    try:
        return {
            row["file"]: float(row["mouth_late_ms"])
            for row in rows
            if float(row.get("r", MIN_LAG_R)) >= MIN_LAG_R
        }
    except (KeyError, ValueError, TypeError) as error:
        raise OptionOutOfRange(
            f"{path} needs the columns `file` and `mouth_late_ms`, a number, with a tab between ({error})."
        ) from error
