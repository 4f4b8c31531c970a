"""Frozen options with their defaults and reasons. Loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from sonimate.clock import LATENT_FPS, VIDEO_FPS
from sonimate.errors import OptionOutOfRange

Ramp = float | tuple[float, float]
"""A constant, or the values at the first and last denoising step with linear interpolation between them."""
MAX_BUCKET = 128.0
"""The liveliest motion bucket; clips above it are not trained on (paper section 3.2)."""
MAX_GUIDANCE = 10.0
"""Guidance scales lie from 0 to this: at 10 a mouth of the compact model opens as in a laugh."""
MIN_SIZE_PX, MAX_SIZE_PX = 64, 8192
"""Range of a picture's size: the longer side for the compact model, the shorter side for the full one."""
DEFAULT_IMAGE_SIZE_PX = 512
"""Shorter side of the full model's frames; the reference implementation's setting."""
FRAME_RATES = (LATENT_FPS, 24.0, VIDEO_FPS, 30.0, 50.0, 60.0)
"""Frames a second that a video of the compact model may have."""
FULL_FRAME_RATES = (LATENT_FPS, VIDEO_FPS)
"""And one of the full model: its latents are pictures, with one more made between every two."""
REFERENCE_SEED = 72_589
"""The reference implementation's default seed."""
Precision = Literal["auto", "float32", "float16", "bfloat16"]
WindowStrategy = Literal["shift", "overlap", "motion-frames", "independent"]
MAX_BLINKS = 40.0
"""A minute; a blink in each 1.5 s is the most that still looks like blinks, not like a twitch."""
GAZE_X_DEGREES, GAZE_Y_DEGREES = (-12.0, 12.0), (-6.0, 2.0)
"""Where eyes can be made to look, against where they look in the picture. Farther, and above all upwards, the
picture has no white of the eye to show."""
GAZE_LIMITS = "X from -12 to 12 and Y from -6 to 2"
Gaze = Literal["natural", "steady"] | tuple[float, float]
KEEP, TRANSPARENT = "keep", "transparent"
"""Backgrounds that are neither a colour nor a picture."""


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
    """How a long video is divided into windows: the time-aware position shift (paper alg. 1) or a baseline of
    paper table 4."""
    window_frames: int = 25
    """Latent frames of one UNet call; Stable Video Diffusion XT was trained with 25."""
    shift_offset: int = 7
    """alpha, paper alg. 1: latent frames by which the windows move after each step. 7 and 25 have no common
    factor, so every frame comes to every place of a window."""
    overlap: int = 0
    """Latent frames that neighbouring windows share, or the motion frames of that baseline; 0 for "shift"."""
    sigma_max: float = 700.0
    """First noise level: so high that the noise hides the frames completely."""
    sigma_min: float = 0.002
    """Last noise level before zero: too low to be seen."""
    rho: float = 7.0
    """Spacing of the noise levels (Karras et al. 2022, table 1): 7 puts most steps at low noise."""
    strength: float = 1.0
    """Share of the steps that is computed, the last ones. Below 1 sampling starts from the noised
    portrait."""
    initial_temperature: float = 1.0
    """Factor on the initial noise. Below 1 gives less variety and motion closer to the mean."""
    windows_per_batch: int = 1
    """Windows in one UNet call. On a CPU, 1 is fastest: with 4, a UNet of 2 M parameters took 20 % longer."""
    batch_branches: bool = True
    """All guidance branches in one UNet call. False needs less memory, and was as fast on a CPU."""
    guidance_interval: tuple[float, float] | None = None
    """Guide only at noise levels between these two (lowest, highest sigma); at others only the branch with
    portrait and voice is computed. Faster, other videos (Kynkäänniemi et al. 2024)."""
    reuse: int = 1
    """Steps that share the deep levels' features, computed at the first of them. Faster, other videos (Ma et
    al. 2023)."""
    as_reference: bool = False
    """Sound in separate pieces of 30 s, a last window that wraps into the first frames, unbounded motion
    buckets, frame count, decoding and the order of random numbers as in the reference implementation, to
    compare with its videos."""
    decode_chunk: int | None = None
    """Full model: frames decoded at once; memory grows with it. None: as in SEAMLESS_DECODE, or in
    REFERENCE_DECODE if as_reference is set. The overlap of smaller chunks shrinks with them."""

    def __post_init__(self) -> None:
        positive = "steps, window_frames, windows_per_batch, reuse, sigma_min, rho"
        low, high = self.guidance_interval or (0.0, math.inf)
        in_range = {
            positive: min(getattr(self, name) for name in positive.split(", ")) > 0,
            "guidance_interval": 0 <= low < high,
            "sigma_max": self.sigma_min < self.sigma_max < math.inf,
            "strength": 0 < self.strength <= 1,
            "dynamic_scale": 0 <= self.dynamic_scale <= 8,
            "shift_offset": self.shift_offset >= 0,
            "decode_chunk": self.decode_chunk is None or self.decode_chunk > 0,
            "overlap": 0 <= self.overlap < self.window_frames,
            "initial_temperature": 0 <= self.initial_temperature < math.inf,
            "windows": self.windows in get_args(WindowStrategy),
            "image_guidance, audio_guidance": all(
                0 <= scale <= MAX_GUIDANCE
                for scale in (*ends_of(self.image_guidance), *ends_of(self.audio_guidance))
            ),
        }
        wrong = [names for names, right in in_range.items() if not right]
        if wrong:
            values = ", ".join(f"{name} = {getattr(self, name)!r}" for name in ", ".join(wrong).split(", "))
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
class EyeOptions:
    """What the compact model's eyes do.

    blinks: a minute, from 0 to 40; by default the 16 of a person at rest. gaze: "natural", with glances
    around; "steady", as in the picture; or (x, y), degrees from there, to the viewer's right, -12 to 12, and
    up, -6 to 2. In all of them the eyes make good a part of the head's turns.
    Raises OptionOutOfRange.
    """

    blinks: float = 16.0
    gaze: Gaze = "natural"

    def __post_init__(self) -> None:
        if not 0 <= self.blinks <= MAX_BLINKS:
            raise OptionOutOfRange(f"blinks = {self.blinks}; choose from 0 to {MAX_BLINKS:g} a minute.")
        if isinstance(self.gaze, str):
            known = self.gaze in ("natural", "steady")
        else:
            known = all(
                low <= value <= high
                for value, (low, high) in zip(self.gaze, (GAZE_X_DEGREES, GAZE_Y_DEGREES), strict=True)
            )
        if not known:
            raise OptionOutOfRange(
                f"gaze = {self.gaze!r}; choose natural, steady, or X,Y in degrees with {GAZE_LIMITS}."
            )


NATURAL_EYES = EyeOptions()


@dataclass(frozen=True, kw_only=True)
class MotionOptions:
    """How much to move. None: predicted from voice and portrait (`AudioToBucket`), times the dynamic scale.

    head_motion, expression: motion buckets in [0, 128] (paper section 3.2).
    Raises OptionOutOfRange.
    """

    head_motion: float | None = None
    expression: float | None = None
    eyes: EyeOptions = NATURAL_EYES

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
    """Frames a second, one of FRAME_RATES; 12.5 is one for each latent."""
    seed: int = 0
    """Of the compact model's blinks and glances."""
    eyes: EyeOptions = NATURAL_EYES
    chunk_frames: int = 16
    """Frames decoded at once. More need more memory; fewer need more time at the same overlap."""
    overlap_frames: int = 10
    """Frames that two neighbouring chunks both decode. Each is taken from the chunk in which it is farther
    from the ends. With 5 frames on each side of a seam, the picture changes there by less than rounding to 8
    bits (docs/decisions/0008). Time grows as chunk_frames / (chunk_frames - overlap_frames)."""

    def __post_init__(self) -> None:
        if self.fps not in FRAME_RATES:
            raise OptionOutOfRange(f"fps = {self.fps:g}; choose {rates_text(FRAME_RATES)}.")
        if not 0 <= self.overlap_frames < self.chunk_frames:
            raise OptionOutOfRange(
                f"chunk_frames = {self.chunk_frames}, overlap_frames = {self.overlap_frames}; "
                "choose an overlap from 0 to below the chunk."
            )


SEAMLESS_DECODE = DecodeOptions()
REFERENCE_DECODE = DecodeOptions(chunk_frames=8, overlap_frames=0)
"""As in the reference implementation (NOTES 4.12): seams are visible."""


def ends_of(ramp: Ramp) -> tuple[float, float]:
    """The values at the first and the last step."""
    return ramp if isinstance(ramp, tuple) else (ramp, ramp)


FULL = SamplingOptions()
"""Released weights: NOTES 4.4-4.7."""
COMPACT = replace(
    FULL,
    steps=8,  # of the second version's weights: as good on held-out mouths as 12, better than 6 and 4
    initial_temperature=0.25,  # higher: the mouth's corners follow the voice less (docs/decisions/0028)
    image_guidance=1.0,  # any other value needs one more UNet branch in every step
    audio_guidance=2.0,  # distilled into the UNet
    sigma_max=80.0,  # Karras et al. 2022, table 1; with a lower one, mouths and heads move less
)
"""The bundled model; `benchmarks/lip_sync.py` draws lip correlation and amplitude over guidance."""


def rates_text(rates: tuple[float, ...]) -> str:
    """Frame rates as words: "12.5, 24 or 25"."""
    *most, last = (f"{rate:g}" for rate in rates)
    return f"{', '.join(most)} or {last}"


def require_frame_rate(fps: float, *, full: bool) -> None:
    """Raise OptionOutOfRange for a rate at which the full model, if it is that, cannot make frames."""
    if full and fps not in FULL_FRAME_RATES:
        raise OptionOutOfRange(
            f"fps = {fps:g} is for the compact model, which moves one picture; the full model's "
            f"frames come at {rates_text(FULL_FRAME_RATES)}. Choose one of these."
        )


def require_size(size: int) -> int:
    """`size` in px, if it is in range. Raises OptionOutOfRange."""
    if not MIN_SIZE_PX <= size <= MAX_SIZE_PX:
        raise OptionOutOfRange(f"size = {size}; choose from {MIN_SIZE_PX} to {MAX_SIZE_PX} px.")
    return size
