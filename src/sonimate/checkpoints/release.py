"""The authors' release: which files it has, where they lie in a user's folders, and how they name tensors.

Loads no torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonimate.checkpoints.registry import CONFIG, read_config
from sonimate.errors import FileMissing, InvalidCheckpoint


@dataclass(frozen=True, kw_only=True)
class KeyMap:
    """How a file's tensor names differ from its component's. The default is no difference.

    wrappers: keys under which training programs put the whole state dict, if they do.
    prefixes: the first of these that the names have is removed, from all names or from none.
    drops_others: names without the prefix belong to other components and are left out.
    ignored: names of values that older versions of a library stored and that no network needs.
    """

    wrappers: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    drops_others: bool = False
    ignored: tuple[str, ...] = ()

    def rename(self, names: Iterable[str]) -> dict[str, str]:
        """The component's name -> the file's name, in the file's order."""
        kept = [name for name in names if name not in self.ignored]
        holds = any if self.drops_others else all
        for prefix in self.prefixes:
            if kept and holds(name.startswith(prefix) for name in kept):
                return {name.removeprefix(prefix): name for name in kept if name.startswith(prefix)}
        return {name: name for name in kept}


AUDIO_ENCODER_KEYS = KeyMap(prefixes=("model.encoder.", "encoder."), drops_others=True)
"""For a whole Whisper model, of which only the encoder is needed."""

TRAINED_KEYS = KeyMap(wrappers=("state_dict",), prefixes=("module.",))
"""The release's own files need no change (NOTES 3.1), but often the files of further training."""

KEY_MAPS = {
    "unet": TRAINED_KEYS,
    "audio_to_tokens": TRAINED_KEYS,
    "audio_to_bucket": TRAINED_KEYS,
    "image_encoder": KeyMap(ignored=("vision_model.embeddings.position_ids",)),
    "audio_encoder": AUDIO_ENCODER_KEYS,
    "vae": KeyMap(),
    "interpolator": KeyMap(prefixes=("module.",), drops_others=True),  # NOTES 5.1
}
"""By the name of the component."""

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

    sonic: holds SONIC_FILES, at any depth; flownet.pkl may also be in the folder RIFE beside it, as in the
    authors' layout, or missing. svd: Stable Video Diffusion XT in diffusers' form. whisper: whisper-tiny in
    transformers' form. rife: flownet.pkl, if it is elsewhere.
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
        sonic["interpolator"] = self.rife or sonic["interpolator"] or self._rife_beside()
        for name, path in sonic.items():
            if path is None and name != "interpolator":
                raise FileMissing(
                    f"{SONIC_FILES[name]} is nowhere below {self.sonic}. Give the folder of Sonic's release."
                )
            if path is not None and not path.is_file():
                raise FileMissing(f"{path} does not exist. Check the spelling of the path.")
        return {name: path for name, path in sonic.items() if path} | {
            "image_encoder": first_file(self.svd / "image_encoder", TRANSFORMERS_FILES),
            "audio_encoder": first_file(self.whisper, TRANSFORMERS_FILES),
            "vae": first_file(self.svd / "vae", DIFFUSERS_FILES),
        }

    def _rife_beside(self) -> Path | None:
        """flownet.pkl in the authors' folder RIFE, in any case, beside that of the other files."""
        for folder in self.sonic.absolute().parent.iterdir():
            if folder.name.lower() == "rife" and folder.is_dir():
                return _find_below(folder, SONIC_FILES["interpolator"])
        return None

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
            name: read_config(folder)
            for name, folder in folders.items()
            if name != "unet" or (folder / CONFIG).is_file()
        }


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


def first_file(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of `names` that is a file in `folder`. Raises FileMissing."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileMissing(f"{folder} holds none of {', '.join(names)}. Copy the model's whole folder.")
