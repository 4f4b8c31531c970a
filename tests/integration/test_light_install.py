"""The compact model works in an installation without extras, and a missing extra is named."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from media_samples import EXAMPLES
from packaging.requirements import Requirement

from sonimate.apps.cli import main
from sonimate.checkpoints.registry import VAE
from sonimate.errors import ExtraMissing

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
BLOCK = """
import sys
for name in {names}:
    sys.modules[name] = None
"""
ANIMATE = """
from sonimate import SonicPipeline
SonicPipeline.from_pretrained("compact").animate({portrait!r}, {sound!r}, size=256).save({video!r})
import json
print(json.dumps([name for name in sys.modules if sys.modules[name] is not None]))
"""


def required(lines: list[str]) -> set[str]:
    """Import names of the packages that requirements name directly."""
    names = {Requirement(line).name.lower().replace("_", "-") for line in lines}
    return {
        module
        for module, packages in packages_distributions().items()
        if {package.lower().replace("_", "-") for package in packages} & names
    }


def only_in_extras() -> set[str]:
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    return {name for name in required(extras) - required(PROJECT["dependencies"]) if name.isidentifier()}


def test_the_compact_model_needs_no_package_of_an_extra(tmp_path: Path) -> None:
    """None of them can be imported here, and the video is made."""
    absent = only_in_extras()
    assert {"diffusers", "transformers", "huggingface_hub", "scipy", "accelerate", "yaml"} <= absent
    video = tmp_path / "video.mp4"
    code = BLOCK.format(names=sorted(absent)) + ANIMATE.format(
        portrait=str(EXAMPLES / "portraits/obama.jpg"),
        sound=str(EXAMPLES / "speech/librivox_ss_0890.wav"),
        video=str(video),
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, done.stderr
    assert video.stat().st_size > 0
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert {"torch", "cv2", "av"} <= loaded
    assert not loaded & absent


def test_the_full_model_without_its_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("diffusers", "huggingface_hub")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "sonimate.checkpoints.download", raising=False)
    for name in ("diffusers", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, name, None)
    lines = r"\.venv/bin/pip install -e '\.\[full\]' .* pip install 'sonimate\[full\]'"
    with pytest.raises(ExtraMissing, match=rf"diffusers is not installed.*{lines}"):
        VAE.network_class()
    assert main(["models", "download", "-o", str(tmp_path / "files")]) == 2
    assert "The package huggingface_hub is not installed" in capsys.readouterr().err
