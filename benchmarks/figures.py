"""Draw the figures of docs/how-it-works.md with the bundled model, an example portrait and example speech.

python benchmarks/figures.py --out docs/images
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.command import EXAMPLES, benchmark_parser
from lib.moments import draw_moments
from sonimate.audio.duration import latents_shown
from sonimate.clock import LATENT_FPS, VIDEO_FPS
from sonimate.codecs.base import EncodedReference
from sonimate.conditioning import HeardMouth, initial_noise, listen
from sonimate.configs import AUTOMATIC, SamplingOptions, WindowStrategy
from sonimate.diffusion import sample_latents
from sonimate.diffusion.plan import step_plan
from sonimate.diffusion.precondition import denoised
from sonimate.evaluate.face_curves import face_curves
from sonimate.evaluate.generation import GeneratedMotion, mesh_codec
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.pipeline import SonicPipeline
from sonimate.types import Conditions, Portrait, Waveform

PORTRAIT = EXAMPLES / "portraits/mona_lisa.jpg"
SPEECH = EXAMPLES / "speech/librivox_ss_0890.wav"
SIZE_PX = 512
LONG_SECONDS, ONE_WINDOW_SECONDS = 6.0, 1.9
BLOCK = 3
"""Latents of sound that are replaced at once: 0.24 s, about one syllable."""
SHOWN_STEPS = (1, 2, 3, 4, 6, 8)


def main(argv: list[str] | None = None) -> None:
    arguments = benchmark_parser(__doc__).parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    pipeline = SonicPipeline.from_pretrained("compact")
    portrait, sound = read_portrait(PORTRAIT, size=SIZE_PX), read_audio(SPEECH)
    draw_window_plan(arguments.out / "window-plan.svg", pipeline.sampling)
    draw_reach_of_sound(
        arguments.out / "reach-of-sound.svg", pipeline, portrait, first_part(sound, LONG_SECONDS)
    )
    draw_noise_to_motion(
        arguments.out / "noise-to-motion.png", pipeline, portrait, first_part(sound, ONE_WINDOW_SECONDS)
    )


def first_part(sound: Waveform, seconds: float) -> Waveform:
    return replace(sound, samples=sound.samples[: round(seconds * sound.rate_hz)])


@dataclass
class Run:
    """Everything that the sampler needs for one portrait and one sound."""

    pipeline: SonicPipeline
    options: SamplingOptions
    reference: EncodedReference
    conditions: Conditions
    heard: HeardMouth

    def latents(self, conditions: Conditions | None = None, unet: Any = None) -> Tensor:
        """Latents (n, c, h, w), by default with the run's own conditions and network."""
        own, network = self.conditions, self.pipeline.components.unet
        return sample_latents(
            unet or network,
            conditions or own,
            initial_noise(self.reference, len(own.audio_tokens), self.options),
            self.options,
            initial_mean=torch.as_tensor(self.reference.initial_mean),
            built_in_guidance=network.config.audio_guidance,
        )


def prepare(pipeline: SonicPipeline, portrait: Portrait, sound: Waveform, windows: WindowStrategy) -> Run:
    options = replace(pipeline.seeded(portrait, sound), windows=windows)
    reference = pipeline.components.codec.encode_reference(portrait)
    with torch.no_grad():
        conditions, heard = listen(
            pipeline.components, sound, reference, options, AUTOMATIC, torch.device("cpu")
        )
    return Run(pipeline, options, reference, conditions, heard)


def draw_window_plan(path: Path, options: SamplingOptions) -> None:
    """Which latents the network sees together, step by step."""
    latents = 3 * options.window_frames
    rows = np.zeros((options.steps, latents))
    for step in range(options.steps):
        for number, window in enumerate(step_plan(options, latents, step)):
            rows[step, window] = number
    figure = new_figure(8.0, 2.6)
    axes = figure.add_subplot()
    seconds = latents / LATENT_FPS
    axes.imshow(
        rows, aspect="auto", cmap="Set2", vmin=0, vmax=7, extent=(0, seconds, options.steps + 0.5, 0.5)
    )
    for step in range(1, options.steps):
        axes.axhline(step + 0.5, color="white", linewidth=2)
    axes.set(xlabel="seconds of video", ylabel="denoising step", yticks=range(1, options.steps + 1))
    save(figure, path)


def draw_reach_of_sound(path: Path, pipeline: SonicPipeline, portrait: Portrait, sound: Waveform) -> None:
    """How much each moment of motion changes when a syllable of sound is taken away."""
    figure = new_figure(8.0, 4.6)
    grid = figure.add_gridspec(2, 3, height_ratios=(1, 4), width_ratios=(1, 1, 0.05))
    seconds = sound.seconds
    image = None
    for column, (windows, title) in enumerate(
        (("independent", "windows that stand still"), ("shift", "windows that move (default)"))
    ):
        change = reach_of_sound(prepare(pipeline, portrait, sound, windows))  # type: ignore[arg-type]
        top = figure.add_subplot(grid[0, column])
        top.plot(np.arange(len(sound.samples)) / sound.rate_hz, sound.samples, linewidth=0.3, color="0.3")
        top.set(xlim=(0, seconds), title=title, xticks=[], yticks=[])
        axes = figure.add_subplot(grid[1, column])
        shown = change[: latents_shown(len(sound.samples), as_reference=False)]
        image = axes.imshow(
            np.log10(np.maximum(shown, 1e-4)),
            aspect="auto",
            origin="lower",
            vmin=-3,
            vmax=0,
            cmap="magma",
            extent=(0, change.shape[1] * BLOCK / LATENT_FPS, 0, len(shown) / LATENT_FPS),
        )
        axes.set(xlabel="sound taken away, at second", xlim=(0, seconds))
        axes.set_ylabel("motion that changes, at second" if column == 0 else "")
    bar = figure.colorbar(image, cax=figure.add_subplot(grid[1, 2]), ticks=[-3, -2, -1, 0])
    bar.ax.set_yticklabels(["0.001", "0.01", "0.1", "1"])
    save(figure, path)


def reach_of_sound(run: Run) -> np.ndarray:
    """(n, blocks): the change of each latent's motion when one block of audio tokens becomes silence, over
    the standard deviation of all motion."""
    whole = run.latents()
    tokens, silence = run.conditions.audio_tokens, run.conditions.null_audio_tokens
    columns = []
    for start in range(0, len(tokens), BLOCK):
        changed = tokens.clone()
        changed[start : start + BLOCK] = silence[start : start + BLOCK]
        other = run.latents(replace(run.conditions, audio_tokens=changed))
        columns.append((other - whole).square().mean((1, 2, 3)).sqrt())
    return (torch.stack(columns, 1) / whole.std(0).square().mean().sqrt()).numpy()


@dataclass
class Recorder:
    """A UNet that keeps what it sees and its estimate of the clean latents, each (f, c, h, w), at every call:
    one window, one branch."""

    unet: Any
    seen: list[Tensor] = field(default_factory=list)
    estimates: list[Tensor] = field(default_factory=list)

    def __call__(self, sample: Tensor, timestep: Tensor, *inputs: Any) -> Tensor:
        velocity = self.unet(sample, timestep, *inputs)
        sigma = math.exp(4 * float(timestep))
        noisy = sample[:, :, : velocity.shape[2]]
        self.seen.append(noisy[0])
        self.estimates.append(denoised(noisy * math.sqrt(sigma**2 + 1), velocity, sigma)[0])
        return velocity


def draw_noise_to_motion(path: Path, pipeline: SonicPipeline, portrait: Portrait, sound: Waveform) -> None:
    """What the network believes the motion to be, after each step."""
    run, codec = prepare(pipeline, portrait, sound, "shift"), mesh_codec(pipeline)
    recorder = Recorder(pipeline.components.unet)
    run.latents(unet=recorder)

    def motion_of(latents: Tensor, step: int) -> GeneratedMotion:
        (window,) = step_plan(run.options, len(latents), step)
        ordered = torch.empty_like(latents)
        ordered[window] = latents
        motion = codec.motion(
            codec.rest_mouth(ordered, run.heard.gate), run.reference.context, run.options.decoding
        )
        drawn = codec.resolve(motion, run.reference.context)
        return GeneratedMotion(motion, run.reference.context, drawn, face_curves(drawn.landmarks))

    frames = round(sound.seconds * VIDEO_FPS)
    times = np.arange(frames) / VIDEO_FPS
    motions = [motion_of(estimate, step) for step, estimate in enumerate(recorder.estimates)]
    widest = int(motions[-1].curves.mouth[:frames].argmax())
    figure = new_figure(9.0, 3.6)
    grid = figure.add_gridspec(2, len(SHOWN_STEPS), height_ratios=(1.5, 1))
    highest = max(float(motion.curves.mouth[:frames].max()) for motion in motions)
    for column, number in enumerate(SHOWN_STEPS):
        motion, seen = motions[number - 1], motion_of(recorder.seen[number - 1], number - 1)
        (frame,) = draw_moments(codec, motion, [widest])
        picture = figure.add_subplot(grid[0, column])
        x0, y0, x1, y1 = map(round, portrait.face.box)
        picture.imshow(frame[y0:y1, x0:x1])
        picture.set_axis_off()
        picture.set_title(f"step {number}")
        axes = figure.add_subplot(grid[1, column])
        axes.plot(times, seen.curves.mouth[:frames], linewidth=0.9, color="0.65")
        axes.plot(times, motion.curves.mouth[:frames], linewidth=1.3)
        axes.axvline(widest / VIDEO_FPS, color="0.8", linewidth=0.8, linestyle=":")
        axes.set(ylim=(0, 1.1 * highest), yticks=[], xlabel="seconds")
        axes.set_ylabel("mouth opening" if column == 0 else "")
    save(figure, path)


def new_figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: Path) -> None:
    """The same bytes for the same figure: no date, no random names."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": path.stem}):
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=130, metadata=metadata)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
