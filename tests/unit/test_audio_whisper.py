"""Properties of the two modes, shown on an encoder that answers with positions; loading."""

import json
from contextlib import AbstractContextManager
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import safetensors
import torch
from media_samples import EXAMPLES
from safetensors.torch import load_file, save_file

from sonimate.audio.whisper import (
    MARGIN_ROWS,
    WhisperHiddenStates,
    log_mel,
    piece_starts,
    piece_weights,
)
from sonimate.checkpoints.registry import AUDIO_ENCODER
from sonimate.checkpoints.store import load_audio_encoder, load_components, save_network
from sonimate.clock import SAMPLES_PER_HIDDEN_STATE
from sonimate.errors import AudioTooShort, FileMissing, InvalidCheckpoint, OptionOutOfRange, UnreadableAudio
from sonimate.evaluate.curves import correlation
from sonimate.media.audio import read_audio
from sonimate.models.whisper_encoder import WhisperEncoder

PIECE_ROWS = 1500
BUNDLED = Path(str(files("sonimate") / "bundled/compact/audio_encoder"))


class PositionEncoder(torch.nn.Module):
    """Answers with the row number inside the piece: what jumps most when pieces are put side by side."""

    def __init__(self, positions: int = PIECE_ROWS, *, own_length: bool = False) -> None:
        super().__init__()
        self.config = SimpleNamespace(
            max_source_positions=positions,
            num_mel_bins=80,
            encoder_layers=1,
            d_model=1,
            own_length=own_length,
        )
        self.encoded_rows: list[int] = []

    def forward(self, mel):
        self.encoded_rows.append(mel.shape[-1] // 2)
        rows = torch.arange(mel.shape[-1] // 2, dtype=torch.float32)[None, :, None]
        return [rows, rows]


def hidden_states_of(encoder: PositionEncoder) -> WhisperHiddenStates:
    return WhisperHiddenStates(cast(WhisperEncoder, encoder))


@pytest.fixture
def positions() -> WhisperHiddenStates:
    return hidden_states_of(PositionEncoder())


@pytest.mark.parametrize("rows", [1, 1499, 1500, 1501, 2700, 2701, 4445, 9000])
def test_pieces_cover_every_row_with_a_margin(rows):
    covered = torch.zeros(max(rows, PIECE_ROWS))
    starts = piece_starts(len(covered), PIECE_ROWS)
    for start in starts:
        weights = piece_weights(start, start + PIECE_ROWS, len(covered))
        if start > 0:
            assert (weights[:MARGIN_ROWS] == 0).all()
        if start + PIECE_ROWS < len(covered):
            assert (weights[-MARGIN_ROWS:] == 0).all()
        covered[start : start + PIECE_ROWS] += weights
    assert covered.min() > 0
    assert starts[-1] + PIECE_ROWS == len(covered)


def test_pieces_are_no_more_than_needed():
    assert len(piece_starts(1500, PIECE_ROWS)) == 1
    assert len(piece_starts(1501, PIECE_ROWS)) == 2
    assert len(piece_starts(1200 + 1500, PIECE_ROWS)) == 2
    assert len(piece_starts(1200 + 1501, PIECE_ROWS)) == 3


def test_overlapped_states_do_not_jump(positions):
    sound = np.zeros(4000 * SAMPLES_PER_HIDDEN_STATE, np.float32)
    separate = positions(sound, mode="reference")[:, 0, 0].diff().abs().max()
    overlapped = positions(sound)[:, 0, 0].diff().abs().max()
    assert separate == PIECE_ROWS - 1
    assert overlapped < 25


def test_modes_agree_below_one_piece(positions):
    sound = np.random.default_rng(0).standard_normal(10 * 16_000).astype(np.float32)
    assert torch.equal(positions(sound), positions(sound, mode="reference"))
    assert positions(sound).shape == (500, 2, 1)


@pytest.mark.parametrize("own_length", [False, True])
@pytest.mark.parametrize("rows", [10, 100, 1399, 1400, 1401, 1500, 1501, 4000])
def test_only_an_encoder_of_own_length_reads_less_than_30_seconds(rows: int, own_length: bool) -> None:
    encoder = PositionEncoder(own_length=own_length)
    sound = np.zeros(rows * SAMPLES_PER_HIDDEN_STATE, np.float32)
    states = hidden_states_of(encoder)(sound)
    assert len(states) == rows
    if rows <= PIECE_ROWS:
        expected = min(rows + MARGIN_ROWS, PIECE_ROWS) if own_length else PIECE_ROWS
        assert encoder.encoded_rows == [expected]
        assert torch.equal(states[:, 0, 0], torch.arange(rows, dtype=torch.float32))
    else:
        assert set(encoder.encoded_rows) == {PIECE_ROWS}
    encoder.encoded_rows.clear()
    hidden_states_of(encoder)(sound, mode="reference")
    assert set(encoder.encoded_rows) == {PIECE_ROWS}


def test_log_mel_raises_the_band_of_a_tone():
    time = torch.arange(16_000) / 16_000
    mel = log_mel(torch.sin(2 * torch.pi * 1000 * time))
    assert mel.shape == (80, 100)
    # 1000 Hz is 15 mel of 45.25, so the triangle 15 / 45.25 * 81 - 1 = 25.9 of 0..79.
    # The first and last columns hold the reflected edge.
    assert (mel.argmax(0)[1:-1] == 26).all()


def test_log_mel_keeps_80_db():
    mel = log_mel(torch.cat([torch.randn(16_000), torch.zeros(16_000)]))
    assert mel.max() - mel.min() == pytest.approx(2.0)


def test_sound_below_one_row_is_too_short(positions):
    with pytest.raises(AudioTooShort):
        positions(np.zeros(SAMPLES_PER_HIDDEN_STATE - 1, np.float32))


def test_sound_with_nan_is_unreadable(positions):
    with pytest.raises(UnreadableAudio):
        positions(np.full(16_000, np.nan, np.float32))


def test_unknown_mode_is_named(positions):
    with pytest.raises(OptionOutOfRange, match="sliding"):
        positions(np.zeros(16_000, np.float32), mode="sliding")


def test_too_few_positions_are_refused():
    with pytest.raises(InvalidCheckpoint, match="300"):
        hidden_states_of(PositionEncoder(positions=300))


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileMissing, match=r"config\.json"):
        load_audio_encoder(tmp_path)


@pytest.fixture(scope="module")
def bundled() -> WhisperHiddenStates:
    return load_audio_encoder(BUNDLED)


def test_the_bundled_encoder_answers_to_a_voice(bundled):
    time = torch.arange(16_000) / 16_000
    voice = torch.sin(2 * torch.pi * 150 * time) * (1 + torch.sin(2 * torch.pi * 4 * time)) / 4
    states, silence = bundled(voice), bundled(torch.zeros(16_000))
    assert states.shape == (50, 5, 384)
    assert states.dtype == torch.float32
    assert (states - silence).abs().mean() > 0.2


def test_the_weights_of_a_model_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: str | Path, **options: str) -> AbstractContextManager[safetensors.safe_open]:
        read.append(str(path))
        return safetensors.safe_open(path, **options)

    for module in ("sonimate.checkpoints.store", "safetensors.torch"):
        monkeypatch.setattr(f"{module}.safe_open", counted)
    load_components("compact")
    assert str(BUNDLED / "model.safetensors") in read
    assert len(read) == len(set(read))


@pytest.mark.parametrize("name", ["jfk_inaugural", "librivox_ss_0890", "ljspeech_LJ001-0001"])
def test_states_of_own_length_follow_those_of_30_seconds(name: str, bundled: WhisperHiddenStates) -> None:
    """Measured on 8 s: r 0.996 to 0.997, and 0.994 to 0.995 when the mean of each feature is subtracted."""
    assert bundled.own_length
    sound = read_audio(EXAMPLES / "speech" / f"{name}.wav").samples[: 8 * 16_000]
    own, whole = bundled(sound), bundled(sound, mode="reference")
    assert correlation(own.flatten().numpy(), whole.flatten().numpy()) > 0.995
    mean = whole.mean(0)
    assert correlation((own - mean).flatten().numpy(), (whole - mean).flatten().numpy()) > 0.993


def test_config_of_another_size_is_refused(tmp_path):
    config = json.loads((BUNDLED / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"encoder_layers": 3}))
    (tmp_path / "model.safetensors").symlink_to(BUNDLED / "model.safetensors")
    with pytest.raises(InvalidCheckpoint, match=r"layers\.3"):
        load_audio_encoder(tmp_path)


@pytest.mark.parametrize("damaged", ["config.json", "model.safetensors"])
def test_damaged_files_are_refused(tmp_path, damaged):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(BUNDLED / name)
    (tmp_path / damaged).unlink()
    (tmp_path / damaged).write_bytes(b"not what it should be")
    with pytest.raises(InvalidCheckpoint, match="damaged"):
        load_audio_encoder(tmp_path)


def test_encoder_is_found_inside_a_whole_model(tmp_path, bundled):
    tensors = load_file(BUNDLED / "model.safetensors")
    whole = {f"model.encoder.{name}": tensor for name, tensor in tensors.items()}
    save_file(whole | {"model.decoder.layer_norm.bias": torch.zeros(384)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((BUNDLED / "config.json").read_text())
    sound = torch.zeros(16_000)
    assert torch.equal(load_audio_encoder(tmp_path)(sound), bundled(sound))


def test_the_encoder_is_that_of_transformers(tmp_path):
    """The same folder, read by both, before and after it is saved again."""
    from transformers.models.whisper.configuration_whisper import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    ours = load_audio_encoder(BUNDLED)
    save_network(tmp_path, AUDIO_ENCODER, ours.encoder)
    theirs = WhisperEncoder(WhisperConfig.from_pretrained(tmp_path / AUDIO_ENCODER.name)).eval()
    theirs.load_state_dict(load_file(tmp_path / AUDIO_ENCODER.name / AUDIO_ENCODER.weights))
    mel = torch.randn(1, 80, 2 * PIECE_ROWS, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs(mel, output_hidden_states=True)
        made = ours.encoder(mel)
    for state, other in zip(made[:-1], expected.hidden_states, strict=False):
        torch.testing.assert_close(state, other, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(made[-1], expected.last_hidden_state, atol=1e-4, rtol=1e-4)
