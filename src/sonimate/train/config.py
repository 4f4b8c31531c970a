"""What a training run needs, read from a YAML file. Every number that decides quality is in that file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sonimate.errors import FileMissing, OptionOutOfRange


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """unet, audio_tokens, audio_bucket, reference_encoder: keyword arguments of those classes' configs.

    steps, batch_size, frames (of a window, at 12.5 fps). learning_rate, warmup_steps, weight_decay,
    gradient_clip, ema_decay.
    real_share: part of each batch that comes from real clips. drop_audio, drop_image, drop_both: chances.
    sigma_mean, sigma_std: of ln(sigma). reference_noise: standard deviation in cm, added to the reference's
    coefficients.
    mixed_precision: "no", "bf16" or "fp16" (accelerate's).
    bucket_steps: length of the second stage, which trains audio_bucket alone.
    """

    unet: dict[str, Any]
    audio_tokens: dict[str, Any]
    audio_bucket: dict[str, Any]
    reference_encoder: dict[str, Any]
    steps: int
    batch_size: int = 16
    frames: int = 25
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema_decay: float = 0.995
    mixed_precision: str = "no"
    real_share: float = 0.5
    drop_audio: float = 0.05
    drop_image: float = 0.05
    drop_both: float = 0.05
    sigma_mean: float = 0.0
    sigma_std: float = 1.4
    reference_noise: float = 0.1
    bucket_steps: int = 300
    checkpoint_every: int = 200
    validate_every: int = 400
    seed: int = 0
    held_out: tuple[str, ...] = field(default_factory=tuple)

    @classmethod
    def from_yaml(cls, path: Path, **overrides: Any) -> TrainConfig:
        """Raises FileMissing, or OptionOutOfRange naming keys that no field has."""
        if not path.exists():
            raise FileMissing(f"{path} does not exist; configs/ holds the recipes of the bundled models.")
        values = yaml.safe_load(path.read_text()) | overrides
        try:
            return cls(**values)
        except TypeError as error:
            raise OptionOutOfRange(f"{path}: {error}; see sonimate.train.config.TrainConfig.") from error
