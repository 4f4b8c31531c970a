from pathlib import Path

import numpy as np
import pytest
import torch
from package_modules import module_of
from random_networks import published, randomised

from sonimate.errors import NoFaceFound, UnusableClip
from sonimate.evaluate.standard.mfcc import mfcc
from sonimate.evaluate.standard.s3fd import FaceBoxes, FaceBoxNetwork
from sonimate.evaluate.standard.standard_files import S3FD, SYNCNET
from sonimate.evaluate.standard.sync_crops import LipSync, Track, crop_track, longest_track
from sonimate.evaluate.standard.syncnet import SyncNetV2, clip_vectors, sync_score
from sonimate.types import Waveform


def noise(seconds: float, seed: int = 0) -> Waveform:
    samples = 0.1 * np.random.default_rng(seed).normal(size=round(16000 * seconds))
    return Waveform(samples.astype(np.float32), 16000)


def test_coefficients_equal_those_of_python_speech_features() -> None:
    theirs = pytest.importorskip("python_speech_features")
    sound = noise(1.003)
    pcm = np.round(sound.samples * 32768).astype(np.int16)
    assert np.allclose(mfcc(sound), theirs.mfcc(pcm, 16000), atol=1e-6)
    silence = Waveform(np.zeros(300, np.float32), 16000)
    assert np.allclose(mfcc(silence), theirs.mfcc(np.zeros(300, np.int16), 16000), atol=1e-6)


def test_vectors_and_score_equal_those_of_syncnet_python_on_equal_random_weights() -> None:
    """The last layers are scaled so that the vectors are as large as trained ones, about 1."""
    ours = randomised(SyncNetV2())
    for head in (ours.netfclip, ours.netfcaud):
        head.get_parameter("3.weight").data *= 1e-3
    theirs = module_of("syncnet_python", "SyncNetModel").S().eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    rng = np.random.default_rng(0)
    faces = rng.integers(256, size=(8, 224, 224, 3), dtype=np.uint8)
    rows = mfcc(noise(0.4))
    seen, heard = clip_vectors(ours, faces, rows)
    bgr = torch.from_numpy(faces[..., ::-1].copy()).permute(3, 0, 1, 2).float()
    with torch.inference_mode():
        for at in range(3):
            sound = torch.from_numpy(rows.T[None, None, :, 4 * at : 4 * at + 20]).float()
            for mine, other in (
                (seen, theirs.forward_lip(bgr[None, :, at : at + 5])),
                (heard, theirs.forward_aud(sound)),
            ):
                assert torch.allclose(mine[at], other[0], rtol=0, atol=1e-4)
    assert min(seen.std(), heard.std()) > 0.01
    shift = 15
    distances = torch.stack(
        module_of("syncnet_python", "SyncNetInstance").calc_pdist(seen, heard, shift), 1
    ).mean(1)
    score = sync_score(seen, heard)
    assert score.distance == pytest.approx(float(distances.min()), rel=1e-5)
    assert score.confidence == pytest.approx(float(distances.median() - distances.min()), rel=1e-4)
    assert score.offset == shift - int(distances.argmin())


def test_a_planted_offset_is_found() -> None:
    vectors = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    for planted in (-7, 0, 4):
        score = sync_score(vectors, vectors.roll(-planted, 0))
        assert score.offset == planted
        assert score.confidence > 1


@pytest.mark.parametrize(("levels", "least"), [(6, 1), (2, 2)])
def test_boxes_equal_those_of_syncnet_python_on_equal_random_weights(
    tmp_path: Path, levels: int, least: int
) -> None:
    """Random weights call many places faces. With all levels the largest boxes swallow the others; so the
    dropping of overlaps is seen with the smallest two alone."""
    network = randomised(FaceBoxNetwork())
    state = network.state_dict()
    for name, tensor in state.items():
        if name.startswith(("loc", "conf")) and name.endswith("weight"):
            tensor.mul_(0.3 if name.startswith("conf") else 0.01)
    for level in (0, 1):
        state[f"conf.{level}.weight"] *= 100
    for level in range(levels, 6):
        state[f"conf.{level}.bias"][0] += 1e4
    file = published(S3FD, tmp_path, state)
    theirs = module_of("syncnet_python", "detectors.s3fd")
    net = theirs.S3FDNet(device="cpu")
    net.load_state_dict(state, strict=True)
    frame = np.random.default_rng(0).integers(256, size=(320, 400, 3), dtype=np.uint8)
    expected = theirs.S3FD(net, device="cpu").detect_faces(frame, conf_th=0.9, scales=[0.25])
    found = FaceBoxes(tmp_path, file=file)(frame)
    assert len(found) >= least
    assert np.allclose(found, expected[:, :4], atol=1e-2)


def test_a_face_is_followed_over_gaps_and_cropped_like_the_pipeline() -> None:
    box, other = np.array([20.0, 30, 60, 70]), np.array([200.0, 30, 260, 90])
    found = [np.array([box + frame, other]) if frame % 7 else np.zeros((0, 4)) for frame in range(40)]
    found += [(box + frame)[None] for frame in range(40, 80)]
    track = longest_track(found)
    assert (track.start, len(track.boxes)) == (1, 79)
    assert np.allclose(track.boxes, box + np.arange(1, 80)[:, None])
    with pytest.raises(UnusableClip):
        longest_track(found[:30])
    with pytest.raises(NoFaceFound):
        longest_track([np.zeros((0, 4))])
    frames = [np.full((100, 100, 3), value, np.uint8) for value in range(30)]
    crops = list(crop_track(frames, Track(2, np.tile(box, (20, 1)))))
    assert len(crops) == 20
    assert crops[10].shape == (224, 224, 3)
    assert (crops[10][60] == 12).all()


def test_clips_become_scores_with_random_weights(tmp_path: Path) -> None:
    """From the two files to Sync-C and Sync-D; the track is given, as random weights find none."""
    files = {
        "syncnet": published(SYNCNET, tmp_path, randomised(SyncNetV2()).state_dict()),
        "s3fd": published(S3FD, tmp_path, randomised(FaceBoxNetwork()).state_dict()),
    }
    measure = LipSync(tmp_path, **files)
    frames = list(np.random.default_rng(0).integers(256, size=(9, 96, 96, 3), dtype=np.uint8))
    track = Track(0, np.tile([20.0, 20, 70, 70], (9, 1)))
    score = measure.score_track(frames, track, Waveform(noise(0.36).samples.repeat(3), 48000))
    assert np.isfinite([score.confidence, score.distance]).all()
    assert score.distance > 0
    with pytest.raises(UnusableClip):
        measure.score_track(frames, track, noise(0.1))
