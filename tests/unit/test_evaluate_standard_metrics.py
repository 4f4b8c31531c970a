"""The field's metrics through the whole suite, on networks of the true architectures with random weights, and
what users read where files are missing."""

import hashlib
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from media_samples import EXAMPLES, encode_video
from PIL import Image
from random_networks import published, randomised

from sonimate.apps.cli import main
from sonimate.errors import NetworkFileMissing, WrongNetworkFile
from sonimate.evaluate import metric_table, standard_metrics
from sonimate.evaluate.metric import Metric
from sonimate.evaluate.metric_table import all_metrics
from sonimate.evaluate.standard.arcface import FaceVectorNetwork
from sonimate.evaluate.standard.face_reconstruction import MEAN_POINTS, ReconstructionNetwork
from sonimate.evaluate.standard.inception import InceptionV3
from sonimate.evaluate.standard.raft import RaftNetwork
from sonimate.evaluate.standard.s3fd import FaceBoxes, FaceBoxNetwork
from sonimate.evaluate.standard.standard_files import (
    ARCFACE,
    FACE_RECONSTRUCTION,
    FOLDER_VARIABLE,
    INCEPTION,
    KINETICS_I3D,
    MEAN_LANDMARKS,
    RAFT_THINGS,
    S3FD,
    SYNCNET,
    StandardFile,
    found_hashes,
)
from sonimate.evaluate.standard.syncnet import SyncNetV2
from sonimate.evaluate.suite import REAL, Evaluation, evaluate_folders
from sonimate.evaluate.video_pairs import Paired
from sonimate.evaluate.viewing import View

FRAMES = 52
"""SyncNet wants to see a face in 50."""
FEW = View(seconds=0.12)


def talking_video(path: Path, portrait: str, shift: int) -> Path:
    """A face that moves by `shift` px a frame, with a tone."""
    with Image.open(EXAMPLES / "portraits" / portrait) as picture:
        small = np.asarray(picture.convert("RGB").resize((160, 160)))
    frames = [np.roll(small, shift * (index % 8), 1) for index in range(FRAMES)]
    return encode_video(path, range(0, 40 * FRAMES, 40), frames=frames, sound_start_ms=0)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A generated video and the real clip."""
    folder = tmp_path_factory.mktemp("videos")
    return (
        talking_video(folder / "ours.mp4", "astronaut_collins.jpg", 3),
        talking_video(folder / "real.mp4", "obama.jpg", 1),
    )


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "networks"
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder


def measure(videos: tuple[Path, Path], cache: Path, *metrics: Metric, view: View = FEW) -> Evaluation:
    ours, real = videos
    return evaluate_folders({"ours": Paired({"a": ours}, ())}, {"a": real}, metrics, view=view, cache=cache)


def figures(evaluation: Evaluation, name: str) -> tuple[float, float]:
    """Of the generated and of the real video."""
    assert not evaluation.skipped
    assert not evaluation.absent
    return evaluation.figures["ours"][name].value, evaluation.figures[REAL][name].value


def test_fid(videos, networks, tmp_path):
    file = published(INCEPTION, networks, randomised(InceptionV3()).state_dict())
    ours, real = figures(measure(videos, tmp_path, standard_metrics.fid(file)), "FID")
    assert ours > 1e-3
    assert real == pytest.approx(0, abs=1e-6 * ours)


def test_f_sim(videos, networks, tmp_path):
    file = published(ARCFACE, networks, randomised(FaceVectorNetwork((3, 4, 14, 3))).state_dict())
    ours, real = figures(measure(videos, tmp_path, standard_metrics.f_sim(file)), "F-SIM")
    assert -1 <= ours < real <= 1 + 1e-6


def test_e_fid(videos, networks, tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    mean = np.zeros((68, 3))
    for group, point in zip(
        MEAN_POINTS,
        [(-0.32, 0.3, 0.4), (0.32, 0.3, 0.4), (0, 0, 0.8), (-0.25, -0.4, 0.5), (0.25, -0.4, 0.5)],
        strict=True,
    ):
        mean[[number - 1 for number in group]] = point
    scipy_io.savemat(networks / MEAN_LANDMARKS.names[0], {"lm": mean})
    state = {"net_recon": randomised(ReconstructionNetwork()).state_dict()}
    file = published(FACE_RECONSTRUCTION, networks, state)
    ours, real = figures(measure(videos, tmp_path, standard_metrics.e_fid(file)), "E-FID")
    assert ours > 1e-6
    assert real == pytest.approx(0, abs=1e-6 * ours)


def test_dynamic_degree(videos, networks, tmp_path):
    file = published(RAFT_THINGS, networks, randomised(RaftNetwork()).state_dict())
    view = View(fps=8, seconds=0.375)
    found = measure(videos, tmp_path, standard_metrics.dynamic_degree(file), view=view)
    assert set(figures(found, "dynamic degree")) <= {0.0, 1.0}


def test_sync_at_25_frames_a_second_with_a_given_track(videos, networks, tmp_path, monkeypatch):
    """Random weights find no face, so the boxes are given."""
    box = np.array([[40.0, 30, 120, 110]])
    monkeypatch.setattr(FaceBoxes, "__call__", lambda self, frame: box)
    files = (
        published(SYNCNET, networks, randomised(SyncNetV2()).state_dict()),
        published(S3FD, networks, randomised(FaceBoxNetwork()).state_dict()),
    )
    found = measure(videos, tmp_path, *standard_metrics.lip_sync(*files), view=View(fps=5))
    (ours, real), distances = figures(found, "Sync-C"), figures(found, "Sync-D")
    assert ours != real
    assert min(ours, real) >= 0
    assert min(distances) > 0


class StandIn(torch.nn.Module):
    """Takes the call of the published I3D; gives the mean colours of the frames."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool) -> torch.Tensor:
        assert rescale
        assert resize
        assert return_features
        assert x.shape[:3] == (1, 3, 16)
        return self.scale * x.mean((3, 4)).flatten(1)


def stand_in(folder: Path, scale: float) -> StandardFile:
    path = folder / KINETICS_I3D.names[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(StandIn(scale)), path)
    return replace(KINETICS_I3D, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_fvd_and_another_file_meets_no_old_features(videos, networks, tmp_path):
    def distance(scale: float) -> float:
        metric = standard_metrics.fvd(stand_in(networks, scale))
        return figures(measure(videos, tmp_path, metric, view=View()), "FVD")[0]

    first = distance(1)
    assert distance(3) == pytest.approx(9 * first, rel=1e-6)
    assert first > 1
    kept = set(tmp_path.rglob("*.safetensors"))
    assert len(kept) == 4
    assert distance(3) == pytest.approx(9 * first, rel=1e-6)
    assert set(tmp_path.rglob("*.safetensors")) == kept


def test_a_clip_too_short_for_fvd_is_skipped(videos, networks, tmp_path):
    found = measure(videos, tmp_path, standard_metrics.fvd(stand_in(networks, 1)))
    assert all("16 frames" in reason for reason in found.skipped.values())
    assert set(found.skipped) == {str(videos[1])}


def test_a_report_names_every_missing_file_and_its_publisher(videos, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(metric_table, "all_metrics", lambda: standard_metrics.METRICS)
    ours, real = (path.parent / kind for path, kind in zip(videos, ("o", "r"), strict=True))
    for folder, path in zip((ours, real), videos, strict=True):
        folder.mkdir()
        (folder / "a.mp4").write_bytes(path.read_bytes())
    command = ["evaluate", str(ours), "--reference", str(real), "-o", str(tmp_path / "report")]
    assert main(command) == 0
    told = capsys.readouterr().err
    report = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    for file in (
        INCEPTION,
        KINETICS_I3D,
        SYNCNET,
        S3FD,
        FACE_RECONSTRUCTION,
        MEAN_LANDMARKS,
        ARCFACE,
        RAFT_THINGS,
    ):
        for text in (told, report):
            assert file.names[0] in text
            assert file.published in text
    assert "* smoothness: sonimate has no AMT-S" in report
    assert "* Sync-C, Sync-D: The file syncnet_v2.model" in report
    assert main([*command, "--metrics", "F-SIM"]) == 2
    assert ARCFACE.published in capsys.readouterr().err


@pytest.mark.parametrize(
    "metric", [m for m in standard_metrics.METRICS if m.name not in ("F-SIM", "smoothness")]
)
def test_another_file_is_refused(metric: Metric, networks, monkeypatch):
    for file in (INCEPTION, KINETICS_I3D, SYNCNET, S3FD, FACE_RECONSTRUCTION, RAFT_THINGS):
        (networks / file.names[0]).write_bytes(b"another network")
    with pytest.raises(WrongNetworkFile, match="is not the published file"):
        metric.detector.required()


def test_the_version_holds_the_hash_also_of_a_file_without_a_published_one(networks):
    digests = [hashlib.sha256(content).hexdigest() for content in (b"one", b"two")]
    path = networks / ARCFACE.names[0]
    path.write_bytes(b"one")
    metric = standard_metrics.f_sim()
    assert metric.detector.required().version == f"1 {digests[0]}"
    path.write_bytes(b"two")
    with pytest.raises(WrongNetworkFile):
        found_hashes(ARCFACE)
    with pytest.raises(NetworkFileMissing, match=SYNCNET.names[0]):
        found_hashes(replace(ARCFACE, sha256=digests[1]), SYNCNET)


def test_every_detector_goes_to_other_processes():
    for metric in all_metrics():
        assert pickle.loads(pickle.dumps(metric.detector)).name == metric.detector.name
