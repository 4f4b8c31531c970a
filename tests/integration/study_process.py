"""`sonimate study` in a process of its own, and videos for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from processes import child_process

from sonimate.media.video_writer import VideoWriter
from sonimate.types import Waveform

SYSTEMS = ("alpha", "beta")


def make_study(folder: Path, clips: int = 2) -> Path:
    """Two systems' videos of a second with a tone, of another colour each."""
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    for place, system in enumerate(SYSTEMS):
        (folder / system).mkdir(parents=True)
        for clip in range(clips):
            name = f"clip_{clip}.mp4" if place == 0 else f"portrait##clip_{clip}_512.mp4"
            path = folder / system / name
            with VideoWriter(path, width=160, height=160, sound=Waveform(tone, 16_000)) as writer:
                for frame in range(25):
                    picture = np.full((160, 160, 3), 60 + 90 * place, np.uint8)
                    picture[6 * frame : 6 * frame + 12, 40 * clip : 40 * clip + 30] = 255
                    writer.write(picture)
    return folder


@contextmanager
def serving(folder: Path, *options: str, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address of its page, once it answers there."""
    command = [sys.executable, "-m", "sonimate", "study", str(folder), "--port", str(port), *options]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with child_process(command, env=variables, stdout=subprocess.PIPE) as process:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found, "The server said no address."
        yield process, found[0]
