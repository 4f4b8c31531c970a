"""The ComfyUI nodes, driven as ComfyUI's executor drives them, by a stand-in for its published contract."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from comfy_contract import Comfy, InterruptProcessingException
from command import PORTRAIT, SPEECH
from PIL import Image

from sonimate.errors import NoFaceFound
from sonimate.media.audio import read_audio, stream_sound
from sonimate.media.video import read_frames

NODES = Path(__file__).parents[2] / "comfy"
WORKFLOW = NODES / "example_workflows" / "talking_portrait.json"


@pytest.fixture
def comfy(tmp_path):
    return Comfy(tmp_path / "temp")


@pytest.fixture
def nodes(comfy):
    with comfy.nodes(NODES) as found:
        yield found


@pytest.fixture
def image():
    picture = Image.open(PORTRAIT).convert("RGB").resize((256, 256))
    return torch.from_numpy(np.asarray(picture, np.float32) / 255)[None]


def sound(seconds=0.6, channels=1):
    samples = torch.from_numpy(read_audio(SPEECH).samples[: round(seconds * 16_000)])
    return {"waveform": samples.expand(1, channels, -1), "sample_rate": 16_000}


def test_a_video_with_its_sound_is_written_and_progress_reaches_its_end(comfy, nodes, image):
    (model,) = comfy.run(nodes["SonimateLoadModel"])
    (video,) = comfy.run(
        nodes["SonimateAnimate"], model=model, image=image, audio=sound(channels=2), size=256
    )
    frames = list(read_frames(video.path))
    assert [frame.shape for frame in frames] == [(256, 256, 3)] * 15
    heard = stream_sound(video.path)
    assert (heard.rate_hz, heard.channels) == (16_000, 2)
    assert comfy.progress == sorted(comfy.progress)
    assert comfy.progress[-1] == 1


def test_frames_move_only_under_the_mask(comfy, nodes, image):
    (model,) = comfy.run(nodes["SonimateLoadModel"])
    mask = torch.zeros(1, 256, 256)
    mask[:, 128:] = 1
    frames, fps, video, person = comfy.run(
        nodes["SonimateAnimateFrames"], model=model, image=image, audio=sound(), size=256, mask=mask
    )
    assert person.min() == 1
    assert frames.shape == (15, 256, 256, 3)
    assert fps == video.components.frame_rate == 25
    assert (frames[:, :127] - image[:, :127]).abs().max() < 0.01
    assert (frames[:, 129:] - image[:, 129:]).abs().amax(dim=(1, 2, 3)).max() > 0.2


def test_a_cut_out_comes_with_its_mask(comfy, nodes, image):
    (model,) = comfy.run(nodes["SonimateLoadModel"])
    frames, _, video, person = comfy.run(
        nodes["SonimateAnimateFrames"], model=model, image=image, audio=sound(), size=256, cut_out=True
    )
    assert person.shape == frames.shape[:3]
    assert person[:, :8, :8].max() == video.components.images[:, :8, :8].max() == 0
    assert person[:, 80, 128].min() == 1
    assert (frames[:, 80, 128] - image[:, 80, 128]).abs().max() < 0.5


def test_an_interruption_stops_the_run_and_leaves_no_file(comfy, nodes, image):
    (model,) = comfy.run(nodes["SonimateLoadModel"])
    for share in (0.1, 0.7):
        comfy.stop_at = share
        with pytest.raises(InterruptProcessingException):
            comfy.run(nodes["SonimateAnimate"], model=model, image=image, audio=sound(), size=256)
        assert comfy.progress[-1] < share + 0.2
        assert list(comfy.temp.iterdir()) == []


def test_a_picture_without_a_face_is_refused_by_the_programs_own_error(comfy, nodes):
    (model,) = comfy.run(nodes["SonimateLoadModel"])
    with pytest.raises(NoFaceFound):
        comfy.run(nodes["SonimateAnimate"], model=model, image=torch.zeros(1, 256, 256, 3), audio=sound())


def test_the_example_workflow_fits_the_schemas(nodes):
    workflow = json.loads(WORKFLOW.read_text())
    by_id = {node["id"]: node for node in workflow["nodes"]}
    for _, source, slot, target, place, kind in workflow["links"]:
        assert by_id[source]["outputs"][slot]["type"] == by_id[target]["inputs"][place]["type"] == kind
    for node in workflow["nodes"]:
        if node["type"] not in nodes:
            continue
        schema = nodes[node["type"]].define_schema()
        linked = {item["name"] for item in node["inputs"]}
        widgets = [item for item in schema.inputs if item.id not in linked]
        controls = sum(item.control_after_generate for item in widgets)
        assert len(node["widgets_values"]) == len(widgets) + controls
        assert linked | {item.id for item in widgets} == {item.id for item in schema.inputs}


def test_the_registry_package_states_what_the_registry_needs():
    package = tomllib.loads((NODES / "pyproject.toml").read_text())
    assert {"PublisherId", "DisplayName"} <= set(package["tool"]["comfy"])
    assert package["project"]["dependencies"] == ["sonimate"]
