"""What is shown to whom: videos of several systems, paired by name, in an order of each rater's own."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Literal

from sonimate.errors import FileMissing, TooFewClips, UnreadableVideo
from sonimate.evaluate.video_pairs import find_videos, pair_videos
from sonimate.media.files import require_folder

Mode = Literal["rate", "choose"]
QUESTIONS = {
    "lip-sync": "lip sync",
    "motion": "motion diversity",
    "identity": "identity consistency",
    "smoothness": "smoothness",
}
"""Of table 2 of the paper, by the names that the votes are stored under."""
MOST = {"rate": 5, "choose": 2}
"""Votes are 1 to 5; or 1 for the first video, 2 for the second."""
PLAYED = {".mp4", ".m4v", ".mov", ".webm"}
"""Containers that browsers play."""


@dataclass(frozen=True)
class Shown:
    """One video of a study."""

    system: str
    clip: str
    path: Path

    @property
    def token(self) -> str:
        """The name that the page knows it by: it tells neither system nor clip."""
        return hashlib.sha256(f"{self.system}\0{self.clip}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class StudyPlan:
    """systems: by name. clips: those that every system has. left_out: videos of clips that some system
    lacks."""

    mode: Mode
    systems: tuple[str, ...]
    clips: tuple[str, ...]
    videos: tuple[Shown, ...]
    left_out: int

    @cached_property
    def by_token(self) -> dict[str, Shown]:
        return {shown.token: shown for shown in self.videos}

    def trials(self, rater: str) -> list[tuple[Shown, ...]]:
        """One video to rate, or two of the same clip to choose from. The order, and which stands first, is
        drawn from the rater's own seed, so that a page that is opened again goes on."""
        draw = random.Random(rater)
        trials: list[tuple[Shown, ...]] = [(shown,) for shown in self.videos]
        if self.mode == "choose":
            trials = [pair for pair in combinations(self.videos, 2) if pair[0].clip == pair[1].clip]
            trials = [pair if draw.random() < 0.5 else pair[::-1] for pair in trials]
        draw.shuffle(trials)
        return trials


def plan_study(folder: Path, mode: Mode) -> StudyPlan:
    """From a folder with one folder of videos for each system. The folder with the shortest names names the
    clips; those of the others contain them. Raises FileMissing, TooFewClips, UnreadableVideo."""
    folders = sorted(path for path in require_folder(folder).iterdir() if path.is_dir())
    found = {path.name: find_videos(path) for path in folders if not path.name.startswith(".")}
    if len(found) < (2 if mode == "choose" else 1):
        raise FileMissing(
            f"{folder} holds {len(found)} folders of videos. Put the videos of each system into a folder of "
            "its own there; to choose between systems, two or more."
        )
    naming = min(found, key=lambda name: (sum(map(len, found[name])) / len(found[name]), name))
    paired = {name: pair_videos(videos, list(found[naming])).generated for name, videos in found.items()}
    clips = [clip for clip in found[naming] if all(clip in videos for videos in paired.values())]
    if not clips:
        raise TooFewClips(f"No clip is in all of {', '.join(found)}. Name videos of the same clip alike.")
    shown = tuple(Shown(name, clip, paired[name][clip]) for clip in clips for name in found)
    for video in shown:
        if video.path.suffix.lower() not in PLAYED:
            raise UnreadableVideo(f"Browsers do not play {video.path}. Convert it to mp4 (H.264, AAC).")
    left_out = sum(map(len, found.values())) - len(shown)
    return StudyPlan(mode, tuple(found), tuple(clips), shown, left_out)
