"""One seed, one video, whatever the machine's threads; and by default a seed of its own for each portrait and
sound."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from media_samples import EXAMPLES

from sonimate.configs import COMPACT, REFERENCE_SEED, DecodeOptions
from sonimate.evaluate.generation import mesh_codec
from sonimate.inputs import derived_seed, read_portrait, with_seed
from sonimate.media.audio import read_audio
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform

SPEECH = EXAMPLES / "speech/librivox_ss_0890.wav"
SEED = replace(COMPACT, seed=1)
LEVELS = 4
"""Largest difference of a colour value (0 to 255) that rounding may make. Latents differ by 1e-5; a pixel on
the edge of a warped triangle may then take the neighbouring triangle's map, a small part of a pixel away."""

SCRIPT = """
import sys
from dataclasses import replace
import numpy as np, torch
threads, windows_per_batch, portrait, speech, out = sys.argv[1:]
torch.set_num_threads(int(threads))
from sonimate import SonicPipeline
from sonimate.configs import COMPACT
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.types import Waveform
pipeline = SonicPipeline.from_pretrained("compact", device="cpu")
sampling = replace(COMPACT, seed=1, windows_per_batch=int(windows_per_batch))
sound = Waveform(read_audio(speech).samples[:80_000], 16_000)
np.save(out, np.stack(list(pipeline(read_portrait(portrait, size=256), sound, sampling=sampling))))
"""


@pytest.fixture(scope="module")
def pipeline() -> SonicPipeline:
    return SonicPipeline.from_pretrained("compact", device="cpu")


def portrait(name: str) -> Portrait:
    return read_portrait(EXAMPLES / f"portraits/{name}.jpg", size=256)


def speech(seconds: float) -> Waveform:
    return Waveform(read_audio(SPEECH).samples[: round(seconds * 16_000)], 16_000)


def frames(tmp_path: Path, threads: int, windows_per_batch: int) -> np.ndarray:
    out = tmp_path / f"{threads}-{windows_per_batch}.npy"
    picture = EXAMPLES / "portraits/obama.jpg"
    line = [sys.executable, "-c", SCRIPT, threads, windows_per_batch, picture, SPEECH, out]
    subprocess.run(list(map(str, line)), check=True)
    return np.load(out)


def test_threads_and_batches_change_no_frame_by_more_than_rounding(tmp_path: Path) -> None:
    """5 s of speech: three windows and at least one blink."""
    one = frames(tmp_path, 1, 1).astype(int)
    for other in (frames(tmp_path, 2, 1), frames(tmp_path, 1, 3)):
        difference = np.abs(other - one)
        assert difference.max() <= LEVELS
        assert difference.mean() < 0.01


def test_blinks_follow_the_seed_and_not_the_last_digits_of_latents(pipeline: SonicPipeline) -> None:
    latents, reference = pipeline.generate(portrait("obama"), speech(5), sampling=SEED)
    codec, warp = mesh_codec(pipeline), reference.context
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))

    def vertices(latents: torch.Tensor, seed: int) -> np.ndarray:
        return codec.resolve(codec.motion(latents, warp, DecodeOptions(seed=seed)), warp).vertices

    first = vertices(latents, 1)
    for scale in (1e-6, 1e-5, 1e-4):
        assert np.abs(vertices(latents + scale * noise, 1) - first).max() < 100 * scale
    assert np.abs(vertices(latents, 2) - first).max() > 0.2


def test_the_default_seed_is_a_number_of_the_portrait_and_the_sound(pipeline: SonicPipeline) -> None:
    obama, mona_lisa, sound = portrait("obama"), portrait("mona_lisa"), speech(2)
    seeds = [derived_seed(obama, sound), derived_seed(mona_lisa, sound), derived_seed(obama, speech(3))]
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**32 for seed in seeds)
    copy = Portrait(obama.pixels.copy(), obama.face)
    assert derived_seed(copy, Waveform(sound.samples.copy(), 16_000)) == seeds[0]
    assert pipeline.seeded(obama, sound).seed == seeds[0]
    assert with_seed(SEED, obama, sound).seed == 1
    assert with_seed(replace(COMPACT, as_reference=True), obama, sound).seed == REFERENCE_SEED


def test_two_portraits_with_one_sound_move_their_heads_differently(pipeline: SonicPipeline) -> None:
    """With one seed they nod alike; with the default ones they do not."""

    def yaw(name: str, seed: int | None) -> np.ndarray:
        latents, reference = pipeline.generate(portrait(name), sound, sampling=replace(COMPACT, seed=seed))
        return mesh_codec(pipeline).motion(latents, reference.context, DecodeOptions()).head[:, 1]

    sound = speech(5)
    alike = np.corrcoef(yaw("obama", 1), yaw("mona_lisa", 1))[0, 1]
    different = np.corrcoef(yaw("obama", None), yaw("mona_lisa", None))[0, 1]
    assert alike > 0.9
    assert different < alike - 0.05
