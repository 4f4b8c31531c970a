"""Real clips to compare generated ones with, read from a folder of videos."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ, SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS
from sonimate.errors import FileMissing
from sonimate.evaluate.face_curves import face_curves, shape_curves
from sonimate.evaluate.lips import Clip
from sonimate.evaluate.metric import UNUSABLE
from sonimate.face.mesh import FaceMesh
from sonimate.face.tracking import video_landmarks
from sonimate.footage.clip_id import ClipId
from sonimate.footage.mouth_reader import MouthReader
from sonimate.footage.prepare_options import PrepareOptions
from sonimate.footage.preparer import prepare
from sonimate.footage.retiming import retime_clips
from sonimate.footage.sources import find_footage, read_collections, read_speakers
from sonimate.media.audio import read_audio
from sonimate.media.files import replacing
from sonimate.media.folders import file_sha256
from sonimate.media.video import read_frames
from sonimate.types import Waveform

_log = logging.getLogger("sonimate")


def read_clips(folder: Path, names: Sequence[str] = (), kept: Path | None = None) -> list[Clip]:
    """The named clips of a folder, or by default all that data preparation accepts.

    kept: a folder for tracked landmarks, by what the files hold; delete it when the tracker changes.
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
        landmarks = tracked(videos[name], mesh, kept)
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


def tracked(video: Path, mesh: FaceMesh, kept: Path | None) -> np.ndarray:
    """Landmarks (n, 478, 3) px of a video, from the folder `kept` where an earlier run has put them."""
    if kept is None:
        return video_landmarks(video, mesh)
    path = kept / f"{file_sha256(video)}.npy"
    if not path.is_file():
        landmarks = video_landmarks(video, mesh)
        kept.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial, partial.open("wb") as file:
            np.save(file, landmarks)
    return np.load(path)


def read_retimed_clips(folder: Path, names: Sequence[str] = (), kept: Path | None = None) -> list[Clip]:
    """`read_clips`, with each sound moved to its mouth, as `retime_clips` does it."""
    clips = read_clips(folder, names, kept)
    collections = read_collections(folder, [clip.name for clip in clips])
    return retime_clips(clips, collections, MouthReader.load())


def read_usable_clips(folder: Path, names: Sequence[str], kept: Path) -> list[Clip]:
    """The named clips of a folder that show a face with its sound, re-timed; a warning names the others.
    Raises FileMissing when none does."""
    usable: list[Clip] = []
    for name in names:
        try:
            usable += read_clips(folder, [name], kept)
        except UNUSABLE as error:
            _log.warning("%s is left out: %s", name, error)
    if not usable:
        raise FileMissing(f"No clip of {folder} that may be used shows a talking face with its sound.")
    collections = read_collections(folder, [clip.name for clip in usable])
    return retime_clips(usable, collections, MouthReader.load())


def unseen_names(folder: Path, seen: set[str]) -> list[str]:
    """The videos of a folder that come from other collections than the files in `seen`."""
    names = [path.relative_to(folder).as_posix() for path in find_footage(folder)]
    collections = read_collections(folder, names)
    known = {collections[name] for name in seen if name in collections}
    unseen = [name for name in names if collections[name] not in known]
    if not unseen:
        raise FileMissing(f"The training data has clips of every source in {folder}. Give clips of others.")
    return unseen


def beginning(clip: Clip, seconds: float) -> Clip:
    """The first `seconds` of a clip, or all of a shorter one."""
    count = min(round(seconds * VIDEO_FPS), len(clip.curves))
    sound = Waveform(clip.waveform.samples[: count * SAMPLES_PER_VIDEO_FRAME], SAMPLE_RATE_HZ)
    return replace(clip, waveform=sound, curves=clip.curves[:count], shapes=clip.shapes[:count])


def accepted_names(folder: Path) -> list[str]:
    """Names of the videos that data preparation accepts; the log says why it rejects the others."""
    with TemporaryDirectory() as out:
        report = prepare(folder, Path(out), PrepareOptions())
    accepted = {sample["source"] for sample in report.samples if sample["decision"] == "accepted"}
    for sample in report.samples:
        if sample["source"] not in accepted:
            _log.warning("left out %s: %s", sample["source"], sample["decision"])
    return sorted(accepted)
