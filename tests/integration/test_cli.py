"""`sonimate animate`: good input makes a video and an account of it; bad input a message and nothing else."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import EXAMPLES, encode_sound
from PIL import Image

import sonimate
from sonimate.apps.cli import main
from sonimate.media.audio import read_audio, resample
from sonimate.media.image import read_image, write_png
from sonimate.media.video import read_frames, read_metadata

PORTRAIT = EXAMPLES / "portraits/obama.jpg"
SPEECH = EXAMPLES / "speech/librivox_ss_0890.wav"
QUICK = ("--size", "256", "--steps", "2")
ACCOUNT_KEYS = {
    "output",
    "seconds",
    "frames",
    "width",
    "height",
    "wall_seconds",
    "realtime_factor",
    "peak_memory_mb",
    "stages",
    "warnings",
    "model",
    "seed",
    "options",
}
COMMAND = "import signal, sys; from sonimate.apps.cli import main; sys.exit(main())"
INTERRUPTIBLE = COMMAND.replace(";", "; signal.signal(signal.SIGINT, signal.default_int_handler);", 1)
"""A shell starts background jobs, of which this test may be one, with Ctrl-C ignored."""


def animate(*arguments: object) -> int:
    """Run the command in this process; returns its exit code."""
    try:
        return main(["animate", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)


def wav(path: Path, samples: np.ndarray) -> Path:
    return encode_sound(path, samples.astype(np.float32), codec="pcm_f32le", rate_hz=16_000)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.3 s of speech, 48 kHz."""
    samples = resample(read_audio(SPEECH).samples[8_000:28_800], 16_000, 48_000)
    return encode_sound(
        tmp_path_factory.mktemp("sound") / "words.wav", samples, codec="pcm_s16le", rate_hz=48_000
    )


@contextmanager
def disk_of(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond this, which the system reports as it does a full disk: by a failing write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_makes_the_video_and_a_clean_account(words: Path, tmp_path: Path) -> None:
    """In a process of its own, so that nothing else can have kept native libraries quiet."""
    output = tmp_path / "a.mp4"
    run = subprocess.run(
        [sys.executable, "-m", "sonimate", "animate", PORTRAIT, words, "-o", output, *QUICK, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert [line.split()[0] for line in run.stderr.splitlines()] == ["read", "load", "listen", "move", "draw"]
    account = json.loads(run.stdout)
    assert set(account) >= ACCOUNT_KEYS
    assert account["output"] == str(output)
    assert (account["frames"], account["height"], account["seconds"]) == (32, 256, 1.28)
    assert account["warnings"] == []
    assert sum(account["stages"].values()) == pytest.approx(account["wall_seconds"], abs=0.01)
    assert account["realtime_factor"] == pytest.approx(account["wall_seconds"] / 1.28, abs=0.01)
    assert 100 < account["peak_memory_mb"] < 4000

    with av.open(str(output)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, sound.codec_context.name) == ("h264", "aac")
        assert (video.average_rate, video.frames) == (25, 32)
        assert (video.codec_context.width, video.codec_context.height) == (account["width"], 256)
        assert container.duration / av.time_base == pytest.approx(read_audio(words).seconds, abs=0.04)
    assert read_metadata(output)["synthetic_media"] == "true"
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_the_seed_decides_the_frames(words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert animate(PORTRAIT, words, "-o", tmp_path / f"{name}.mp4", *QUICK, "--seed", seed) == 0
        frames.append(np.stack(list(read_frames(tmp_path / f"{name}.mp4"))))
    np.testing.assert_array_equal(frames[0], frames[1])
    assert np.abs(frames[0].astype(int) - frames[2]).mean() > 0
    summary = capsys.readouterr().out.splitlines()
    assert len(summary) == 3
    assert "1.28 s of" in summary[0]
    assert "x real time" in summary[0]


def test_half_the_frame_rate(words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert animate(PORTRAIT, words, "-o", tmp_path / "a.mp4", *QUICK, "--fps", "12.5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 16
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert float(container.streams.video[0].average_rate) == 12.5
        assert container.duration / av.time_base == pytest.approx(1.3, abs=0.08)


def test_a_dry_run_checks_all_and_writes_nothing(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    controls = ("--head-motion", "64", "--expression", "0", "--dynamic-scale", "2", "--shift", "0")
    arguments = (PORTRAIT, SPEECH, "-o", tmp_path / "a.mp4", *QUICK, *controls, "--dry-run")
    assert animate(*arguments, "--face-box", "200,50,800,900", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["frames"], plan["windows"], plan["options"]["steps"]) == (132, 3, 2)
    assert plan["options"]["head_motion"] == 64
    assert animate(*arguments, "--face", 1) == 0
    assert "132 frames" in capsys.readouterr().out
    assert animate(*arguments, "--face", 2) == 2
    assert "no face number 2" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_silence_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = wav(tmp_path / "silent.wav", np.zeros(16_000))
    assert animate(PORTRAIT, silent, "-o", tmp_path / "a.mp4", *QUICK, "--json") == 0
    printed = capsys.readouterr()
    (warning,) = json.loads(printed.out)["warnings"]
    assert "silent.wav is silent" in warning
    assert printed.err.count("sonimate: warning: ") == 1
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 25


def test_a_terminal_shows_a_bar_for_every_stage(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", terminal)
    silent = wav(tmp_path / "[b]silent.wav", np.zeros(16_000))
    assert animate(PORTRAIT, silent, "-o", tmp_path / "a.mp4", *QUICK) == 0
    text = terminal.getvalue()
    for stage in ("read", "load", "listen", "move", "draw"):
        assert stage in text
    assert "25/25" in text
    assert "[b]silent.wav is silent" in text


Maker = Callable[[Path], Path]


def truncated(folder: Path) -> Path:
    (folder / "cut.jpg").write_bytes(PORTRAIT.read_bytes()[:20_000])
    return folder / "cut.jpg"


def no_image(folder: Path) -> Path:
    (folder / "text.jpg").write_text("not an image")
    return folder / "text.jpg"


def huge(folder: Path) -> Path:
    Image.new("1", (30_000, 30_000)).save(folder / "huge.png")
    return folder / "huge.png"


def faceless(folder: Path) -> Path:
    write_png(folder / "sky.png", np.full((200, 300, 3), (90, 140, 220), np.uint8))
    return folder / "sky.png"


def small_face(folder: Path) -> Path:
    small = Image.fromarray(read_image(PORTRAIT))
    small.thumbnail((110, 110))
    page = Image.new("RGB", (256, 256), "white")
    page.paste(small, (60, 60))
    page.save(folder / "far.png")
    return folder / "far.png"


def sliver(folder: Path) -> Path:
    write_png(folder / "sliver.png", np.zeros((1, 900, 3), np.uint8))
    return folder / "sliver.png"


def missing(folder: Path) -> Path:
    return folder / "nothing.here"


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (missing, r"nothing\.here does not exist"),
        (lambda folder: folder, r"is a folder"),
        (no_image, r"text\.jpg is not an image"),
        (truncated, r"cut\.jpg cannot be decoded"),
        (huge, r"huge\.png has more than 120 million pixels"),
        (faceless, r"No face was found in the image"),
        (small_face, r"The face at .* pixels high, but at least 48"),
        (sliver, r"no room for a face"),
        (lambda _: SPEECH, r"is not an image"),
    ],
)
def test_bad_pictures(maker: Maker, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_refused(maker(tmp_path), SPEECH, message, tmp_path, capsys)


def empty_wav(folder: Path) -> Path:
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
    return folder / "a.wav"


def no_sound(folder: Path) -> Path:
    (folder / "text.wav").write_text("not a sound")
    return folder / "text.wav"


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (missing, r"nothing\.here does not exist"),
        (no_sound, r"text\.wav cannot be decoded"),
        (lambda _: PORTRAIT, r"obama\.jpg has no sound in it"),
        (empty_wav, r"a\.wav holds no sound samples"),
        (lambda folder: wav(folder / "a.wav", np.ones(800)), r"a\.wav lasts 0\.050 s, less than the 0\.2 s"),
        (lambda folder: wav(folder / "a.wav", np.full(9000, np.nan)), r"a\.wav holds NaN or infinite"),
    ],
)
def test_bad_sounds(maker: Maker, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_refused(PORTRAIT, maker(tmp_path), message, tmp_path, capsys)


def check_refused(
    portrait: Path, audio: Path, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says what is wrong, exit code 2, and no new file."""
    before = set(folder.iterdir())
    assert animate(portrait, audio, "-o", folder / "out.mp4") == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("sonimate: error: ")
    assert re.search(message, line)
    assert printed.out == ""
    assert set(folder.iterdir()) == before


def test_bad_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    video = tmp_path / "input.mp4"
    video.write_bytes(b"precious")
    cases = {
        tmp_path / "nowhere/a.mp4": "nowhere does not exist",
        tmp_path / "file/a.mp4": "file does not exist",
        tmp_path / "folder.mp4": "is a folder",
        tmp_path / "a.avi": "ends in .mp4",
        video: "is the input",
    }
    if sys.platform == "linux":
        cases[Path("/proc/self/a.mp4")] = "is not writable"
    for output, message in cases.items():
        assert animate(PORTRAIT, video, "-o", output) == 2
        error = capsys.readouterr().err
        assert error.startswith("sonimate: error: ")
        assert message in error
    assert video.read_bytes() == b"precious"


@pytest.mark.parametrize("size_bytes", [0, 20_000])
def test_a_full_disk(
    size_bytes: int, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with disk_of(size_bytes):
        assert animate(PORTRAIT, words, "-o", tmp_path / "a.mp4", "--size", "512", "--steps", "1") == 2
    assert "a.mp4 cannot be written (File too large)" in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--model", "nonesuch"),
            "There is no model 'nonesuch'. Give a folder with model_index.json, or one of:",
        ),
        (("--device", "quantum"), "device 'quantum' is not available; this machine has"),
        (("--steps", "0"), "--steps: '0' is not a whole number from 1 to 1000"),
        (("--steps", "1001"), "--steps: '1001' is not"),
        (("--steps", "2.5"), "--steps: '2.5' is not"),
        (("--seed", "-1"), "--seed: '-1' is not"),
        (("--image-guidance", "nan"), "--image-guidance: 'nan' is not a finite number"),
        (("--audio-guidance", "inf"), "--audio-guidance: 'inf' is not a finite number"),
        (("--audio-guidance", "much"), "--audio-guidance: 'much' is not a finite number"),
        (("--dynamic-scale", "0.4"), "--dynamic-scale: '0.4' is not a finite number from 0.5 to 2"),
        (("--dynamic-scale", "2.1"), "--dynamic-scale: '2.1' is not"),
        (("--head-motion", "129"), "--head-motion: '129' is not a finite number from 0 to 128"),
        (("--expression", "-1"), "--expression: '-1' is not"),
        (("--shift", "-1"), "--shift: '-1' is not"),
        (("--size", "63"), "--size: '63' is not a whole number from 64 to 8192"),
        (("--fps", "30"), "--fps: '30' is not 25 or 12.5"),
        (("--face", "0"), "--face: '0' is not"),
        (("--face-box", "1,2,3"), "--face-box: '1,2,3' is not x0,y0,x1,y1"),
        (("--face-box", "30,0,10,40"), "--face-box: '30,0,10,40' is not"),
        (("--face-box", "0,0,9,9", "--face", "1"), "not allowed with argument"),
    ],
)
def test_options_out_of_range(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert animate(PORTRAIT, SPEECH, "-o", tmp_path / "a.mp4", *arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_an_unforeseen_error_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("sonimate.apps.animate.read_inputs", fail)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError, match="a defect"):
        animate(PORTRAIT, SPEECH, "-o", tmp_path / "a.mp4")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("number", "last_stage", "code"),
    [(signal.SIGINT, "read", 130), (signal.SIGINT, "move", 130), (signal.SIGTERM, "move", 143)],
)
def test_interrupted_runs_leave_nothing(
    number: signal.Signals, last_stage: str, code: int, tmp_path: Path
) -> None:
    """While loading (after reading) and while drawing (after moving), when the unfinished file exists."""
    arguments = ["animate", PORTRAIT, SPEECH, "-o", tmp_path / "a.mp4", "--steps", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *arguments], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while not process.stderr.readline().startswith(last_stage):
        assert process.poll() is None
    while last_stage == "move" and not list(tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert "Traceback" not in errors
    assert ("sonimate: interrupted" in errors) == (code == 130)
    assert not list(tmp_path.iterdir())


def test_a_reader_that_leaves_is_no_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        code = animate(PORTRAIT, SPEECH, "-o", tmp_path / "a.mp4", "--dry-run")
    assert code == 141


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(argument: str) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "sonimate", argument], capture_output=True, text=True
    )
    assert run.returncode == 0
    loaded = {line.split("|")[-1].strip() for line in run.stderr.splitlines()}
    assert "sonimate.apps.cli" in loaded
    assert not loaded & {"torch", "numpy", "cv2", "av", "PIL", "rich", "transformers"}
    assert ("animate" if argument == "--help" else sonimate.__version__) in run.stdout


def test_bad_input_is_refused_without_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from sonimate.apps.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, "animate", faceless(tmp_path), SPEECH, "-o", tmp_path / "a.mp4"],
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("sonimate: error: No face was found")
