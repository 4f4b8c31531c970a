"""Models on the Hugging Face hub, against a small hub on localhost: push, load by name, diffusers."""

import json
import os
import subprocess
import sys

import pytest
from command import PORTRAIT, QUICK, SPEECH
from fake_hub import fake_hub

from sonimate.checkpoints.registry import BUNDLED
from sonimate.pipeline import SonicPipeline

REPO = "somebody/talking"
PUSH = "SonicPipeline.from_pretrained().push_to_hub({repo!r}, card='# Talking', token='hf_x')"


@pytest.fixture(scope="module")
def hub():
    with fake_hub() as running:
        yield running


@pytest.fixture(scope="module")
def at_hub(hub, tmp_path_factory):
    """The environment of a process that uses the small hub, with a cache of its own."""
    cache = str(tmp_path_factory.mktemp("hf"))
    return {"HF_ENDPOINT": hub.url, "HF_HOME": cache, "HF_HUB_DISABLE_XET": "1"}


def run(env, *arguments):
    """Run Python in a process of its own: huggingface_hub reads its environment once."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, check=False)


def python(code, env, **more):
    """What a program prints."""
    done = run(env | more, "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout


def animate(env, model, out):
    options = ("--duration", "1", "-o", out, "--model", model, *QUICK)
    return run(env, "-m", "sonimate", "animate", PORTRAIT, SPEECH, *options)


@pytest.fixture(scope="module")
def pushed(hub, at_hub):
    code = f"from sonimate.pipeline import SonicPipeline; print({PUSH.format(repo=REPO)})"
    assert f"/{REPO}/commit/" in python(code, at_hub)
    return hub.repos[REPO]


def test_a_pushed_model_has_card_pipeline_and_all_components(pushed):
    index = json.loads(pushed["model_index.json"])
    for name in index:
        if not name.startswith("_"):
            assert any(path.startswith(f"{name}/") and path.endswith(".safetensors") for path in pushed)
    card = pushed["README.md"].decode()
    assert card.startswith("---\n")
    assert "library_name: sonimate" in card
    assert "pipeline_tag: image-to-video" in card
    assert card.endswith("# Talking")
    assert b"DiffusionPipeline" in pushed["pipeline.py"]


def test_a_model_loads_by_owner_and_name_and_then_without_a_network(hub, at_hub, pushed):
    code = f"""
from sonimate.checkpoints.registry import model_folder
from sonimate.pipeline import SonicPipeline
SonicPipeline.from_pretrained({REPO!r}, revision="main")
print(model_folder({REPO!r}))"""
    folder = python(code, at_hub).strip()
    hub.requests.clear()
    assert python(code, at_hub, HF_HUB_OFFLINE="1").strip() == folder
    assert hub.requests == []
    loaded, bundled = SonicPipeline.from_pretrained(folder), SonicPipeline.from_pretrained()
    for (name, ours), theirs in zip(
        bundled.components.unet.state_dict().items(),
        loaded.components.unet.state_dict().values(),
        strict=True,
    ):
        assert ours.equal(theirs), name


def test_the_command_animates_with_a_model_on_the_hub(at_hub, pushed, tmp_path):
    done = animate(at_hub, REPO, tmp_path / "a.mp4")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.mp4").stat().st_size > 1000


def test_an_unknown_name_is_an_error_that_names_both_places(at_hub, tmp_path):
    done = animate(at_hub, "nobody/nothing", tmp_path / "a.mp4")
    assert done.returncode == 2
    assert "no folder nobody/nothing here, and the hub shows no such model" in done.stderr
    assert list(tmp_path.glob("*.mp4")) == []


def test_diffusers_loads_the_repository_with_its_own_pipeline(at_hub, pushed, tmp_path):
    out = tmp_path / "talking.mp4"
    code = f"""
from diffusers import DiffusionPipeline
from sonimate.configs import COMPACT
from dataclasses import replace
pipeline = DiffusionPipeline.from_pretrained({REPO!r}, custom_pipeline={REPO!r}, trust_remote_code=True)
sampling = replace(COMPACT, steps=1)
pipeline({str(PORTRAIT)!r}, {str(SPEECH)!r}, size=256, sampling=sampling).save({str(out)!r})"""
    python(code, at_hub)
    assert out.stat().st_size > 10_000


def test_the_bundled_card_has_the_hubs_metadata():
    card = (BUNDLED / "compact" / "MODEL_CARD.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nlibrary_name: sonimate\npipeline_tag: image-to-video\n")
