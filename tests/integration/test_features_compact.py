"""Shards whose faces and voices are known become the compact model's training samples."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from footage import EXAMPLES, loudness, opening

from sonimate.apps.cli import main
from sonimate.checkpoints.registry import BUNDLED
from sonimate.checkpoints.store import load_mesh_codec
from sonimate.codecs.mesh.codec import even_scales
from sonimate.codecs.mesh.fitting import fit_codec
from sonimate.errors import TooFewClips
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import Pose, to_image
from sonimate.features import compact_features
from sonimate.features.audio_features import HiddenStates, load_reducers
from sonimate.features.compact_features import BUCKET_DIM, TOKEN_DIM, Derived, write_compact_features
from sonimate.features.motion_samples import load_samples
from sonimate.footage.clip_id import ClipId
from sonimate.footage.sample import RESULTS_VERSION
from sonimate.footage.shards import CLIPS, REJECTED, read_shards, write_shards
from sonimate.media.audio import read_audio
from sonimate.media.wav import write_wav
from sonimate.train.validation import lip_gap_cm
from sonimate.types import Waveform

SECONDS = 5
FRAMES = SECONDS * 25
SPEECH = {"collins": "librivox_ss_0890", "vigee": "ljspeech_LJ001-0001"}
SYNC = {"stage": "sync", "reason": "sound does not move with the mouth", "detail": ""}
SIZE = {"stage": "quality", "reason": "face too small", "detail": ""}


def voice(name: str) -> np.ndarray:
    return read_audio(EXAMPLES / "speech" / f"{name}.wav").samples[: SECONDS * 16_000]


def acted(gap: np.ndarray) -> np.ndarray:
    """float32 (n, 478, 3) px of a swaying head that opens its mouth by `gap` (n,) cm."""
    codec = load_mesh_codec(BUNDLED / "compact" / "codec")
    lips = codec.basis[:, 13, 1] - codec.basis[:, 14, 1]
    moves = np.outer(gap, lips / (lips @ lips)) + 0.3 * np.random.default_rng(0).normal(
        size=(len(gap), len(lips))
    )
    sway = np.sin(np.arange(len(gap)) / 10)[:, None] * [20.0, 10.0, 0.0]
    pose = Pose(np.full(len(gap), 12.0), np.eye(3)[None].repeat(len(gap), 0), sway)
    return to_image(canonical_vertices() + codec.displacement(moves), pose).astype(np.float32)


def add_clip(
    folder: Path, name: str, landmarks: np.ndarray, sound: np.ndarray, rejection: dict | None
) -> Path:
    clip = ClipId(f"{name}.mp4")
    stem = folder / clip.key
    record = {
        "version": RESULTS_VERSION,
        "clip": str(clip),
        "source": clip.source,
        "speaker": name,
        "rejection": rejection,
    }
    stem.with_suffix(".json").write_text(json.dumps(record))
    np.save(stem.with_suffix(".landmarks.npy"), landmarks)
    write_wav(stem.with_suffix(".wav"), Waveform(sound, 16_000))
    return stem


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two talking clips, and rejected ones whose faces must not be used."""
    folder, out = tmp_path_factory.mktemp("clips"), tmp_path_factory.mktemp("shards")
    sounds = {name: voice(speech) for name, speech in SPEECH.items()}
    clips = [add_clip(folder, name, acted(opening(sound)), sound, None) for name, sound in sounds.items()]
    stranger = acted(opening(sounds["vigee"]))
    rejected = [
        add_clip(folder, "singer", stranger, sounds["collins"], SYNC),
        add_clip(folder, "small", stranger, sounds["collins"], SIZE),
    ]
    write_shards(out, CLIPS, clips, max_bytes=1 << 30)
    write_shards(out, REJECTED, rejected, max_bytes=1 << 30)
    return out


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One synthetic utterance, as `sonimate.speech` writes them."""
    folder = tmp_path_factory.mktemp("speech")
    samples = voice("jfk_inaugural")
    activations = np.zeros((FRAMES, 7))
    activations[:, 0] = loudness(samples)
    np.savez(
        folder / "00000.npz",
        samples=(samples * 32767).astype(np.int16),
        activations=activations,
        blink=np.zeros(FRAMES),
        brow=np.zeros(FRAMES),
        head_motion=np.zeros((FRAMES, 6)),
    )
    return folder


@pytest.fixture(scope="module")
def make(shards: Path, utterances: Path) -> Callable[[Path], Derived]:
    def at_one_speed(out: Path) -> Derived:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compact_features, "SPEEDS", (1.0,))
            return write_compact_features(shards, out, utterances, seed=3)

    return at_one_speed


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory, make: Callable) -> tuple[Path, Derived]:
    out = tmp_path_factory.mktemp("derived")
    return out, make(out)


def test_the_basis_is_fitted_to_accepted_clips_only(derived, shards):
    out, report = derived
    assert report.clips == [str(ClipId("collins.mp4")), str(ClipId("vigee.mp4"))]
    assert json.loads((out / "derived.json").read_text())["synthetic"] == 1
    fitted = fit_codec([clip.landmarks().astype(np.float64) for clip in read_shards(shards)])
    stored = load_mesh_codec(out / "codec")
    np.testing.assert_allclose(stored.basis, fitted.basis, atol=1e-3)


def test_latents_are_scaled_by_all_samples(derived):
    out, _ = derived
    spreads = [sample.spread for sample in load_samples(out / "samples")]
    stored = load_mesh_codec(out / "codec")
    expression, head = (np.sqrt(np.mean(variances, axis=0)) for variances in zip(*spreads, strict=True))
    np.testing.assert_allclose(stored.motion_std, head, rtol=1e-3)
    np.testing.assert_allclose(stored.scales, even_scales(expression), rtol=1e-3)


def test_samples_hold_the_motion_of_the_shards(derived):
    out, _ = derived
    samples = {sample.clip_id: sample for sample in load_samples(out / "samples")}
    real = {ClipId(f"{name}.mp4", version=version) for name in SPEECH for version in (0, 1)}
    assert set(samples) == real | {ClipId("00000.npz")}
    codec = load_mesh_codec(out / "codec")
    for name, speech in SPEECH.items():
        sample = samples[ClipId(f"{name}.mp4")]
        assert np.corrcoef(lip_gap_cm(codec, sample.expression), opening(voice(speech)))[0, 1] > 0.8
        assert (sample.speaker, sample.kind) == (name, "real")
        assert len(sample.token_rows) == pytest.approx(2 * len(sample.expression), abs=4)
        assert 0 < sample.buckets.min() < sample.buckets.max() < 128
    spoken = samples[ClipId("00000.npz")]
    assert (spoken.speaker, spoken.kind) == ("synthetic", "synthetic")
    assert np.corrcoef(lip_gap_cm(codec, spoken.expression), loudness(voice("jfk_inaugural")))[0, 1] > 0.9


def test_features_are_those_of_the_reducers(derived, shards):
    out, _ = derived
    _tokens, buckets = load_reducers(out / "reducers.npz")
    plain = next(sample for sample in load_samples(out / "samples") if sample.is_footage)
    hidden = HiddenStates(out / "cache" / "hidden")(plain.clip_id, next(read_shards(shards)).sound())
    assert plain.token_rows.shape == (len(hidden), TOKEN_DIM)
    assert plain.bucket_rows.shape == (len(hidden), BUCKET_DIM)
    np.testing.assert_allclose(plain.bucket_rows, buckets(hidden[:, -1]), atol=0.3)


def test_deriving_again_over_the_same_folder_changes_no_sample(derived, make):
    out, report = derived
    before = {path.name: path.read_bytes() for path in sorted((out / "samples").iterdir())}
    (out / "samples" / "stale.npz").write_bytes(before[f"{ClipId('00000.npz').key}.npz"])
    assert make(out) == report
    assert {path.name: path.read_bytes() for path in sorted((out / "samples").iterdir())} == before


def test_shards_without_an_accepted_clip_are_refused(shards, tmp_path):
    (shard,) = shards.glob("rejected-*.tar")
    (tmp_path / shard.name).write_bytes(shard.read_bytes())
    with pytest.raises(TooFewClips, match="No clip"):
        write_compact_features(tmp_path, tmp_path / "out", None, seed=0)


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_missing_speech_is_an_error_for_users(shards, tmp_path, name, capsys):
    (tmp_path / "empty").mkdir()
    arguments = [str(shards), "-o", str(tmp_path / "out"), "--speech", str(tmp_path / name)]
    assert main(["features", *arguments]) == 2
    assert f"{tmp_path / name} holds no utterances" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_verb_computes_every_clip_at_every_speed_and_each_utterance(shards, utterances, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["features", str(shards), "-o", str(out), "--speech", str(utterances)]) == 0
    assert f"2 clips and 1 utterances; see {out}/derived.json" in capsys.readouterr().out
    samples = load_samples(out / "samples")
    real = [sample.clip_id for sample in samples if sample.kind == "real"]
    assert {(clip.speed, clip.version) for clip in real} == {(s, v) for s in (0.9, 1.0, 1.1) for v in (0, 1)}
    assert len(samples) == len(real) + 1
    report = json.loads((out / "derived.json").read_text())
    assert len(real) + len(report["dropped"]) == 2 * 3 * 2
