"""Several speakers in one picture: each moves by its own sound, nothing else moves, and both are heard."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command import PORTRAIT, QUICK, SPEECH, animate, wav
from media_samples import EXAMPLES

from sonimate.configs import COMPACT
from sonimate.errors import NoFaceFound, OptionOutOfRange
from sonimate.inputs import read_conversation
from sonimate.media.audio import read_audio
from sonimate.media.image import read_image
from sonimate.media.video import read_frames
from sonimate.pipeline import SonicPipeline

OPTIONS = replace(COMPACT, steps=2, seed=5)
WIDTH, HEIGHT, SEAM = 400, 240, 200


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """2 s for the left, 1 s for the right, of two people."""
    folder = tmp_path_factory.mktemp("sounds")
    other = EXAMPLES / "speech/ljspeech_LJ001-0001.wav"
    return {
        1: wav(folder / "left.wav", read_audio(SPEECH).samples[8_000:40_000]),
        2: wav(folder / "right.wav", read_audio(other).samples[:16_000]),
    }


@pytest.fixture(scope="module")
def pipeline() -> SonicPipeline:
    return SonicPipeline.from_pretrained("compact", device="cpu")


def frames(pipeline: SonicPipeline, picture: Path, audio: dict[int, Path], seed: int = 5) -> np.ndarray:
    animation = pipeline.animate(picture, audio, sampling=replace(OPTIONS, seed=seed))
    return np.stack(list(animation.frames()))


def test_each_moves_as_alone_and_nothing_else_moves(
    pipeline: SonicPipeline, pair: Path, sounds: dict[int, Path]
) -> None:
    """Speakers have consecutive seeds. Apart from the border between them, where pixels are mixed, each shows
    the very pixels of being the only one who speaks."""
    both = frames(pipeline, pair, sounds)
    assert both.shape == (50, HEIGHT, WIDTH, 3)
    left = frames(pipeline, pair, {1: sounds[1]})
    np.testing.assert_array_equal(both[:, :, : SEAM - 30], left[:, :, : SEAM - 30])
    silence = np.zeros(16_000, np.float32)
    padded = wav(sounds[2].with_name("padded.wav"), np.append(read_audio(sounds[2]).samples, silence))
    right = frames(pipeline, pair, {2: padded}, seed=6)
    np.testing.assert_array_equal(both[:, :, SEAM + 30 :], right[:, :, SEAM + 30 :])
    picture = read_image(pair)
    np.testing.assert_array_equal(
        left[:, :, SEAM + 30 :], np.broadcast_to(picture, left.shape)[:, :, SEAM + 30 :]
    )
    for half in (both[:, :, :SEAM], both[:, :, SEAM:]):
        assert (half.astype(int) - half[0]).any((1, 2, 3))[1:].all()


def test_the_command_writes_both_sounds_and_reports_the_speakers(
    pair: Path, sounds: dict[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ("--speaker", f"2={sounds[2]}", "--speaker", f"1={sounds[1]}", *QUICK, "--json")
    assert animate(pair, *chosen, "-o", tmp_path / "a.mp4", "--dry-run") == 0
    planned = json.loads(capsys.readouterr().out)
    line = [sys.executable, "-m", "sonimate", "animate", pair, *chosen, "-o", tmp_path / "a.mp4"]
    run = subprocess.run(line, check=True, capture_output=True)  # this process's peak is of other tests, too
    report = json.loads(run.stdout)
    assert [one["face"] for one in report["speakers"]] == [1, 2]
    assert [Path(one["audio"]).name for one in report["speakers"]] == ["left.wav", "right.wav"]
    for key in ("speakers", "frames", "width", "height", "windows", "seed", "seconds"):
        assert planned[key] == report[key]
    assert (report["width"], report["seconds"], report["windows"]) == (256, 2, 2)
    assert planned["predicted_memory_mb"] == pytest.approx(report["peak_memory_mb"], rel=0.5)
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 50
    heard = read_audio(tmp_path / "a.mp4").samples
    total = read_audio(sounds[1]).samples.copy()
    total[:16_000] += read_audio(sounds[2]).samples
    assert np.corrcoef(heard[: len(total)], total)[0, 1] > 0.98


def test_the_picture_keeps_its_size_with_paste_back(pair: Path, sounds: dict[int, Path]) -> None:
    speakers = read_conversation(pair, sounds, size=200, paste_back=True)
    for speaker in speakers:
        assert speaker.canvas is not None
        assert speaker.canvas.pixels.shape == (HEIGHT, WIDTH, 3)
        assert max(speaker.portrait.pixels.shape) <= 200
        assert len(speaker.waveform.samples) == speaker.sample_count == 32_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--speaker", "1"), "'1' is not N=SOUND with the number of a face"),
        (("--speaker", "0=a.wav"), "'0=a.wav' is not N=SOUND"),
        (("--speaker", "left=a.wav"), "'left=a.wav' is not N=SOUND"),
        (("--speaker", "1=a.wav", "--speaker", "1=b.wav"), "face 1 has two sounds: a.wav and b.wav"),
        (("--speaker", "1=nowhere.wav"), "nowhere.wav does not exist"),
        (("--speaker", f"1={PORTRAIT}"), "is a picture, not a sound"),
        (("--speaker", f"3={SPEECH}"), "There is no face number 3. Faces found, left to right: 1: "),
        ((SPEECH, "--speaker", f"1={SPEECH}"), "--speaker does not go with AUDIO"),
        (("--speaker", f"1={SPEECH}", SPEECH), "--speaker does not go with AUDIO"),
        (("--speaker", f"1={SPEECH}", "--crop"), "--speaker does not go with --crop"),
        (("--speaker", f"1={SPEECH}", "--face", "1"), "not allowed with argument --speaker"),
        (("--speaker", "1=-", "--speaker", "2=-"), "--speaker does not go with - more than once"),
        ((), "the following arguments are required: AUDIO"),
    ],
)
def test_speakers_that_cannot_be_are_refused(
    arguments: tuple[object, ...],
    message: str,
    pair: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert animate(pair, *arguments, "-o", tmp_path / "a.mp4") == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_python_refuses_them_too(pipeline: SonicPipeline, pair: Path, sounds: dict[int, Path]) -> None:
    with pytest.raises(OptionOutOfRange, match="one speaker"):
        pipeline.animate(pair, sounds, face=1)
    with pytest.raises(OptionOutOfRange, match="no speaker"):
        pipeline.animate(pair, {})
    with pytest.raises(NoFaceFound, match="number 7"):
        pipeline.animate(pair, {7: sounds[1]})
