"""Videos for table 1 of the paper: the first frame of every clip animated by its sound, and two controls that
a good measure must rank below it: the frozen frame, and the frame animated by the sound of another clip."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.configs import SamplingOptions
from sonimate.errors import TooFewClips
from sonimate.evaluate.metric import UNUSABLE
from sonimate.evaluate.viewing import SeenClip, View
from sonimate.media.audio import Sound
from sonimate.media.folders import FolderRecord
from sonimate.media.image import even_size, read_image, write_png
from sonimate.media.video_writer import VideoWriter
from sonimate.media.wav import read_wav, write_wav
from sonimate.pipeline import SonicPipeline
from sonimate.types import Progress

FROZEN, OTHER_SOUND = "frozen portrait", "another clip's sound"
_log = logging.getLogger("sonimate")


def make_videos(
    pipeline: SonicPipeline,
    row: str,
    clips: Mapping[str, Path],
    out: Path,
    *,
    view: View,
    sampling: SamplingOptions,
    progress: Progress,
) -> tuple[dict[str, dict[str, Path]], float]:
    """Write OUT/videos/ROW/CLIP.mp4 for the rows `row`, FROZEN and OTHER_SOUND. Returns the videos by row and
    clip, and the seconds that the model took for its own row. A stopped run goes on; a warning names clips
    that cannot be animated. Raises TooFewClips below two clips."""
    inputs = {clip: out / "inputs" / clip for clip in _write_inputs(clips, out / "inputs", view)}
    if len(inputs) < 2:
        raise TooFewClips("Table 1 needs at least two clips that can be animated. Give more clips.")
    others = dict(zip(inputs, [*list(inputs)[1:], next(iter(inputs))], strict=True))
    videos: dict[str, dict[str, Path]] = {row: {}, FROZEN: {}, OTHER_SOUND: {}}
    seconds = 0.0
    for done, (clip, base) in enumerate(inputs.items()):
        progress("clips", done, len(inputs))
        paths = {name: out / "videos" / name.replace("'", "") / f"{clip}.mp4" for name in videos}
        try:
            seconds += _animate(pipeline, base, base, paths[row], sampling)
            _animate(pipeline, base, inputs[others[clip]], paths[OTHER_SOUND], sampling)
            _freeze(base, paths[FROZEN])
        except UNUSABLE as error:
            _log.warning("%s is left out: %s", clip, error)
            continue
        for name, path in paths.items():
            videos[name][clip] = path
    progress("clips", len(inputs), len(inputs))
    return videos, seconds


def _write_inputs(clips: Mapping[str, Path], folder: Path, view: View) -> list[str]:
    """First frame (png) and sound (wav) of every clip, as long as it is viewed; the clips that have both. The
    frame is whole: the evaluation crops real and animated videos alike."""
    written: list[str] = []
    for clip, path in clips.items():
        picture, sound = _picture(folder / clip), _sound(folder / clip)
        try:
            if not (picture.exists() and sound.exists()):
                picture.parent.mkdir(parents=True, exist_ok=True)
                seen = SeenClip(path, View(seconds=view.seconds))
                write_wav(sound, seen.sound)
                write_png(picture, even_size(next(iter(seen.frames()))))
        except UNUSABLE as error:
            _log.warning("%s is left out: %s", clip, error)
            continue
        written.append(clip)
    return written


def _animate(
    pipeline: SonicPipeline, base: Path, voice: Path, video: Path, sampling: SamplingOptions
) -> float:
    """The picture of `base` moved by the sound of `voice`, with the sound of `base`; returns the seconds that
    this took when the video was made."""
    record = FolderRecord(video.with_suffix(".json"))
    known = record.read()
    if known is None or not video.exists():
        video.parent.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        own, other = read_wav(_sound(base)), _sound(voice)
        if voice != base:
            samples = np.resize(read_wav(other).samples, len(own.samples))
            other = write_wav(video.with_suffix(".wav"), replace(own, samples=samples))
        animation = pipeline.animate(_picture(base), other, sampling=sampling)
        replace(animation, sound=partial(Sound.from_waveform, own)).save(video)
        known = {"seconds": time.perf_counter() - started}
        record.write(known)
    return known["seconds"]


def _freeze(base: Path, video: Path) -> None:
    if video.exists():
        return
    video.parent.mkdir(parents=True, exist_ok=True)
    frame, sound = read_image(_picture(base)), read_wav(_sound(base))
    height, width = frame.shape[:2]
    with VideoWriter(video, width=width, height=height, sound=sound) as writer:
        for _ in range(round(sound.seconds * VIDEO_FPS)):
            writer.write(frame)


def _picture(base: Path) -> Path:
    return base.with_name(f"{base.name}.png")


def _sound(base: Path) -> Path:
    return base.with_name(f"{base.name}.wav")
