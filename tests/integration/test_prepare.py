"""Footage whose motion is known goes through the whole preparation."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sonimate.checkpoints.folder import BUNDLED
from sonimate.codecs.mesh import MeshCodec, Motion
from sonimate.codecs.warp import PortraitWarp
from sonimate.data import prepare as preparation
from sonimate.data.features import load_reducers
from sonimate.data.samples import load_samples
from sonimate.errors import TooFewClips
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio
from sonimate.media.video import VideoWriter
from sonimate.train.validate import gap_cm
from sonimate.types import Waveform

EXAMPLES = Path(__file__).parents[2] / "examples"
CAST = {
    "collins": ("astronaut_collins", "librivox_ss_0890"),
    "vigee": ("vigee_lebrun", "ljspeech_LJ001-0001"),
}
SECONDS = 5


def voice(name: str) -> Waveform:
    sound = read_audio(EXAMPLES / "speech" / f"{name}.wav")
    return Waveform(sound.samples[: SECONDS * sound.rate_hz], sound.rate_hz)


def loudness(sound: Waveform) -> np.ndarray:
    """(n,) in [0, 1] at 25 a second."""
    level = np.abs(sound.samples.reshape(-1, 640)).mean(1)
    level = np.convolve(level, np.ones(3) / 3, "same")
    return np.clip(level / np.percentile(level, 95), 0, 1)


def opening(sound: Waveform) -> np.ndarray:
    """(n,) cm by which the made-up faces open their mouths."""
    return 1.6 * loudness(sound)


def act(path: Path, portrait: str, sound: Waveform, gap: np.ndarray) -> None:
    """Write a clip of a portrait that opens its mouth by `gap` (n,) cm and sways."""
    codec = MeshCodec.from_folder(BUNDLED / "compact" / "codec")
    lips = codec.basis[:, 13, 1] - codec.basis[:, 14, 1]
    sway = np.sin(np.arange(len(gap)) / 10)[:, None] * np.array([0.02, 0.04, 0.01, 0.1, 0.05, 0.0])
    motion = Motion(np.outer(gap, lips / (lips @ lips)), sway)
    picture = read_portrait(EXAMPLES / "portraits" / f"{portrait}.jpg", size=384)
    height, width = picture.pixels.shape[:2]
    with VideoWriter(path, width=width, height=height, fps=25, sound=sound) as writer:
        for frame in codec.render(motion, PortraitWarp(picture)):
            writer.write(frame)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two talking clips, one of a still mouth, one too short, and a file that is no video."""
    folder = tmp_path_factory.mktemp("footage")
    rows = ["file\tspeaker"]
    for name, (portrait, speech) in CAST.items():
        act(folder / f"{name}.mp4", portrait, voice(speech), opening(voice(speech)))
        rows.append(f"{name}.mp4\t{name}")
    sound = voice(CAST["collins"][1])
    act(folder / "still.mp4", "astronaut_collins", sound, np.zeros(SECONDS * 25))
    brief = Waveform(sound.samples[: sound.rate_hz], sound.rate_hz)
    act(folder / "brief.mp4", "astronaut_collins", brief, opening(brief))
    (folder / "torn.mp4").write_bytes(b"no video")
    (folder / "MANIFEST.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One synthetic utterance, as `sonimate.data.synthesis` writes them."""
    folder = tmp_path_factory.mktemp("speech")
    sound = voice("jfk_inaugural")
    frames = SECONDS * 25
    activations = np.zeros((frames, 7))
    activations[:, 0] = loudness(sound)
    np.savez(
        folder / "00000.npz",
        samples=(sound.samples * 32767).astype(np.int16),
        activations=activations,
        blink=np.zeros(frames),
        brow=np.zeros(frames),
        head_motion=np.zeros((frames, 6)),
    )
    return folder


@pytest.fixture(scope="module")
def prepare(footage: Path, utterances: Path) -> Callable[[Path], preparation.Report]:
    def run(out: Path) -> preparation.Report:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(preparation, "SPEEDS", (1.0,))
            return preparation.prepare(footage, out, utterances, seed=3)

    return run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, prepare: Callable) -> tuple[Path, preparation.Report]:
    out = tmp_path_factory.mktemp("prepared")
    return out, prepare(out)


def test_every_clip_is_accepted_or_has_its_reason_counted(prepared):
    out, report = prepared
    assert set(report.accepted) == {"collins.mp4", "vigee.mp4"}
    assert {name: reason.split(":")[0] for name, reason in report.rejected.items()} == {
        "still.mp4": "mouth does not move",
        "brief.mp4": "too short",
        "torn.mp4": "UnreadableVideo",
    }
    written = json.loads((out / "report.json").read_text())
    assert written["counts"] == {"mouth does not move": 1, "too short": 1, "UnreadableVideo": 1}
    assert written["synthetic"] == 1


def test_samples_hold_the_motion_that_was_acted(prepared):
    out, _ = prepared
    samples = {sample.name: sample for sample in load_samples(out / "samples")}
    assert set(samples) == {
        "collins.mp4@1.0v0",
        "collins.mp4@1.0v1",
        "vigee.mp4@1.0v0",
        "vigee.mp4@1.0v1",
        "00000",
    }
    codec = MeshCodec.from_folder(out / "codec")
    for name, (_, speech) in CAST.items():
        sample = samples[f"{name}.mp4@1.0v0"]
        acted = opening(voice(speech))[: len(sample.expression)]
        assert np.corrcoef(gap_cm(codec, sample.expression), acted)[0, 1] > 0.8  # tracked from small frames
        assert (sample.speaker, sample.source) == (name, "real")
        assert len(sample.token_rows) == pytest.approx(2 * len(sample.expression), abs=4)
        assert 0 < sample.buckets.min() < sample.buckets.max() < 128
    spoken = samples["00000"]
    assert (spoken.speaker, spoken.source) == ("synthetic", "synthetic")
    acted = loudness(voice("jfk_inaugural"))
    assert np.corrcoef(gap_cm(codec, spoken.expression), acted)[0, 1] > 0.9


def test_features_are_those_of_the_reducers(prepared, footage):
    out, _ = prepared
    _tokens, buckets = load_reducers(out / "reducers.npz")
    (plain,) = (sample for sample in load_samples(out / "samples") if sample.name == "collins.mp4@1.0v0")
    states = preparation.HiddenStates(out / "cache" / "hidden")
    hidden = states(plain.name, read_audio(footage / "collins.mp4").samples)
    assert plain.token_rows.shape == (len(hidden), preparation.TOKEN_DIM)
    assert plain.bucket_rows.shape == (len(hidden), preparation.BUCKET_DIM)
    np.testing.assert_allclose(plain.bucket_rows, buckets(hidden[:, -1]), atol=0.3)


def test_preparing_again_over_the_same_folder_changes_no_sample(prepared, prepare):
    out, report = prepared
    before = {path.name: path.read_bytes() for path in sorted((out / "samples").iterdir())}
    (out / "samples" / "stale.npz").write_bytes(before["00000.npz"])
    assert prepare(out) == report
    assert {path.name: path.read_bytes() for path in sorted((out / "samples").iterdir())} == before


@pytest.mark.slow
def test_preparing_afresh_gives_identical_samples(prepared, prepare, tmp_path):
    out, report = prepared
    assert prepare(tmp_path) == report
    for one, other in zip(load_samples(out / "samples"), load_samples(tmp_path / "samples"), strict=True):
        for name in vars(one):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_too_little_footage_is_refused_with_a_report(footage, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "brief.mp4").write_bytes((footage / "brief.mp4").read_bytes())
    with pytest.raises(TooFewClips, match="two speakers"):
        preparation.prepare(alone, tmp_path / "out", None, seed=0)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["counts"] == {"too short": 1}
