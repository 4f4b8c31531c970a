"""Features of videos on disk, by what they depend on: content of the video, view, detector and its version.

Files appear whole or not at all, so a run that was killed goes on with the clips that are left, and several
processes and machines may share one folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sonimate.errors import UnusableClip
from sonimate.evaluate.metric import UNUSABLE, Detect, Detector, Features
from sonimate.evaluate.viewing import SeenClip
from sonimate.media.files import replacing, write_errors
from sonimate.media.folders import file_sha256, fingerprint

REASON = "reason it is unusable"
"""The only array of a clip that cannot be measured: the message, as UTF-8."""


@dataclass
class FeatureCache:
    """Looks at a clip once. Detectors are loaded at the first clip that they have not seen."""

    folder: Path
    _loaded: dict[str, Detect] = field(default_factory=dict[str, Detect])

    def features(self, clip: SeenClip, detector: Detector) -> Features:
        """Of one clip. Raises UnusableClip, also from the cache, and OutputNotWritable."""
        path = self.path(clip, detector)
        found = _read(path) if path.exists() else None
        if found is None:
            found = self._see(clip, detector)
            with write_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial, partial.open("wb") as file:
                file.write(save(found))
        if REASON in found:
            raise UnusableClip(found[REASON].tobytes().decode())
        return found

    def path(self, clip: SeenClip, detector: Detector) -> Path:
        """The file for these features. Raises the errors of reading the clip."""
        key = fingerprint(file_sha256(clip.path), clip.view, detector.name, detector.version)
        return self.folder / detector.name / key[:2] / f"{key}.safetensors"

    def _see(self, clip: SeenClip, detector: Detector) -> dict[str, np.ndarray]:
        if detector.name not in self._loaded:
            self._loaded[detector.name] = detector.load()
        try:
            features = self._loaded[detector.name](clip)
        except UNUSABLE as error:
            return {REASON: np.frombuffer(str(error).encode(), np.uint8)}
        return {name: np.asarray(array, order="C") for name, array in features.items()}


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """None for a file that a disk has damaged: it is made again."""
    try:
        return load(path.read_bytes())
    except SafetensorError:
        return None
