"""Where a user's own copies of the released checkpoints are. Loads no torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonimate.errors import FileMissing, InvalidCheckpoint

CONFIG = "config.json"

SONIC_FILES = {
    "unet": "unet.pth",
    "audio_to_tokens": "audio2token.pth",
    "audio_to_bucket": "audio2bucket.pth",
    "interpolator": "flownet.pkl",
}
"""Component -> file of the release, anywhere below its folder, in any case."""

DIFFUSERS_FILES = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.fp16.bin",
)
TRANSFORMERS_FILES = (
    "model.safetensors",
    "pytorch_model.bin",
    "model.fp16.safetensors",
    "pytorch_model.fp16.bin",
)
"""What libraries call a component's tensors, the most exact first."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """Folders of released checkpoints.

    sonic: holds SONIC_FILES; flownet.pkl may be missing. svd: Stable Video Diffusion XT in diffusers' form.
    whisper: whisper-tiny in transformers' form. rife: flownet.pkl, if it is elsewhere.
    """

    sonic: Path
    svd: Path
    whisper: Path
    rife: Path | None = None

    def files(self) -> dict[str, Path]:
        """The file of each component's tensors. Raises FileMissing; without flownet.pkl, no interpolator."""
        for folder in (self.sonic, self.svd, self.whisper):
            if not folder.is_dir():
                raise FileMissing(f"{folder} is not a folder. Check the spelling of the path.")
        sonic = {name: _find_below(self.sonic, file) for name, file in SONIC_FILES.items()}
        sonic["interpolator"] = self.rife or sonic["interpolator"]
        for name, path in sonic.items():
            if path is None and name != "interpolator":
                raise FileMissing(
                    f"{SONIC_FILES[name]} is nowhere below {self.sonic}. Give the folder of Sonic's release."
                )
            if path is not None and not path.is_file():
                raise FileMissing(f"{path} does not exist. Check the spelling of the path.")
        return {name: path for name, path in sonic.items() if path} | {
            "image_encoder": _first(self.svd / "image_encoder", TRANSFORMERS_FILES),
            "audio_encoder": _first(self.whisper, TRANSFORMERS_FILES),
            "vae": _first(self.svd / "vae", DIFFUSERS_FILES),
        }

    def configs(self) -> dict[str, dict[str, Any]]:
        """config.json of the components that have one; the UNet's may be missing. Raises FileMissing or
        InvalidCheckpoint."""
        folders = {
            "unet": self.svd / "unet",
            "image_encoder": self.svd / "image_encoder",
            "audio_encoder": self.whisper,
            "vae": self.svd / "vae",
        }
        return {
            name: read_config(folder / CONFIG)
            for name, folder in folders.items()
            if name != "unet" or (folder / CONFIG).is_file()
        }


def read_config(path: Path) -> dict[str, Any]:
    """A component's config.json. Raises FileMissing or InvalidCheckpoint."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileMissing(f"{path} cannot be read ({error.strerror}). Copy the whole folder.") from error
    except ValueError as error:
        raise InvalidCheckpoint(f"{path} is damaged ({error}). Copy it again.") from error
    if not isinstance(values, dict):
        raise InvalidCheckpoint(f"{path} holds no settings. Copy it again.")
    return values


def _find_below(folder: Path, name: str) -> Path | None:
    """The file of that name, in any case, that lies least deep. Raises InvalidCheckpoint if two do."""
    found = [
        Path(parent) / file for parent, _, files in os.walk(folder) for file in files if file.lower() == name
    ]
    depth = min((len(path.parts) for path in found), default=0)
    nearest = sorted(path for path in found if len(path.parts) == depth)
    if len(nearest) > 1:
        raise InvalidCheckpoint(
            f"There are several: {', '.join(map(str, nearest))}. Give a folder with only one of them."
        )
    return nearest[0] if nearest else None


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileMissing(f"{folder} holds none of {', '.join(names)}. Copy the model's whole folder.")
