# pyright: basic
"""What the page's components call: values in, new values out, in the reader's language."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from sonimate.apps.jobs.job_options import Job, job_arguments, option_schema
from sonimate.apps.jobs.workers import Outcome
from sonimate.apps.page.page_texts import TEXTS, language_of, say_in
from sonimate.apps.page.results import SHOWN, Result, differing
from sonimate.apps.page.studio import FoundFaces, JobStep, Studio
from sonimate.checkpoints.registry import is_full, model_folder
from sonimate.configs import COMPACT, DEFAULT_IMAGE_SIZE_PX, FULL, KEEP
from sonimate.errors import InvalidJob, SonimateError
from sonimate.inputs import DEFAULT_SIZE_PX


class Page:
    """The events of the page, for a studio."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.schema = option_schema(for_clients=True)["properties"]
        full = is_full(model_folder(studio.machine["model"]))
        self.size = DEFAULT_IMAGE_SIZE_PX if full else DEFAULT_SIZE_PX
        self.sampling = FULL if full else COMPACT

    def find(self, portrait: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Faces, picture, choice and status of a new portrait."""
        if portrait is None:
            return None, gr.update(value=None, visible=False), gr.update(choices=[], visible=False), ""
        try:
            found = self.studio.faces(portrait)
        except SonimateError as error:
            hidden = gr.update(visible=False)
            return None, hidden, hidden, problem(without_folders(str(error), portrait))
        numbers = list(range(1, len(found.faces) + 1))
        choice = gr.update(choices=numbers, value=found.largest, visible=len(numbers) > 1)
        return found, gr.update(value=found.drawn(found.largest), visible=True), choice, ""

    def click(self, found: FoundFaces | None, event: gr.SelectData) -> Any:
        """The face under a click."""
        return found.at(*event.index) if found else gr.skip()

    def mark(self, found: FoundFaces | None, number: int | None) -> Any:
        """The picture with the chosen face marked."""
        return found.drawn(number) if found and number else gr.skip()

    def speak(self, words: str, reader: str) -> tuple[Any, str]:
        """A sound of typed words, and the status."""
        try:
            return self.studio.speak(words, reader), ""
        except SonimateError as error:
            return gr.skip(), problem(str(error))

    def animate(
        self, request: gr.Request, portrait: str | None, sound: str | None, *values: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Status, video, and past results again and again until the video is done."""
        language = language_of(request.query_params, request.headers)
        if not (portrait and sound):
            yield self.shown(problem(say_in(language, "need_speech" if portrait else "need_portrait")))
            return
        options = self.options(values)
        try:
            job_arguments(Job(portrait=portrait, audio=sound, output="v", options=options), for_client=True)
        except InvalidJob as error:
            yield self.shown(problem(str(error)))
            return
        for answer in self.studio.animate(portrait, sound, options, str(request.session_hash)):
            if isinstance(answer, JobStep):
                yield self.shown(progress(answer, language))
            elif isinstance(answer, Result):
                seconds = f"{answer.report['wall_seconds']:.1f}"
                warnings = "".join(
                    f"<p>{html.escape(without_folders(warning, portrait, sound))}</p>"
                    for warning in answer.report["warnings"]
                )
                status = f'<div role="status">{say_in(language, "done", seconds=seconds)}{warnings}</div>'
                yield (status, gr.update(value=str(answer.video), visible=True), *self.past(language))
            elif answer.status == "cancelled":
                yield self.shown(f'<div role="status">{say_in(language, "stopped")}</div>')
            else:
                yield self.shown(failure(answer, portrait, sound))

    def shown(self, status: str) -> tuple[Any, ...]:
        """Only a new status."""
        return status, *[gr.skip()] * 6

    def options(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """The job's options from the values of the components."""
        names = ("found", "face", "dynamic_scale", "from_voice", "head_motion", "expression", "steps", "size")
        given = dict(zip((*names, "seed", "background"), values, strict=False))
        options = {"dynamic_scale": given["dynamic_scale"]} | {
            name: int(given[name]) for name in ("steps", "size")
        }
        found = given["found"]
        if found and len(found.faces) > 1:
            options["face"] = int(given["face"])
        if not given["from_voice"]:
            options |= {name: given[name] for name in ("head_motion", "expression")}
        if seed := given["seed"].strip():
            options["seed"] = int(seed) if seed.isascii() and seed.isdigit() else seed  # else it is refused
        if (background := given["background"].strip() or KEEP) != KEEP:
            options["background"] = background
        return options

    def stop(self, request: gr.Request) -> None:
        self.studio.stop(str(request.session_hash))

    def past(self, language: str) -> tuple[Any, ...]:
        """Gallery, its names, a message if it is empty, and the choices of the comparison: the last two."""
        results = self.studio.results.all()
        pictures = [(str(it.thumbnail), it.name[:19]) for it in results]
        names = [it.name for it in results]
        choices = [(f"{it.name[:19]}: {settings_text(it.settings, language)}", it.name) for it in results]
        second, first = (*names, None, None)[:2]
        return (
            gr.update(value=pictures, visible=bool(results)),
            names,
            gr.update(visible=not results),
            gr.update(choices=choices, value=first),
            gr.update(choices=choices, value=second),
        )

    def open(self, request: gr.Request) -> tuple[Any, ...]:
        """The past results when the page is loaded."""
        return self.past(language_of(request.query_params, request.headers))

    def replay(self, names: list[str], request: gr.Request, event: gr.SelectData) -> tuple[Any, str]:
        """The past video that was chosen, and its settings."""
        result = self.studio.results.get(names[event.index])
        if result is None:
            return gr.update(visible=False), ""
        language = language_of(request.query_params, request.headers)
        return gr.update(value=str(result.video), visible=True), settings_text(result.settings, language)

    def compare(self, first: str | None, second: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Both videos, and the settings in which they differ."""
        language = language_of(request.query_params, request.headers)
        pair = self.studio.results.get(first), self.studio.results.get(second)
        videos = [gr.update(value=str(it.video) if it else None, visible=it is not None) for it in pair]
        if not (pair[0] and pair[1]):
            return *videos, say_in(language, "compare_empty")
        return *videos, settings_table(pair[0].settings, pair[1].settings, language)


def settings_text(settings: Mapping[str, Any], language: str) -> str:
    """The settings of a result in one line."""
    return ", ".join(f"{say_in(language, name)} {settings[name]}" for name in SHOWN if name in settings)


def settings_table(first: Mapping[str, Any], second: Mapping[str, Any], language: str) -> str:
    """A table of the settings in which two results differ."""
    rows = differing(first, second)
    if not rows:
        return f"<p>{say_in(language, 'same_settings')}</p>"
    default = say_in(language, "default")
    cells = "".join(
        f"<tr><th scope='row'>{say_in(language, name)}</th>"
        + "".join(f"<td>{html.escape(str(default if value is None else value))}</td>" for value in values)
        + "</tr>"
        for name, *values in rows
    )
    titles = (say_in(language, "setting"), "A", "B")
    head = "".join(f"<th scope='col'>{title}</th>" for title in titles)
    return f"<table class='differences'><tr>{head}</tr>{cells}</table>"


def progress(step: JobStep, language: str) -> str:
    """A bar with what is done and the time left."""
    words = say_in(language, step.stage) if step.stage in TEXTS else step.stage
    if step.seconds_left is not None:
        words += f", {say_in(language, 'left', seconds=round(step.seconds_left))}"
    label = say_in(language, "progress")
    return f"<p>{words}</p><progress max='1' value='{step.share:.3f}' aria-label='{label}'></progress>"


def problem(message: str) -> str:
    """A message about what went wrong and what to do, which screen readers read at once."""
    return f'<div role="alert" class="problem">{html.escape(message)}</div>'


def failure(outcome: Outcome, *files: str) -> str:
    """The message of a job that failed."""
    return problem(without_folders(outcome.error["message"] if outcome.error else "", *files))


def without_folders(message: str, *files: str) -> str:
    """A message that names uploaded files by their names alone."""
    for file in files:
        message = message.replace(file, Path(file).name)
    return message
