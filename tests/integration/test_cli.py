"""`sonimate animate`: a video and an account of it, and what happens when a run is cut short."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path

import av
import numpy as np
import pytest
from command import PORTRAIT, QUICK, SPEECH, animate, wav
from media_samples import frame_rate, seconds_of, tags_of
from processes import DEFAULT_HANDLERS, child_process, signal_handlers

import sonimate
from sonimate.apps.cli import main
from sonimate.media.audio import read_audio
from sonimate.media.image import write_png
from sonimate.media.video import read_frames
from sonimate.media.video_writer import VideoWriter

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


def test_a_run_makes_the_video_and_a_clean_account(words: Path, tmp_path: Path) -> None:
    """In a process of its own, so that nothing else can have kept native libraries quiet."""
    output = tmp_path / "a.mp4"
    run = subprocess.run(
        [sys.executable, "-m", "sonimate", "animate", PORTRAIT, words, "-o", output, *QUICK, "--json"],
        capture_output=True,
        text=True,
        timeout=250,
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
        assert seconds_of(container) == pytest.approx(read_audio(words).seconds, abs=0.04)
    assert tags_of(output)["synthetic_media"] == "true"
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


def test_every_report_prints_the_seed_that_makes_the_same_video(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Derived from portrait and sound by default; given to --seed, it makes the same frames."""
    arguments = (PORTRAIT, words, *QUICK)
    assert animate(*arguments, "-o", tmp_path / "a.mp4", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    seed = plan["seed"]
    assert plan["options"]["seed"] == seed
    assert animate(*arguments, "-o", tmp_path / "a.mp4") == 0
    assert capsys.readouterr().out.rstrip().endswith(f"seed {seed}")
    assert animate(*arguments, "-o", tmp_path / "b.mp4", "--seed", seed, "--json") == 0
    assert json.loads(capsys.readouterr().out)["seed"] == seed
    derived, given = (np.stack(list(read_frames(tmp_path / f"{name}.mp4"))) for name in "ab")
    np.testing.assert_array_equal(derived, given)
    assert animate(*arguments, "-o", tmp_path / "c.mp4", "--dry-run", "--as-reference") == 0
    assert "seed: 72589" in capsys.readouterr().out


def test_half_the_frame_rate(words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert animate(PORTRAIT, words, "-o", tmp_path / "a.mp4", *QUICK, "--fps", "12.5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 16
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert frame_rate(container) == 12.5
        assert seconds_of(container) == pytest.approx(1.3, abs=0.08)


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


@pytest.mark.parametrize("background", ["keep", "white"])
def test_a_forecast_of_memory_is_near_what_a_run_takes(
    background: str, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a process of its own, which does not count what this one holds."""
    held = np.ones(10**8)
    command = [PORTRAIT, words, "-y", "-o", tmp_path / "a.mp4", *QUICK, "--json", "--background", background]
    run = subprocess.run(
        [sys.executable, "-m", "sonimate", "animate", *command], capture_output=True, text=True, timeout=250
    )
    del held
    assert animate(*command, "--dry-run") == 0
    predicted_mb = json.loads(capsys.readouterr().out)["predicted_memory_mb"]
    assert 0.7 < predicted_mb / json.loads(run.stdout)["peak_memory_mb"] < 1.5


@pytest.mark.parametrize(("seconds", "frames"), [(0.2, 3), (1.119, 25)])
def test_as_reference_report_forecast_and_file_agree_on_frames(
    seconds: float, frames: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = wav(tmp_path / "a.wav", read_audio(SPEECH).samples[: round(16_000 * seconds)])
    arguments = (PORTRAIT, sound, "-y", "-o", tmp_path / "a.mp4", *QUICK, "--as-reference", "--json")
    assert animate(*arguments) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == frames
    assert animate(*arguments, "--dry-run") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == frames
    assert len(list(read_frames(tmp_path / "a.mp4"))) == frames


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


def test_an_unforeseen_error_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("sonimate.inputs.read_inputs", fail)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError, match="a defect"):
        animate(PORTRAIT, SPEECH, "-o", tmp_path / "a.mp4")
    assert signal.getsignal(signal.SIGTERM) is before


def animate_command(output: Path) -> list[str | Path]:
    return [sys.executable, "-m", "sonimate", "animate", PORTRAIT, SPEECH, "-o", output, "--steps", "1"]


@pytest.mark.parametrize(
    ("number", "last_stage", "code"),
    [(signal.SIGINT, "read", 130), (signal.SIGINT, "move", 130), (signal.SIGTERM, "move", 143)],
)
def test_interrupted_runs_leave_nothing(
    number: signal.Signals, last_stage: str, code: int, tmp_path: Path
) -> None:
    """While loading (after reading) and while drawing (after moving), when the unfinished file exists."""
    with child_process(animate_command(tmp_path / "a.mp4"), stderr=subprocess.PIPE) as process:
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


def test_signals_ignored_at_the_start_stay_ignored_and_sigterm_ends_the_run(tmp_path: Path) -> None:
    """As `nohup` and shells start programs in the background."""
    ignored = (signal.SIGINT, signal.SIGHUP)
    command = animate_command(tmp_path / "a.mp4")
    with child_process(command, ignored=ignored, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for last_stage in ("read", "load"):
            while not process.stderr.readline().startswith(last_stage):
                assert process.poll() is None
            for number in ignored:
                process.send_signal(number)
        while not process.stderr.readline().startswith("move"):
            assert process.poll() is None
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 143
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_that_a_library_swallows_is_raised_again(
    number: signal.Signals,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cython modules do so while they are imported and while they build a traceback. The handlers of the
    process that runs the tests do not matter."""

    def write(self: VideoWriter, pixels: np.ndarray, write=VideoWriter.write) -> None:
        write(self, pixels)
        written.append(1)
        if len(written) == 3:
            with suppress(KeyboardInterrupt, SystemExit):
                signal.raise_signal(number)

    written: list[int] = []
    monkeypatch.setattr(VideoWriter, "write", write)
    with signal_handlers(DEFAULT_HANDLERS):
        assert animate(PORTRAIT, SPEECH, "-o", tmp_path / "a.mp4", *QUICK) == code
        assert signal.getsignal(number) is DEFAULT_HANDLERS[number]
    assert len(written) == 3
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


@pytest.mark.skipif(sys.platform != "linux", reason="other systems load torch in one piece")
def test_torchs_library_loads_while_the_face_is_found() -> None:
    program = (
        "import sys, threading\n"
        "from sonimate.apps.starting import start_loading_torch\n"
        "from sonimate.face.mesh import FaceMesh\n"
        "from sonimate.media.image import read_image\n"
        "assert FaceMesh(on_likely_face=start_loading_torch).find(read_image(sys.argv[1]))\n"
        "for thread in set(threading.enumerate()) - {threading.main_thread()}: thread.join()\n"
        "print('libtorch_cpu.so' in open('/proc/self/maps').read(), 'torch' in sys.modules)\n"
        "import torch; print(torch.ones(2).sum().item())"
    )
    run = subprocess.run([sys.executable, "-c", program, PORTRAIT], capture_output=True, text=True)
    assert (run.returncode, run.stdout.split()) == (0, ["True", "False", "2.0"]), run.stderr


def test_bad_input_is_refused_without_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from sonimate.apps.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    write_png(tmp_path / "sky.png", np.full((200, 300, 3), (90, 140, 220), np.uint8))
    run = subprocess.run(
        [sys.executable, "-c", program, "animate", tmp_path / "sky.png", SPEECH, "-o", tmp_path / "a.mp4"],
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("sonimate: error: No face was found")


def test_help_states_the_range_of_every_number(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["animate", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for limits in ("1 to 1000", "0 to 10", "0.5 to 2", "0 to 128", "64 to 8192", f"0 to {2**63 - 1}"):
        assert f"[{limits}]" in text
