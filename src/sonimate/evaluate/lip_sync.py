"""Lip sync on held-out speakers: a clip's first frame, animated by the clip's own sound, against the clip
itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ, VIDEO_FPS
from sonimate.configs import SamplingOptions
from sonimate.errors import FileMissing, OptionOutOfRange
from sonimate.evaluate import thresholds as targets
from sonimate.evaluate.curves import amplitude_ratio, best_lag, correlation
from sonimate.evaluate.face_curves import FaceCurves, measure_face
from sonimate.evaluate.performance import film, perform
from sonimate.evaluate.sounds import fit_length, half_turn, partners
from sonimate.evaluate.statistics import median_acceleration
from sonimate.evaluate.tables import Check
from sonimate.face.mesh import FaceMesh, select_face
from sonimate.footage.clip_id import ClipId
from sonimate.footage.preparer import PrepareOptions, prepare
from sonimate.footage.sources import find_footage, read_speakers
from sonimate.footage.tracks import track_file
from sonimate.media.audio import read_audio
from sonimate.media.video import read_frames
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform


@dataclass(frozen=True)
class Take:
    """A real clip and what is to be imitated: its first frame, its sound (as long as the picture), its
    curves."""

    name: str
    speaker: str
    pixels: np.ndarray
    waveform: Waveform
    curves: FaceCurves

    @property
    def seconds(self) -> float:
        return len(self.curves) / VIDEO_FPS


@dataclass(frozen=True)
class Fold:
    """A model and the names of the clips that it may be judged on."""

    model: str
    clips: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """One clip. r: own sound; lag_ms: of the best correlation `best_r` (positive: generated late); amplitude:
    generated over real; shuffled_r: another clip's sound; shifted_r: its own, half its length off;
    strangers_r: the real mouth of that other clip against this one, what chance and pauses give;
    acceleration: generated over real; motion_r, motion_amplitude: the curve read from the generated motion
    against the one tracked in the video."""

    clip: str
    seconds: float
    r: float
    lag_ms: float
    best_r: float
    amplitude: float
    shuffled_r: float
    shifted_r: float
    strangers_r: float
    acceleration: float
    motion_r: float
    motion_amplitude: float


NUMBERS = tuple(field.name for field in fields(Score) if field.name not in ("clip", "seconds"))


def read_folds(path: Path, speakers: dict[str, str]) -> list[Fold]:
    """Folds of a JSON file {"folds": [{"model": FOLDER, "clips": [...]}, ...]}, as
    `python -m sonimate.train.folds` writes it; without "clips", all those of its "speakers".

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


def read_takes(folder: Path, names: Sequence[str] = ()) -> list[Take]:
    """The named clips of a folder, or all whose face and sound pass the gates of the training data.

    Raises FileMissing when a name is not there, or nothing is left.
    """
    speakers = read_speakers(folder)
    videos = {path.relative_to(folder).as_posix(): path for path in find_footage(folder)}
    missing = sorted(set(names) - set(videos))
    if missing:
        raise FileMissing(f"{folder} holds no {', '.join(missing)}. Give the folder of the clips.")
    mesh = FaceMesh(num_threads=1)
    takes = []
    for name in names or talking(folder):
        curves = measure_face(track_file(videos[name], mesh).astype(np.float64))
        count = round(len(curves) / VIDEO_FPS * SAMPLE_RATE_HZ)
        heard = read_audio(videos[name]).samples[:count]
        samples = np.pad(heard, (0, count - len(heard)))
        pixels = next(iter(read_frames(videos[name], fps=VIDEO_FPS)))
        speaker = speakers.get(name, name)
        takes.append(Take(name, speaker, pixels, Waveform(samples, SAMPLE_RATE_HZ), curves))
    if not takes:
        raise FileMissing(f"No clip in {folder} shows a talking face with its sound.")
    return takes


def talking(folder: Path) -> list[str]:
    """The videos of a folder in which the stages of data preparation find a talking face; prints why the
    others are left out."""
    with TemporaryDirectory() as out:
        report = prepare(folder, Path(out), PrepareOptions())
    accepted = {sample["source"] for sample in report.samples if sample["decision"] == "accepted"}
    for sample in report.samples:
        if sample["source"] not in accepted:
            print(f"left out {sample['source']}: {sample['decision']}")
    return sorted(accepted)


def score_takes(
    takes: Sequence[Take],
    pipeline_of: Callable[[Take], SonicPipeline],
    folder: Path,
    *,
    sampling: SamplingOptions | None = None,
) -> Iterable[Score]:
    """Film every take with its own sound and with both controls; the videos stay in `folder`.

    pipeline_of: the model that has not been trained on a take.
    """
    for take, other in zip(takes, partners([take.speaker for take in takes]), strict=True):
        yield score_take(take, takes[other], pipeline_of(take), folder, sampling=sampling)


def score_take(
    take: Take, other: Take, pipeline: SonicPipeline, folder: Path, *, sampling: SamplingOptions | None = None
) -> Score:
    """One take with its own sound, with that of `other`, and with its own half a turn off."""
    samples, stem, real = take.waveform.samples, ClipId(take.name).key, take.curves
    sounds = {
        "own": samples,
        "shuffled": fit_length(other.waveform.samples, len(samples)),
        "shifted": half_turn(samples),
    }
    filmed = {
        kind: film(
            pipeline,
            take.pixels,
            Waveform(sound, SAMPLE_RATE_HZ),
            folder / f"{stem}.{kind}.mp4",
            sampling=sampling,
        )
        for kind, sound in sounds.items()
    }
    own, lag = filmed["own"], best_lag(filmed["own"].mouth, real.mouth)
    moved = perform(pipeline, portrait_of(take.pixels), take.waveform, sampling=sampling).curves
    return Score(
        clip=take.name,
        seconds=take.seconds,
        r=correlation(own.mouth, real.mouth),
        lag_ms=lag.milliseconds,
        best_r=lag.r,
        amplitude=amplitude_ratio(own.mouth, real.mouth),
        shuffled_r=correlation(filmed["shuffled"].mouth, real.mouth),
        shifted_r=correlation(filmed["shifted"].mouth, real.mouth),
        strangers_r=correlation(fit_length(other.curves.mouth, len(real)), real.mouth),
        acceleration=median_acceleration(own.points) / median_acceleration(real.points),
        motion_r=correlation(moved.mouth, own.mouth),
        motion_amplitude=amplitude_ratio(moved.mouth, own.mouth),
    )


def summarise(scores: Sequence[Score]) -> dict[str, float]:
    """Means and medians over clips, the mean r of a second of footage, and the seconds of footage."""
    seconds = np.array([score.seconds for score in scores])
    table = {name: np.array([getattr(score, name) for score in scores]) for name in NUMBERS}
    summary = {f"mean {name}": float(values.mean()) for name, values in table.items()}
    summary |= {f"median {name}": float(np.median(values)) for name, values in table.items()}
    summary["mean r by second"] = float(seconds @ table["r"] / seconds.sum())
    summary["median |lag_ms|"] = float(np.median(np.abs(table["lag_ms"])))
    summary["footage seconds"] = float(seconds.sum())
    return summary


def lip_checks(summary: dict[str, float]) -> list[Check]:
    """The summary against the targets."""
    low, high = targets.AMPLITUDE_RATIO
    return [
        Check(name="mean r", value=summary["mean r"], low=targets.MIN_LIP_R),
        Check(name="median |lag| in ms", value=summary["median |lag_ms|"], high=targets.MAX_LAG_MS),
        Check(name="mean amplitude ratio", value=summary["mean amplitude"], low=low, high=high),
        Check(name="mean r, shuffled sound", value=summary["mean shuffled_r"], high=targets.MAX_SHUFFLED_R),
        Check(name="seconds of footage", value=summary["footage seconds"], low=targets.MIN_FOOTAGE_SECONDS),
    ]


def sweep(
    takes: Sequence[Take],
    pipeline_of: Callable[[Take], SonicPipeline],
    settings: Mapping[str, Sequence[Any]],
) -> Iterable[dict[str, Any]]:
    """Mean r and amplitude ratio for all combinations of `settings`, fields of SamplingOptions with their
    values, read from the generated motion without drawing it."""
    portraits = [portrait_of(take.pixels) for take in takes]
    for values in product(*settings.values()):
        chosen = dict(zip(settings, values, strict=True))
        r, ratio = [], []
        for take, portrait in zip(takes, portraits, strict=True):
            pipeline = pipeline_of(take)
            options = replace(pipeline.sampling, **chosen)
            mouth = perform(pipeline, portrait, take.waveform, sampling=options).curves.mouth
            r.append(correlation(mouth, take.curves.mouth))
            ratio.append(amplitude_ratio(mouth, take.curves.mouth))
        yield {**chosen, "mean_r": float(np.mean(r)), "mean_amplitude": float(np.mean(ratio))}


def portrait_of(pixels: np.ndarray) -> Portrait:
    """The largest face of a picture, uint8 (h, w, 3). Raises NoFaceFound or FaceTooSmall."""
    return Portrait(pixels, select_face(FaceMesh(num_threads=1).find(pixels)))
