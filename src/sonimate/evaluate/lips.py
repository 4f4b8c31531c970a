"""Lip sync on speakers that a model has not seen: a clip's first frame, animated by the clip's own sound,
against the clip itself, and two controls in which the sound does not belong to the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.clock import VIDEO_FPS
from sonimate.configs import SamplingOptions
from sonimate.errors import OptionOutOfRange
from sonimate.evaluate.curves import amplitude_ratio, best_lag, correlation
from sonimate.evaluate.face_curves import FaceCurves, ShapeCurves
from sonimate.evaluate.generation import generate_motion, portrait_from_pixels, render_and_track
from sonimate.evaluate.statistics import median_acceleration
from sonimate.pipeline import SonicPipeline
from sonimate.types import Waveform


@dataclass(frozen=True)
class Clip:
    """A real clip.

    key: a unique name for files. pixels: the first frame, uint8 (h, w, 3). waveform: the sound, cut to the
    length of the picture. curves, shapes: of the face. delay_ms, retimed_by: how much later the sound is
    played than in the file, so that it is in sync, and by which lag.
    """

    name: str
    key: str
    speaker: str
    pixels: np.ndarray
    waveform: Waveform
    curves: FaceCurves
    shapes: ShapeCurves
    delay_ms: float = 0.0
    retimed_by: str = "not re-timed"

    @property
    def seconds(self) -> float:
        return len(self.curves) / VIDEO_FPS


@dataclass(frozen=True)
class LipScore:
    """One clip, animated.

    r: correlation of generated and real mouth opening. lag_ms: delay of the generated mouth (positive: late)
    at which they correlate most, by best_r; raw_lag_ms: the same against the clip as it is in its file, which
    was re-timed by delay_ms. amplitude: standard deviation of the generated opening over the
    real one. shuffled_r: r with the sound of another clip. shifted_r: r with its own sound, shifted by half
    its length. strangers_r: the real mouth of that other clip against this one: what chance and pauses give.
    acceleration: generated over real. motion_r, motion_amplitude: the curve read from the generated motion
    against the one tracked in the video.
    """

    clip: str
    seconds: float
    r: float
    lag_ms: float
    raw_lag_ms: float
    delay_ms: float
    retimed_by: str
    best_r: float
    amplitude: float
    shuffled_r: float
    shifted_r: float
    strangers_r: float
    acceleration: float
    motion_r: float
    motion_amplitude: float


NO_NUMBERS = ("clip", "seconds", "retimed_by")
NUMBERS = tuple(field.name for field in fields(LipScore) if field.name not in NO_NUMBERS)


def score_clips(
    clips: Sequence[Clip],
    pipeline_for: Callable[[Clip], SonicPipeline],
    folder: Path,
    *,
    sampling: SamplingOptions | None = None,
) -> Iterator[LipScore]:
    """Animate every clip with its own sound, with the sound of another clip and with its own shifted by half
    its length; the videos stay in `folder`.

    pipeline_for: gives the model that was not trained on a clip. Raises OptionOutOfRange when all clips are
    of one speaker, and the errors of `render_and_track`.
    """
    for clip, other in zip(clips, pairing([clip.speaker for clip in clips]), strict=True):
        samples, real = clip.waveform.samples, clip.curves
        portrait = portrait_from_pixels(clip.pixels)
        pipeline = pipeline_for(clip)
        options = pipeline.seeded(portrait, clip.waveform, sampling)  # one seed for all three sounds
        sounds = {
            "own": samples,
            "shuffled": np.resize(clips[other].waveform.samples, len(samples)),
            "shifted": shift_half(samples),
        }
        tracked = {
            kind: render_and_track(
                pipeline,
                clip.pixels,
                Waveform(sound, clip.waveform.rate_hz),
                folder / f"{clip.key}.{kind}.mp4",
                sampling=options,
            )
            for kind, sound in sounds.items()
        }
        own, lag = tracked["own"], best_lag(tracked["own"].mouth, real.mouth)
        motion = generate_motion(pipeline, portrait, clip.waveform, sampling=options).curves
        yield LipScore(
            clip=clip.name,
            seconds=clip.seconds,
            r=correlation(own.mouth, real.mouth),
            lag_ms=lag.milliseconds,
            raw_lag_ms=lag.milliseconds - clip.delay_ms,
            delay_ms=clip.delay_ms,
            retimed_by=clip.retimed_by,
            best_r=lag.r,
            amplitude=amplitude_ratio(own.mouth, real.mouth),
            shuffled_r=correlation(tracked["shuffled"].mouth, real.mouth),
            shifted_r=correlation(tracked["shifted"].mouth, real.mouth),
            strangers_r=correlation(np.resize(clips[other].curves.mouth, len(real)), real.mouth),
            acceleration=median_acceleration(own.points) / median_acceleration(real.points),
            motion_r=correlation(motion.mouth, own.mouth),
            motion_amplitude=amplitude_ratio(motion.mouth, own.mouth),
        )


def summarise(scores: Sequence[LipScore]) -> dict[str, float]:
    """Means and medians over clips, the mean r of a second of footage, and the seconds of footage."""
    seconds = np.array([score.seconds for score in scores])
    table = {name: np.array([getattr(score, name) for score in scores]) for name in NUMBERS}
    summary = {f"mean {name}": float(values.mean()) for name, values in table.items()}
    summary |= {f"median {name}": float(np.median(values)) for name, values in table.items()}
    summary["mean r by second"] = float(seconds @ table["r"] / seconds.sum())
    summary["median |lag_ms|"] = float(np.median(np.abs(table["lag_ms"])))
    summary["footage seconds"] = float(seconds.sum())
    return summary


def compare_settings(
    clips: Sequence[Clip],
    pipeline_for: Callable[[Clip], SonicPipeline],
    settings: Mapping[str, Sequence[Any]],
) -> Iterator[dict[str, Any]]:
    """Mean r and amplitude ratio of every combination of `settings`, read from the generated motion without
    drawing it. settings: fields of SamplingOptions with the values to try."""
    portraits = [portrait_from_pixels(clip.pixels) for clip in clips]
    for values in product(*settings.values()):
        chosen = dict(zip(settings, values, strict=True))
        r: list[float] = []
        ratio: list[float] = []
        for clip, portrait in zip(clips, portraits, strict=True):
            pipeline = pipeline_for(clip)
            options = replace(pipeline.sampling, **chosen)
            mouth = generate_motion(pipeline, portrait, clip.waveform, sampling=options).curves.mouth
            r.append(correlation(mouth, clip.curves.mouth))
            ratio.append(amplitude_ratio(mouth, clip.curves.mouth))
        yield {**chosen, "mean_r": float(np.mean(r)), "mean_amplitude": float(np.mean(ratio))}


def pairing(speakers: Sequence[str]) -> list[int]:
    """For each clip, the index of the clip whose sound it gets as a control: half the list further on, or the
    next one after that by another speaker.

    Half the list, since neighbours often come from one corpus and pause at the same times. Raises
    OptionOutOfRange when all clips are by one speaker.
    """
    if len(set(speakers)) < 2:
        raise OptionOutOfRange("Shuffled sound needs clips of at least two speakers; give more clips.")
    count = len(speakers)
    return [
        next(
            other
            for step in range(count)
            if speakers[other := (index + count // 2 + step) % count] != speaker
        )
        for index, speaker in enumerate(speakers)
    ]


def shift_half(samples: np.ndarray) -> np.ndarray:
    """A sound (n,) shifted circularly by half its length: same voice, same words, wrong time."""
    return np.roll(samples, len(samples) // 2)
