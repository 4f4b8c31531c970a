"""`sonimate doctor`: a report of what works and what is missing, whatever is broken."""

import json
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import torch

from sonimate.apps import doctor
from sonimate.apps.cli import main
from sonimate.checkpoints import registry

Capture = pytest.CaptureFixture[str]
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


@pytest.fixture(autouse=True)
def metadata_of_this_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable installation keeps the metadata of the commit that it was made from."""
    extras = PROJECT["optional-dependencies"].items()
    lines = [f'{requirement}; extra == "{extra}"' for extra, all_ in extras for requirement in all_]
    monkeypatch.setattr(metadata, "requires", lambda name: [*PROJECT["dependencies"], *lines])


def findings(capsys: Capture, exit_code: int = 0) -> dict[str, dict[str, str]]:
    """What the command found, by name."""
    assert main(["doctor", "--json"]) == exit_code
    account = json.loads(capsys.readouterr().out)
    assert account.get("error", {}).get("code") == ("installation_broken" if exit_code else None)
    return {finding["name"]: finding for finding in account["findings"]}


def test_a_whole_installation_has_no_problem(capsys: Capture) -> None:
    found = findings(capsys)
    assert {"python", "torch", "devices", "media", "model", "memory", "disk"} <= found.keys()
    assert all(found[name]["state"] == "ok" for name in ("python", "torch", "devices", "media", "model"))
    assert "checksums agree" in found["model"]["detail"]
    assert found["torch"]["detail"] == torch.__version__
    extras = {name.removeprefix("extra ") for name in found if name.startswith("extra ")}
    assert extras == {name for name, packages in PROJECT["optional-dependencies"].items() if packages}


def test_text_ends_in_a_report_without_paths(capsys: Capture) -> None:
    assert main(["doctor"]) == 0
    text, _, report = capsys.readouterr().out.partition("\n\nFor a bug report:\n")
    assert str(registry.BUNDLED) in text
    for folder in (registry.BUNDLED, sys.prefix, Path.cwd(), Path.home()):
        assert str(folder) not in report
    assert f"torch: ok, {torch.__version__}" in report.splitlines()


def test_a_missing_extra_comes_with_both_lines(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda package: package != "transformers")
    full = findings(capsys)["extra full"]
    assert (full["state"], full["detail"]) == ("missing", "not installed: transformers")
    assert full["advice"].endswith("-m pip install -e '.[full]'")


def test_a_damaged_model_is_named_without_its_folder(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundled = tmp_path / "home of somebody/bundled"
    shutil.copytree(registry.BUNDLED, bundled)
    weights = bundled / "compact/unet/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    monkeypatch.setattr(registry, "BUNDLED", bundled)
    monkeypatch.setenv("HOME", str(bundled.parent))
    found = findings(capsys, exit_code=2)
    assert found["model"]["state"] == "problem"
    assert str(weights) in found["model"]["detail"]
    assert main(["doctor"]) == 2
    report = capsys.readouterr().out.partition("For a bug report:")[2]
    assert "model.safetensors is damaged" in report
    assert "somebody" not in report


def test_a_broken_library_ends_in_a_finding(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    found = findings(capsys, exit_code=2)
    assert found["media"]["state"] == "problem"
    assert "cv2" in found["media"]["detail"]
    assert found["model"]["state"] == "ok"


def test_missing_speech_engines_are_no_problem(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "espeak-ng" else program)
    engines = findings(capsys)["speech engines"]
    assert (engines["state"], engines["detail"]) == ("missing", "not installed: espeak-ng")
    assert "apt install espeak-ng" in engines["advice"]


def test_no_extra_is_imported() -> None:
    code = (
        "import sys; from sonimate.apps.cli import main; main(['doctor']); "
        "sys.exit(bool({'transformers', 'diffusers', 'ray', 'scipy', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/ann/model.bin is damaged", ".../model.bin is damaged"),
        (r"C:\Users\ann\model.bin is damaged", ".../model.bin is damaged"),
        ("~/secret/model.bin", ".../model.bin"),
        ("torch 2.13, cpu (2 threads)", "torch 2.13, cpu (2 threads)"),
        ("10.2 / 20 GB", "10.2 / 20 GB"),
    ],
)
def test_folders_are_left_out_of_text(text: str, expected: str) -> None:
    assert doctor.without_names(text) == expected
