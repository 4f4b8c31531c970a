"""The compact model works in an installation without extras, and a missing extra is named."""

import json
import subprocess
import sys
import tomllib
from importlib import metadata
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from media_samples import EXAMPLES
from packaging.requirements import Requirement
from safetensors.numpy import save_file

from sonimate import errors
from sonimate.checkpoints.registry import CONFIG, INDEX, VAE

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


@pytest.mark.parametrize("before", ["pass", "gc.disable()", "gc.freeze()"])
def test_importing_leaves_the_garbage_collector_as_it_was(before: str) -> None:
    code = f"""
import gc
{before}
enabled, frozen = gc.isenabled(), gc.get_freeze_count() > 0
from sonimate import SonicPipeline
assert (gc.isenabled(), gc.get_freeze_count() > 0) == (enabled, frozen)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("huggingface_hub", ("models", "download", "-o", "files")),
        ("diffusers", ("models", "verify", "full")),
    ],
)
def test_commands_of_the_full_model_say_what_to_install(
    tmp_path: Path, package: str, arguments: tuple[str, ...]
) -> None:
    vae = tmp_path / "full/vae"
    vae.mkdir(parents=True)
    (vae.parent / INDEX).write_text(json.dumps({VAE.name: [VAE.library, VAE.class_name]}))
    (vae / CONFIG).write_text("{}")
    save_file({}, vae / VAE.weights)
    code = BLOCK.format(names=[package]) + f"from sonimate.apps.cli import main; sys.exit(main({arguments}))"
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert f"sonimate: error: The package {package} is not installed" in done.stderr
    command = done.stderr.rstrip().partition("Install it by: ")[2]
    assert command.endswith("-m pip install -e '.[full]'")
    line = command.replace("install -e", "install --dry-run --no-deps --no-build-isolation --quiet -e")
    # A shell, as that of the user who pastes the line.
    found = subprocess.run(line, shell=True, cwd="/", capture_output=True, text=True, timeout=120)
    assert "does not provide the extra" not in found.stderr
    assert "neither 'setup.py' nor 'pyproject.toml' found" not in found.stderr


def test_a_wheel_names_the_packages_of_a_missing_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no clone of the repository beside the package."""
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "site-packages/sonimate/errors.py"))
    lines = ["torch>=2.6", 'diffusers>=0.42; extra == "full"', 'ray[data]>=2.50; extra == "ray"']
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    assert errors.install_lines("full").endswith("-m pip install 'diffusers>=0.42'")
    assert errors.install_lines("ray").endswith("-m pip install 'ray[data]>=2.50'")
