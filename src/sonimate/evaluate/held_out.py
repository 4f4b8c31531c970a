"""A clip's first frame, animated by the clip's sound, against the clip itself: does the mouth open, widen and
change its shape as the real one does, and do brows and eyes move as much?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sonimate.clock import HIDDEN_STATE_HZ, LEAD_HIDDEN_STATES, VIDEO_FPS
from sonimate.evaluate.curves import amplitude_ratio, best_lag, correlation, moved_earlier
from sonimate.evaluate.face_curves import ShapeCurves
from sonimate.evaluate.generation import generate_motion, portrait_from_pixels
from sonimate.evaluate.lips import Clip, pairing
from sonimate.evaluate.statistics import (
    band_amplitude,
    cadence,
    component_shares,
    effective_dimensions,
    open_eyes,
    spread,
)
from sonimate.pipeline import SonicPipeline
from sonimate.types import Waveform

LEAD_MS = 1000 * LEAD_HIDDEN_STATES / HIDDEN_STATE_HZ
BROWS_HZ = (0.3, 4.0)
"""Brows rise and fall at these rates. In real clips, what is slower is mostly the turned head, whose depth a
tracker knows badly, and what is faster the tracker's noise."""


@dataclass(frozen=True)
class HeldOutScore:
    """One clip, animated with one seed, against the real clip.

    group: what means are taken over, such as the source or the speaker. delay_ms, retimed_by: how the clip's
    sound was moved before, as in `Clip`; raw_lag_ms is the lag against the clip as filmed. lag_ms: positive
    where the generated mouth is late. Ratios (amplitudes, bands, dimensions_ratio, brows, gaze) are generated
    over real. band_share: of the amplitude at 4 to 6 Hz over that of the whole opening, which a gape cannot
    raise; real_band_share: the real clip's own share. p95, max: mm of a face 18 cm high. shuffled_r:
    opening_r with the sound of another clip. opening_r_led, width_r_led: r where the real mouth, too, is
    early by LEAD_HIDDEN_STATES, so that the lead, which is meant, costs nothing.
    """

    clip: str
    group: str
    seed: int
    retimed_by: str
    seconds: float
    delay_ms: float
    opening_r: float
    width_r: float
    opening_r_led: float
    width_r_led: float
    lag_ms: float
    raw_lag_ms: float
    shuffled_r: float
    opening_amplitude: float
    width_amplitude: float
    dimensions: float
    real_dimensions: float
    dimensions_ratio: float
    pc1: float
    real_pc1: float
    pc2: float
    real_pc2: float
    band_4_6: float
    band_4_8: float
    band_share: float
    real_band_share: float
    cadence: float
    real_cadence: float
    brows: float
    real_brows_mm: float
    gaze: float
    real_gaze_mm: float
    p95_mm: float
    real_p95_mm: float
    max_mm: float


def score_held_out(
    pipeline_for: Callable[[Clip], SonicPipeline],
    clips: Sequence[Clip],
    seeds: Sequence[int],
    groups: Mapping[str, str],
) -> Iterator[HeldOutScore]:
    """Animate every clip with every seed by its own sound, and once by another clip's; nothing is drawn.

    pipeline_for: the model that was not trained on a clip. groups: of each clip by its name.
    Raises OptionOutOfRange when all clips are of one speaker, and the errors of `generate_motion`.
    """
    for clip, other in zip(clips, pairing([clip.speaker for clip in clips]), strict=True):
        pipeline, portrait = pipeline_for(clip), portrait_from_pixels(clip.pixels)

        def shapes(sound: Waveform, seed: int) -> ShapeCurves:
            sampling = replace(pipeline.sampling, seed=seed)  # noqa: B023
            return generate_motion(pipeline, portrait, sound, sampling=sampling).shapes  # noqa: B023

        samples = np.resize(clips[other].waveform.samples, len(clip.waveform.samples))
        shuffled = shapes(Waveform(samples, clip.waveform.rate_hz), seeds[0])
        for seed in seeds:
            yield compare(clip, shapes(clip.waveform, seed), shuffled, group=groups[clip.name], seed=seed)


def compare(
    clip: Clip, own: ShapeCurves, shuffled: ShapeCurves, *, group: str = "", seed: int = 0
) -> HeldOutScore:
    """Score the curves of an animated clip; `shuffled` are those with another clip's sound."""
    count = min(len(own), len(clip.shapes), len(shuffled))
    own, real, shuffled = own[:count], clip.shapes[:count], shuffled[:count]
    lag_ms = best_lag(own.opening, real.opening).milliseconds
    dimensions, real_dimensions = effective_dimensions(own.lips), effective_dimensions(real.lips)
    pc1, pc2 = component_shares(own.lips)
    real_pc1, real_pc2 = component_shares(real.lips)
    opening_amplitude = amplitude_ratio(own.opening, real.opening)
    band_4_6 = band_amplitude(own.opening, 4, 6) / band_amplitude(real.opening, 4, 6)
    brows_mm, gaze_mm = upper_face(own)
    real_brows_mm, real_gaze_mm = upper_face(real)
    return HeldOutScore(
        clip=clip.name,
        group=group,
        seed=seed,
        retimed_by=clip.retimed_by,
        seconds=count / VIDEO_FPS,
        delay_ms=clip.delay_ms,
        opening_r=correlation(own.opening, real.opening),
        width_r=correlation(own.width, real.width),
        opening_r_led=correlation(own.opening, moved_earlier(real.opening, LEAD_MS)),
        width_r_led=correlation(own.width, moved_earlier(real.width, LEAD_MS)),
        lag_ms=lag_ms,
        raw_lag_ms=lag_ms - clip.delay_ms,
        shuffled_r=correlation(shuffled.opening, real.opening),
        opening_amplitude=opening_amplitude,
        width_amplitude=amplitude_ratio(own.width, real.width),
        dimensions=dimensions,
        real_dimensions=real_dimensions,
        dimensions_ratio=dimensions / real_dimensions,
        pc1=pc1,
        real_pc1=real_pc1,
        pc2=pc2,
        real_pc2=real_pc2,
        band_4_6=band_4_6,
        band_4_8=band_amplitude(own.opening, 4, 8) / band_amplitude(real.opening, 4, 8),
        band_share=band_4_6 / opening_amplitude if opening_amplitude else 0.0,
        real_band_share=band_amplitude(real.opening, 4, 6) / float(real.opening.std()),
        cadence=cadence(own.lips),
        real_cadence=cadence(real.lips),
        brows=brows_mm / real_brows_mm,
        real_brows_mm=real_brows_mm,
        gaze=gaze_mm / real_gaze_mm,
        real_gaze_mm=real_gaze_mm,
        p95_mm=float(np.percentile(own.opening, 95)),
        real_p95_mm=float(np.percentile(real.opening, 95)),
        max_mm=float(own.opening.max()),
    )


def upper_face(shapes: ShapeCurves) -> tuple[float, float]:
    """Amplitude of the brows' height within BROWS_HZ, and spread of the gaze of open eyes, in mm."""
    return band_amplitude(shapes.brows, *BROWS_HZ), spread(shapes.gaze[open_eyes(shapes.eyes)])
