"""I3D features of short windows of frames for FVD (Unterthiner et al. 2019): the network of Carreira and
Zisserman (2017), as StyleGAN-V (Skorokhodov et al. 2022) published it in TorchScript, with its own scaling.

A TorchScript file is a program; it is loaded only after its hash has been compared.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from sonimate.errors import InvalidCheckpoint
from sonimate.evaluate.standard.standard_files import KINETICS_I3D, StandardFile, find_standard

WINDOW_FRAMES = 16


class VideoFeatures:
    """Windows of frames -> features. Raises NetworkFileMissing, WrongNetworkFile or InvalidCheckpoint."""

    def __init__(self, folder: Path | None = None, *, file: StandardFile = KINETICS_I3D) -> None:
        path = find_standard(file, folder)
        try:
            with warnings.catch_warnings():  # torch advises against TorchScript, but the file is TorchScript
                warnings.simplefilter("ignore", DeprecationWarning)
                self._network: Any = cast(Any, torch.jit).load(path, map_location="cpu").eval()
        except RuntimeError as error:
            raise InvalidCheckpoint(f"{path} cannot be read ({error}). Download it again.") from error

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Features (400,) of WINDOW_FRAMES frames uint8 RGB (n, h, w, 3)."""
        x = torch.as_tensor(frames).permute(3, 0, 1, 2)[None].float()
        return self._network(x, rescale=True, resize=True, return_features=True)[0].numpy()
