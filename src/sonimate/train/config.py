"""The settings of a training run, read from a YAML file, its recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from sonimate.configs import COMPACT, FULL, MAX_GUIDANCE, SamplingOptions
from sonimate.errors import InvalidRecipe, OptionOutOfRange
from sonimate.train.recipes import FOLDER, find_recipe

PRECISIONS = ("no", "bf16", "fp16")
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("steps", "warmup_steps", "bucket_steps"), (0, 10_000_000)),
    **dict.fromkeys(("checkpoint_every", "validate_every"), (1, 10_000_000)),
    **dict.fromkeys(("batch_size", "accumulation", "bucket_batch_size"), (1, 65_536)),
    **dict.fromkeys(("learning_rate", "bucket_rate", "final_rate", "weight_decay", "ema_decay"), (0, 1)),
    **dict.fromkeys(("drop_audio", "drop_image", "drop_both", "real_share"), (0, 1)),
    "frames": (1, 1000),
    "adam_beta2": (0, 0.999999),  # Adam divides by 1 - adam_beta2
    "gradient_clip": (0, 1e6),
    "sigma_mean": (-10, 10),
    "sigma_std": (0, 10),
    "seed": (0, 2**63 - 1),
    "reference_noise": (0, 10),
    "distil_guidance": (0, MAX_GUIDANCE),
    "validation_clips": (0, 10_000),
}
"""Lowest and highest value of each number: wide enough for any training that works, and no typing error
passes that would end a run hours later."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of both sizes.

    steps, warmup_steps, checkpoint_every, validate_every: numbers of optimiser steps.
    batch_size: windows of one step, over all processes and their `accumulation` parts.
    frames: of a window, at 12.5 fps.
    final_rate: the share of `learning_rate` at the last step, reached along a cosine; 1 is constant.
    drop_audio, drop_image, drop_both: chances of dropping conditions, 0.05 each in the paper (section 4).
    sigma_mean, sigma_std: mean and standard deviation of ln(sigma), sigma being the noise level.
    mixed_precision: "no", "bf16" or "fp16", as accelerate has it.
    bucket_steps, bucket_batch_size, bucket_rate: steps, batch size and learning rate of the second stage,
        which trains audio_to_bucket alone.
    temporal_audio, motion_controller: false trains a model without this part (table 3 of the paper); the
        UNet's config.json then says so, and the pipeline leaves the part out too.
    sampling: fields of SamplingOptions for validation that differ from the defaults of the size.
    held_out: speakers to leave out of training and to validate on; a string is one speaker.
    """

    steps: int
    batch_size: int = 16
    accumulation: int = 1
    frames: int = 25
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    final_rate: float = 0.05
    weight_decay: float = 0.01
    adam_beta2: float = 0.99
    gradient_clip: float = 1.0
    gradient_checkpointing: bool = False
    ema_decay: float = 0.995
    mixed_precision: str = "no"
    drop_audio: float = 0.05
    drop_image: float = 0.05
    drop_both: float = 0.05
    sigma_mean: float = 0.0
    sigma_std: float = 1.4
    bucket_steps: int = 300
    bucket_batch_size: int = 16
    bucket_rate: float = 1e-3
    temporal_audio: bool = True
    motion_controller: bool = True
    sampling: dict[str, Any] = field(default_factory=dict)
    checkpoint_every: int = 200
    validate_every: int = 400
    seed: int = 0
    held_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mixed_precision is False:  # YAML reads an unquoted no as false
            object.__setattr__(self, "mixed_precision", "no")
        for spec in fields(self):
            self._check(spec.name, spec.type, getattr(self, spec.name))
        if self.mixed_precision not in PRECISIONS:
            raise OptionOutOfRange(
                f"mixed_precision = {self.mixed_precision!r}; choose one of {', '.join(PRECISIONS)}."
            )
        held = self.held_out if isinstance(self.held_out, list | tuple) else (self.held_out,)
        object.__setattr__(self, "held_out", tuple(str(name) for name in held if name is not None))
        _ = self.sampling_options

    @property
    def sampling_options(self) -> SamplingOptions:
        """Sampling options of validation. Raises OptionOutOfRange."""
        unknown = set(self.sampling) - {spec.name for spec in fields(SamplingOptions)}
        if unknown:
            raise OptionOutOfRange(f"sampling: {', '.join(sorted(unknown))}; see SamplingOptions.")
        ramps = {name: tuple(x) if isinstance(x, list) else x for name, x in self.sampling.items()}
        try:
            return replace(self._default_sampling(), **ramps)
        except (TypeError, ValueError, OptionOutOfRange) as error:
            raise OptionOutOfRange(f"sampling = {self.sampling}: {error}") from error

    def _default_sampling(self) -> SamplingOptions:
        return replace(FULL, window_frames=self.frames)

    @property
    def without(self) -> tuple[str, ...]:
        """The names, as in UNetConfig, of the parts that the model does not have."""
        return tuple(name for name in ("temporal_audio", "motion_controller") if not getattr(self, name))

    def _check(self, name: str, kind: Any, value: Any) -> None:
        """Check type and range of a setting, and convert numbers: YAML reads 1e-4 as a string."""
        if kind == "float":
            try:
                value = float(value)
            except (TypeError, ValueError):
                raise OptionOutOfRange(f"{name} = {value!r}; give a number.") from None
            if not math.isfinite(value):
                raise OptionOutOfRange(f"{name} = {value!r}; give a finite number.")
            object.__setattr__(self, name, value)
        types = {"int": int, "bool": bool, "str": str, "dict[str, Any]": dict}
        if kind in types and type(value) is not types[kind]:
            raise OptionOutOfRange(f"{name} = {value!r}; give a value of type {kind}.")
        if kind in ("int", "float"):
            low, high = RANGES[name]
            if not low <= value <= high:
                raise OptionOutOfRange(f"{name} = {value!r}; give a number from {low:.15g} to {high:.15g}.")


@dataclass(frozen=True, kw_only=True)
class CompactConfig(TrainConfig):
    """unet, audio_tokens, audio_bucket, reference_encoder: keyword arguments of these networks' configs.

    real_share: share of each batch that comes from real clips, in [0, 1]; the rest is synthetic.
    reference_noise: standard deviation, in cm, of noise on the reference's expression coefficients.
    distil_guidance: scale of audio guidance that the network learns to predict in one call, from the model of
        --init in two calls; 0 learns from the data.
    """

    unet: dict[str, Any]
    audio_tokens: dict[str, Any]
    audio_bucket: dict[str, Any]
    reference_encoder: dict[str, Any]
    real_share: float = 0.5
    reference_noise: float = 0.1
    distil_guidance: float = 0.0

    def _default_sampling(self) -> SamplingOptions:
        return COMPACT


@dataclass(frozen=True, kw_only=True)
class FullConfig(TrainConfig):
    """The networks' shapes are those of the model that training starts from.

    validation_clips: number of clips that a validation generates and measures.
    """

    validation_clips: int = 4


SIZES: dict[str, type[TrainConfig]] = {"compact": CompactConfig, "full": FullConfig}


def read_recipe(recipe: str | Path, **changes: Any) -> TrainConfig:
    """The settings in a recipe, by path or by its name in the package, with some of them changed. The key
    `model` of a recipe is one of SIZES.

    Raises FileMissing, InvalidRecipe, or OptionOutOfRange naming keys that are no settings.
    """
    path = find_recipe(recipe)
    try:
        values = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InvalidRecipe(
            f"{path} is no YAML ({reason}). Give a recipe such as {FOLDER}/compact.yaml."
        ) from error
    size = values.pop("model", None) if isinstance(values, dict) else None
    if size not in SIZES:
        raise OptionOutOfRange(f"{path}: model = {size!r}; choose one of {', '.join(SIZES)}.")
    try:
        return SIZES[size](**values | changes)
    except TypeError as error:
        raise OptionOutOfRange(
            f"{path}: {error}; see sonimate.train.config.{SIZES[size].__name__}."
        ) from error
    except OptionOutOfRange as error:
        raise OptionOutOfRange(f"{path}: {error}") from error


def read_changes(settings: Sequence[str]) -> dict[str, Any]:
    """Settings of a command line, each KEY=VALUE, where VALUE is YAML. Raises OptionOutOfRange."""
    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise OptionOutOfRange(f"--set {setting!r} is not KEY=VALUE.")
        try:
            changes[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise OptionOutOfRange(f"--set {setting!r}: {value!r} is not YAML ({reason}).") from error
    return changes
