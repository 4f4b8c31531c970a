"""The videos that the page has made: files in a folder, found again when the page is loaded anew."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sonimate.apps.jobs.job_options import video_name
from sonimate.media.files import replacing, require_writable
from sonimate.media.image import resize_longer_side, write_png
from sonimate.media.video import read_frames

THUMBNAIL_PX = 320
SHOWN = ("dynamic_scale", "head_motion", "expression", "background", "steps", "size", "face", "seed")
"""Settings that the page names, in this order."""


@dataclass(frozen=True)
class Result:
    """A video of the folder. settings: the job's options, with the seed that was used. report: of the run."""

    name: str
    folder: Path
    settings: Mapping[str, Any]
    report: Mapping[str, Any]

    @property
    def video(self) -> Path:
        return self.folder / video_name(self.name, self.settings)

    @property
    def thumbnail(self) -> Path:
        return self.folder / f"{self.name}.png"


class Results:
    """The folder: of each result a video, its first frame, and a JSON file, which is written last."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises OutputNotWritable."""
        self.folder = folder.absolute()
        if self.folder.parent.is_dir():
            self.folder.mkdir(exist_ok=True)
        require_writable(self.folder / "results")

    def new_name(self) -> str:
        """A name that no result has: the time, and letters for two in a second."""
        return f"{time.strftime('%Y-%m-%d %H.%M.%S')} {secrets.token_hex(2)}"

    def add(self, name: str, settings: Mapping[str, Any], report: Mapping[str, Any]) -> Result:
        """Keep the video that was written as `name`."""
        result = Result(name, self.folder, {**settings, "seed": report["seed"]}, report)
        (frame,) = islice(read_frames(result.video), 1)
        write_png(result.thumbnail, resize_longer_side(frame, THUMBNAIL_PX))
        with replacing(self.folder / f"{name}.json") as partial:
            partial.write_text(json.dumps({"settings": result.settings, "report": report}), encoding="utf-8")
        return result

    def all(self) -> list[Result]:
        """Every result, newest first. Files that are not whole are left out."""
        found = (self._read(path) for path in sorted(self.folder.glob("*.json"), reverse=True))
        return [result for result in found if result and result.video.exists()]

    def get(self, name: str | None) -> Result | None:
        """The result of this name, if there is one."""
        return next((result for result in self.all() if result.name == name), None)

    def _read(self, path: Path) -> Result | None:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return Result(path.stem, self.folder, dict(kept["settings"]), dict(kept["report"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The settings in which two results differ: name, and both values; None stands for the default."""
    return [
        (name, first.get(name), second.get(name)) for name in SHOWN if first.get(name) != second.get(name)
    ]
