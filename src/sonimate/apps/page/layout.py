# pyright: basic
"""The page: Gradio's components and what they call. page_texts.py has the texts, studio.py the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

import sonimate
from sonimate.apps.page.page_events import Page
from sonimate.apps.page.page_texts import KEY_PREFIX
from sonimate.apps.page.studio import Studio
from sonimate.speech.read_aloud import installed_readers

MIN_SIZE, MAX_SIZE = 256, 1536
"""Of the slider: smaller faces blur, larger pictures take minutes on a CPU."""
MAX_STEPS = 50
MIDDLE_MOTION = 32.0
"""Where the sliders of head motion and expression start: a quarter of their range."""
EXAMPLES = Path(sonimate.__file__).parents[2] / "examples"
TO_CHOOSE: dict[str, Any] = {
    "columns": 4,
    "allow_preview": False,
    "interactive": False,
    "object_fit": "contain",
    "buttons": [],
}
"""A gallery of pictures to click at."""
PLAY_BOTH = """() => {
  const videos = [...document.querySelectorAll('#compare video')];
  videos.forEach((video, index) => { video.currentTime = 0; video.muted = index > 0; });
  videos.forEach(video => video.play());
}"""

TRANSLATED = gr.I18n()


def translated(key: str) -> Any:
    """A text in the reader's language, by its key in TEXTS; the server has the tables."""
    return TRANSLATED(KEY_PREFIX + key)


def build_page(studio: Studio) -> gr.Blocks:
    """The page for a studio."""
    page = Page(studio)
    with gr.Blocks(title="sonimate", analytics_enabled=False) as blocks:
        gr.Markdown(translated("title"))
        gr.Markdown(translated("intro"))
        with gr.Tabs():
            with gr.Tab(translated("tab_make")):
                made = make_tab(page)
            with gr.Tab(translated("tab_compare")):
                first, second, compared = compare_tab(page)
            with gr.Tab(translated("tab_gallery")):
                gallery, names, nothing = gallery_tab(page)
        past = [gallery, names, nothing, first, second]
        made["start"].click(
            page.animate,
            made["inputs"],
            [made["status"], made["video"], *past],
            concurrency_limit=16,
            show_progress="hidden",
        ).then(**compared, show_progress="hidden")
        blocks.load(page.open, None, past, show_progress="hidden").then(**compared, show_progress="hidden")
    return blocks


def make_tab(page: Page) -> dict[str, Any]:
    """Portrait, speech, settings and the video."""
    found = gr.State(None)
    with gr.Row():
        with gr.Column(min_width=320):
            gr.Markdown(translated("step_portrait"))
            portrait = gr.Image(
                type="filepath",
                label=translated("portrait"),
                sources=["upload", "webcam", "clipboard"],
                height=300,
                buttons=[],
                elem_id="portrait",
                alt_text=translated("portrait_alt"),
            )
            # The file as it was given: sonimate decodes it, with its own messages.
            portrait.preprocess = lambda payload: payload.path if payload else None
            example_portraits(portrait)
            faces = gr.Image(
                label=translated("faces"),
                interactive=False,
                visible=False,
                buttons=[],
                elem_id="faces",
                format="png",
                alt_text=translated("faces_alt"),
            )
            face = gr.Radio(label=translated("face"), visible=False, elem_id="face")
            gr.Markdown(translated("step_speech"))
            sound = gr.Audio(
                type="filepath",
                label=translated("speech"),
                sources=["upload", "microphone"],
                elem_id="speech",
            )
            example_speech(sound)
            spoken = typed_speech(page, sound)
        with gr.Column(min_width=320):
            gr.Markdown(translated("step_settings"))
            settings = setting_sliders(page)
            with gr.Row():
                start = gr.Button(translated("animate"), variant="primary", elem_id="animate")
                stop = gr.Button(translated("stop"), elem_id="stop")
            status = gr.HTML(elem_id="status")
            video = gr.Video(label=translated("video"), interactive=False, visible=False, elem_id="video")
    portrait.change(page.find, portrait, [found, faces, face, status], show_progress="hidden")
    faces.select(page.click, found, face, show_progress="hidden")
    face.change(page.mark, [found, face], faces, show_progress="hidden")
    if spoken:
        button, words, reader = spoken
        button.click(page.speak, [words, reader], [sound, status])
    stop.click(page.stop, None, None)
    return {
        "start": start,
        "status": status,
        "video": video,
        "inputs": [portrait, sound, found, face, *settings],
    }


def example_portraits(portrait: gr.Image) -> None:
    """The repository's portraits, where they are there, to choose from."""
    files = [str(path) for path in sorted(EXAMPLES.glob("portraits/*.jpg"))]
    if not files:
        return
    pictures = gr.Gallery(
        [(file, Path(file).stem.replace("_", " ")) for file in files],
        label=translated("examples_portrait"),
        height=150,
        **TO_CHOOSE,
        elem_id="example_portraits",
    )

    def choose(event: gr.SelectData) -> str:
        return files[event.index]

    pictures.select(choose, None, portrait, show_progress="hidden")


def example_speech(sound: gr.Audio) -> None:
    """The repository's recordings, where they are there."""
    if files := sorted(EXAMPLES.glob("speech/*.wav")):
        gr.Examples([str(path) for path in files], sound, label=translated("examples_speech"))


def typed_speech(page: Page, sound: gr.Audio) -> tuple[gr.Button, gr.Textbox, gr.Dropdown] | None:
    """Where a text can be typed and turned into speech, if an engine is installed."""
    labels = [reader.label for reader in installed_readers()]
    with gr.Accordion(translated("type"), open=False):
        if not labels:
            gr.Markdown(translated("no_engine"))
            return None
        words = gr.Textbox(label=translated("text"), lines=3, elem_id="words")
        reader = gr.Dropdown(labels, value=labels[0], label=translated("voice"), elem_id="voice")
        return gr.Button(translated("speak"), elem_id="speak"), words, reader


def setting_sliders(page: Page) -> list[Any]:
    """The settings, in the order of `Page.options`."""

    def slider(name: str, value: float, step: float, **more: Any) -> gr.Slider:
        limits = page.schema[name]
        return gr.Slider(
            more.pop("minimum", limits["minimum"]),
            more.pop("maximum", limits["maximum"]),
            value,
            step=step,
            label=translated(name),
            elem_id=name,
            buttons=[],
            **more,
        )

    dynamic = slider("dynamic_scale", page.sampling.dynamic_scale, 0.1, info=translated("dynamic_scale_info"))
    from_voice = gr.Checkbox(True, label=translated("from_voice"), elem_id="from_voice")
    with gr.Group(visible=False) as motion:
        head = slider("head_motion", MIDDLE_MOTION, 1)
        expression = slider("expression", MIDDLE_MOTION, 1)
    from_voice.change(
        lambda follows: gr.update(visible=not follows), from_voice, motion, show_progress="hidden"
    )
    steps = slider("steps", page.sampling.steps, 1, maximum=MAX_STEPS, info=translated("steps_info"))
    size = slider("size", page.size, 64, maximum=MAX_SIZE, minimum=MIN_SIZE)
    seed = gr.Textbox("", label=translated("seed"), info=translated("seed_info"), elem_id="seed")
    behind = gr.Textbox(
        "keep", label=translated("background"), info=translated("background_info"), elem_id="background"
    )
    return [dynamic, from_voice, head, expression, steps, size, seed, behind]


def compare_tab(page: Page) -> tuple[gr.Dropdown, gr.Dropdown, dict[str, Any]]:
    """Two results side by side: their choices, and the event that shows them."""
    with gr.Row():
        first = gr.Dropdown([], label=translated("choose_first"), elem_id="first")
        second = gr.Dropdown([], label=translated("choose_second"), elem_id="second")
    table = gr.HTML(elem_id="differences")
    with gr.Row(elem_id="compare"):
        videos = [
            gr.Video(label=translated(name), interactive=False, visible=False, min_width=280)
            for name in ("first", "second")
        ]
    gr.Button(translated("play_both"), elem_id="play_both").click(None, js=PLAY_BOTH)
    shown = {"fn": page.compare, "inputs": [first, second], "outputs": [*videos, table]}
    # Not on change: what a hidden tab's choices change to before it is opened fires no event.
    gr.on([first.input, second.input], **shown, show_progress="hidden", trigger_mode="always_last")
    return first, second, shown


def gallery_tab(page: Page) -> tuple[gr.Gallery, gr.State, gr.Markdown]:
    """All results, and the one that plays."""
    names = gr.State([])
    nothing = gr.Markdown(translated("gallery_empty"))
    gallery = gr.Gallery(
        label=translated("gallery"),
        height=400,
        **TO_CHOOSE,
        elem_id="gallery",
    )
    video = gr.Video(label=translated("past"), height=480, interactive=False, visible=False, elem_id="past")
    settings = gr.Markdown()
    gallery.select(page.replay, names, [video, settings], show_progress="hidden")
    return gallery, names, nothing
