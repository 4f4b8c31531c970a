"""What the buttons of the page do, without the page: faces, spoken text, videos."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from sonimate.apps.faces import numbered
from sonimate.apps.jobs.job_options import Job, video_name
from sonimate.apps.jobs.workers import Limits, Outcome, Worker
from sonimate.apps.page.results import Result, Results
from sonimate.apps.page.time_left import Size, TimeLeft, seconds_a_unit
from sonimate.configs import COMPACT
from sonimate.errors import SonimateError
from sonimate.face.framing import find_faces
from sonimate.face.mesh import FaceMesh, face_size, require_faces
from sonimate.inputs import DEFAULT_SIZE_PX
from sonimate.media.audio import sound_seconds
from sonimate.media.image import read_image
from sonimate.speech.read_aloud import READERS, read_aloud

if TYPE_CHECKING:
    from sonimate.types import Box, Face

SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True)
class FoundFaces:
    """The faces of a picture, from the left, and the largest one's number."""

    picture: np.ndarray
    faces: tuple[Face, ...]
    largest: int

    @property
    def boxes(self) -> list[Box]:
        return [face.box for face in self.faces]

    def drawn(self, chosen: int) -> np.ndarray:
        """A copy of the picture with numbered boxes, the chosen one in another colour."""
        return numbered(self.picture, self.faces, chosen=chosen)

    def at(self, x: float, y: float) -> int:
        """The number of the face whose box's centre is nearest to a point of the drawn copy."""
        scale = self.picture.shape[1] / self.drawn(1).shape[1]
        point = np.array([x, y]) * scale
        centres = np.array([[(x0 + x1) / 2, (y0 + y1) / 2] for x0, y0, x1, y1 in self.boxes])
        return int(np.linalg.norm(centres - point, axis=1).argmin()) + 1


@dataclass(frozen=True)
class JobStep:
    """Of a job: what is being done, the share that is done, and the seconds left. stage "waiting": for
    another job."""

    stage: str
    share: float = 0.0
    seconds_left: float | None = None


class Studio:
    """One worker process that keeps its model, and the folder of results. Jobs take turns."""

    def __init__(self, results: Results, machine: Mapping[str, Any]) -> None:
        """machine: options of every job: model, device."""
        self.results, self.machine = results, machine
        self._worker = Worker(
            limits=Limits(seconds=math.inf, memory_mb=math.inf), threads=os.cpu_count() or 1
        )
        self._turn, self._mesh_lock = threading.Lock(), threading.Lock()
        self._mesh = FaceMesh(num_threads=1)
        self._running: dict[str, threading.Event] = {}
        self._spoken = TemporaryDirectory(prefix="sonimate-")

    def close(self) -> None:
        """End the worker, and remove spoken texts."""
        self._worker.close()
        self._spoken.cleanup()

    def faces(self, portrait: str) -> FoundFaces:
        """Raises the errors of `read_image`, and NoFaceFound."""
        picture = read_image(portrait)
        with self._mesh_lock:
            faces = tuple(require_faces(find_faces(picture, self._mesh, every_size=True)))
        return FoundFaces(picture, faces, int(np.argmax([face_size(face) for face in faces])) + 1)

    def speak(self, text: str, reader: str) -> str:
        """The path of a sound file with the text. reader: a label of READERS. Raises SonimateError."""
        voice = next(voice for voice in READERS if voice.label == reader)
        return str(read_aloud(text, voice, Path(self._spoken.name, f"{self.results.new_name()}.wav")))

    def stop(self, session: str) -> None:
        """Cancel the job of a session, if it has one."""
        if event := self._running.get(session):
            event.set()

    def animate(
        self, portrait: str, sound: str, options: Mapping[str, Any], session: str
    ) -> Iterator[JobStep | Outcome | Result]:
        """Make a video: steps, and at the end the result, or an outcome with an error.

        Closing the iterator cancels the job.
        """
        cancelled = self._running[session] = threading.Event()
        name = self.results.new_name()
        job = Job(
            portrait=portrait,
            audio=sound,
            output=video_name(name, options),
            folder=str(self.results.folder),
            options={**self.machine, **options},
        )
        try:
            while not self._turn.acquire(timeout=SECONDS_BETWEEN_LOOKS):
                yield JobStep("waiting")
            with self._released(cancelled):
                left = self._time_left(sound, options)
                for answer in self._answers(job, cancelled):
                    if isinstance(answer, Outcome):
                        yield self.results.add(name, options, answer.report) if answer.report else answer
                    else:
                        yield JobStep(answer[0], *left.update(*answer, time.monotonic()))
        finally:
            cancelled.set()
            self._running.pop(session, None)

    @contextmanager
    def _released(self, cancelled: threading.Event) -> Generator[None]:
        try:
            yield
        finally:
            cancelled.set()
            self._turn.release()

    def _answers(self, job: Job, cancelled: threading.Event) -> Iterator[tuple[str, int, int] | Outcome]:
        answers: SimpleQueue[tuple[str, int, int] | Outcome] = SimpleQueue()

        def tell(stage: str, done: int, total: int) -> None:
            answers.put((stage, done, total))

        def work() -> None:
            answers.put(self._worker.run(job, tell, cancelled))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            while True:
                answer = answers.get()
                yield answer
                if isinstance(answer, Outcome):
                    return
        finally:
            cancelled.set()
            thread.join()

    def _time_left(self, sound: str, options: Mapping[str, Any]) -> TimeLeft:
        """From the newest result's times. A sound that cannot be read fails later, in the worker."""
        newest = next(iter(self.results.all()), None)
        rates = seconds_a_unit(newest.report if newest else None)
        try:
            seconds = sound_seconds(sound)
        except SonimateError:
            seconds = 0.0
        side = options.get("size", DEFAULT_SIZE_PX)
        size = Size(seconds, options.get("steps", COMPACT.steps), side * side, loaded=self._worker.pid != 0)
        return TimeLeft({name: rates[name] * units for name, units in size.units().items()})
