"""Frozen options with their defaults and reasons. Loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from sonimate.clock import LATENT_FPS, VIDEO_FPS
from sonimate.errors import OptionOutOfRange

Ramp = float | tuple[float, float]
"""A constant, or the values at the first and last denoising step, linear between."""

MAX_BUCKET = 128.0
"""The liveliest motion bucket; clips above it are not trained on (paper section 3.2)."""

MIN_SIZE_PX, MAX_SIZE_PX = 64, 8192
"""Range of a picture's size: the longer side for the compact model, the shorter side for the full one."""

DEFAULT_IMAGE_SIZE_PX = 512
"""Shorter side of the full model's frames; the reference implementation's setting."""

FRAME_RATES = (VIDEO_FPS, LATENT_FPS)
"""Frames a second that a video may have."""

REFERENCE_SEED = 72_589
"""The reference implementation's default seed."""

Precision = Literal["auto", "float32", "float16", "bfloat16"]

WindowStrategy = Literal["shift", "overlap", "motion-frames", "independent"]


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How latents are sampled, and decoded. The defaults are the released full model's.

    Raises:
        OptionOutOfRange: a value lies outside its range.
    """

    steps: int = 25
    """Euler steps; the reference implementation's setting."""

    seed: int | None = None
    """Of the initial noise and the blinks. None: the pipeline derives one from the portrait and the sound
    (`sonimate.inputs.derived_seed`), or takes REFERENCE_SEED where as_reference is set."""

    image_guidance: Ramp = 2.0
    """r_i, NOTES 4.6: guidance scale of the portrait; 1 is no guidance."""

    audio_guidance: Ramp = 7.5
    """r_a, NOTES 4.6: guidance scale of the voice; 0 ignores the voice."""

    dynamic_scale: float = 1.0
    """beta, NOTES 4.9: multiplies the predicted motion buckets, not those that MotionOptions fixes; 0.5 mild,
    1 moderate, 2 intense."""

    windows: WindowStrategy = "shift"
    """How a long video is divided; the time-aware position shift, or a baseline of paper table 4."""

    window_frames: int = 25
    """Frames the UNet sees at once: what Stable Video Diffusion XT was trained on."""

    shift_offset: int = 7
    """alpha, paper alg. 1: frames by which windows move each step; 7 shares no factor with 25."""

    overlap: int = 0
    """Frames shared by neighbouring windows; the motion frames of that baseline. 0 suits the shift."""

    sigma_max: float = 700.0
    """Where denoising starts: no trace of the frames is left in the noise."""

    sigma_min: float = 0.002
    """The last noise level before zero, below what can be seen."""

    rho: float = 7.0
    """Karras et al. 2022, table 1: spends most steps at low noise."""

    strength: float = 1.0
    """Share of the steps that is done, from the low end; below 1 the video starts from the portrait."""

    initial_temperature: float = 1.0
    """Scales the initial noise; below 1 trades variety for fidelity to the mean."""

    windows_per_batch: int = 1
    """Windows in one UNet call. On a CPU one is fastest: 4 took 20 % longer on a UNet of 2 M parameters."""

    batch_branches: bool = True
    """Guidance branches in one UNet call; off needs less memory, and was as fast on a CPU."""

    guidance_interval: tuple[float, float] | None = None
    """Noise levels (lowest, highest sigma) that are guided; at others only the branch that sees the portrait
    and hears the voice runs. Lossy (Kynkäänniemi et al. 2024)."""

    reuse: int = 1
    """Steps that share the deep levels' features, computed at the first of them. Lossy (Ma et al. 2023)."""

    as_reference: bool = False
    """Sound in separate pieces of 30 s, a last window that wraps into the first frames, unbounded motion
    buckets, frame count, decoding and the order of random numbers as in the reference implementation, to
    compare with its videos."""

    decode_chunk: int | None = None
    """Full model: frames decoded at once, which memory goes with. None: as SEAMLESS_DECODE, or
    REFERENCE_DECODE where as_reference is set; other chunks overlap by the same share, at most by as much."""

    def __post_init__(self) -> None:
        positive = (
            *(self.steps, self.window_frames, self.windows_per_batch, self.reuse),
            *(self.sigma_min, self.rho),
        )
        low, high = self.guidance_interval or (0.0, math.inf)
        in_range = {
            "steps, window_frames, windows_per_batch, reuse, sigma_min, rho": min(positive) > 0,
            "guidance_interval": 0 <= low < high,
            "sigma_max": self.sigma_min < self.sigma_max < math.inf,
            "strength": 0 < self.strength <= 1,
            "dynamic_scale": 0 <= self.dynamic_scale <= 8,
            "shift_offset": self.shift_offset >= 0,
            "decode_chunk": self.decode_chunk is None or self.decode_chunk > 0,
            "overlap": 0 <= self.overlap < self.window_frames,
            "initial_temperature": 0 <= self.initial_temperature < math.inf,
            "windows": self.windows in ("shift", "overlap", "motion-frames", "independent"),
            "image_guidance, audio_guidance": all(
                math.isfinite(value)
                for ramp in (self.image_guidance, self.audio_guidance)
                for value in ends_of(ramp)
            ),
        }
        wrong = [names for names, right in in_range.items() if not right]
        if wrong:
            values = ", ".join(
                f"{name} = {getattr(self, name)!r}" for names in wrong for name in names.split(", ")
            )
            raise OptionOutOfRange(f"Out of range among {values}; see sonimate.configs.SamplingOptions.")
        if self.windows in ("overlap", "motion-frames") and self.overlap == 0:
            raise OptionOutOfRange(f"windows = {self.windows!r} needs overlap above 0; the paper takes 8.")

    @property
    def fixed_seed(self) -> int:
        """The seed, or REFERENCE_SEED where it is None."""
        return REFERENCE_SEED if self.seed is None else self.seed

    @property
    def decoding(self) -> DecodeOptions:
        """How latents of these options become frames, at 25 a second."""
        default = REFERENCE_DECODE if self.as_reference else SEAMLESS_DECODE
        chunk = self.decode_chunk or default.chunk_frames
        overlap = min(default.overlap_frames, default.overlap_frames * chunk // default.chunk_frames)
        return DecodeOptions(seed=self.fixed_seed, chunk_frames=chunk, overlap_frames=overlap)


@dataclass(frozen=True, kw_only=True)
class MotionOptions:
    """How strongly to move. None lets the voice and the portrait decide (`AudioToBucket`, times beta).

    head_motion, expression: motion buckets in [0, 128] (paper section 3.2).
    Raises OptionOutOfRange.
    """

    head_motion: float | None = None
    expression: float | None = None

    def __post_init__(self) -> None:
        for name in ("head_motion", "expression"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= MAX_BUCKET:
                raise OptionOutOfRange(
                    f"{name} = {value}; choose a number from 0 (still) to 128 (most lively)."
                )


AUTOMATIC = MotionOptions()


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """How latents become frames. Chunks are the full model's: its decoder couples the frames of a chunk.

    Raises OptionOutOfRange.
    """

    fps: float = VIDEO_FPS
    """Frames a second: 25, or 12.5, one for each latent."""

    seed: int = 0
    """Of the compact model's blinks."""

    chunk_frames: int = 16
    """Frames decoded at once, which memory grows with; fewer cost more time for the same overlap."""

    overlap_frames: int = 10
    """Frames that neighbouring chunks both decode; each is kept from the chunk whose ends are farther away.
    With 5 on either side of a seam the picture jumps by less than rounding to 8 bits may change it
    (docs/decisions/0008). Time goes with chunk_frames / (chunk_frames - overlap_frames)."""

    def __post_init__(self) -> None:
        if self.fps not in FRAME_RATES:
            raise OptionOutOfRange(f"fps = {self.fps}; choose 25 or 12.5.")
        if not 0 <= self.overlap_frames < self.chunk_frames:
            raise OptionOutOfRange(
                f"chunk_frames = {self.chunk_frames}, overlap_frames = {self.overlap_frames}; "
                "choose an overlap from 0 to below the chunk."
            )


SEAMLESS_DECODE = DecodeOptions()
REFERENCE_DECODE = DecodeOptions(chunk_frames=8, overlap_frames=0)
"""As in the reference implementation (NOTES 4.12): seams show."""


def ends_of(ramp: Ramp) -> tuple[float, float]:
    """The values at the first and the last step."""
    return ramp if isinstance(ramp, tuple) else (ramp, ramp)


FULL = SamplingOptions()
"""Released weights: NOTES 4.4-4.7."""

COMPACT = replace(
    FULL,
    steps=8,  # as close to held-out mouths as 12; at 6 and 4 correlation and amplitude fall
    initial_temperature=0.5,  # at 1 mouths follow the voice less and move too little
    image_guidance=1.0,  # another value costs one more branch in every step
    audio_guidance=2.0,  # built into the student; mouths move 1.4 times as much as the real ones
    sigma_max=80.0,  # Karras et al. 2022, table 1; starting lower, mouths and heads move less
)
"""The bundled model; `benchmarks/lip_sync.py` draws lip correlation and amplitude over guidance."""


def require_size(size: int) -> int:
    """`size` in px, if it is in range. Raises OptionOutOfRange."""
    if not MIN_SIZE_PX <= size <= MAX_SIZE_PX:
        raise OptionOutOfRange(f"size = {size}; choose from {MIN_SIZE_PX} to {MAX_SIZE_PX} px.")
    return size
