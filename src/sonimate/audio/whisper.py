"""Waveform -> log-mel -> Whisper encoder -> all hidden states (paper 3.1), 50 rows a second.

Whisper reads pieces of 30 s. `reference` mode encodes separate pieces, as the released model was trained;
`overlapped` mode, the default, gives every row context on both sides, so that nothing jumps every 30 s.
Both pad a shorter sound with silence to 30 s. An encoder whose setting `own_length` is true, as the compact
model's, adds only 2 s of silence in `overlapped` mode: 2 s of sound then take a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sonimate.clock import HIDDEN_STATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_HIDDEN_STATE
from sonimate.errors import AudioTooShort, InvalidCheckpoint, OptionOutOfRange, UnreadableAudio
from sonimate.models.whisper_encoder import WhisperEncoder

FFT_SAMPLES = 400  # 25 ms
HOP_SAMPLES = SAMPLES_PER_HIDDEN_STATE // 2  # 10 ms, one mel column: the second convolution has stride 2
BLOCK_COLUMNS = 30 * SAMPLE_RATE_HZ // HOP_SAMPLES  # of mel that are computed at once
DYNAMIC_RANGE = 8.0  # decades of power that are kept below the loudest bin
MARGIN_ROWS = 2 * HIDDEN_STATE_HZ  # context that a row needs: rows nearer than this to a cut are dropped
FADE_ROWS = 2 * HIDDEN_STATE_HZ  # pieces fade into one another, for their position embeddings differ

Mode = Literal["overlapped", "reference"]


@cache
def mel_filters(n_mels: int) -> Tensor:
    """Slaney's mel filter bank (201, n_mels): triangles of equal area, 0 to 8000 Hz.

    The scale is linear below 1 kHz (3 mel per 200 Hz) and logarithmic above (27 mel per factor 6.4).
    """
    mel_of_1khz, mel_step = 15.0, np.log(6.4) / 27
    top_mel = mel_of_1khz + np.log(SAMPLE_RATE_HZ / 2 / 1000) / mel_step
    mels = np.linspace(0, top_mel, n_mels + 2)
    above_1khz = 1000 * np.exp((mels - mel_of_1khz).clip(0) * mel_step)
    corners_hz = np.where(mels < mel_of_1khz, mels * 200 / 3, above_1khz)
    bins_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, FFT_SAMPLES // 2 + 1)[:, None]
    rising = (bins_hz - corners_hz[:-2]) / np.diff(corners_hz)[:-1]
    falling = (corners_hz[2:] - bins_hz) / np.diff(corners_hz)[1:]
    triangles = np.minimum(rising, falling).clip(0) * 2 / (corners_hz[2:] - corners_hz[:-2])
    return torch.from_numpy(triangles.astype(np.float32))


def log_mel(samples: Tensor, n_mels: int = 80) -> Tensor:
    """Whisper's input features (n_mels, n // 160) of 16 kHz mono `samples` (n,), n > 200.

    log10 of the mel power, floored at 80 dB below the loudest bin of `samples`, scaled to about [-1, 1].
    """
    window, half = torch.hann_window(FFT_SAMPLES), FFT_SAMPLES // 2
    columns = len(samples) // HOP_SAMPLES
    decades = torch.empty(columns, n_mels)
    for start in range(0, columns, BLOCK_COLUMNS):
        stop = min(start + BLOCK_COLUMNS, columns)
        frames = _reflected(samples, start * HOP_SAMPLES - half, (stop - 1) * HOP_SAMPLES + half)
        power = torch.fft.rfft(frames.unfold(0, FFT_SAMPLES, HOP_SAMPLES) * window).abs().square()
        decades[start:stop] = (power @ mel_filters(n_mels)).clamp_(min=1e-10).log10_()
    return decades.clamp_(min=decades.max() - DYNAMIC_RANGE).add_(4).div_(4).T


def _reflected(samples: Tensor, start: int, stop: int) -> Tensor:
    """Samples from `start` to `stop`; beyond the ends they are mirrored."""
    left, right = max(-start, 0), max(stop - len(samples), 0)
    inside = samples[max(start, 0) : stop]
    return torch.cat([samples[1 : left + 1].flip(0), inside, samples[-right - 1 : -1].flip(0)[:right]])


class WhisperHiddenStates:
    """The Whisper encoder as a function from sound to all its hidden states.

    own_length: whether sounds keep their own length, instead of being padded to 30 s; by default as the
    encoder's config says.
    """

    def __init__(self, encoder: WhisperEncoder, *, own_length: bool | None = None) -> None:
        self.encoder = encoder.eval().requires_grad_(False)
        self.own_length = encoder.config.own_length if own_length is None else own_length
        self.piece_rows: int = encoder.config.max_source_positions
        if self.piece_rows <= 2 * MARGIN_ROWS + FADE_ROWS:
            raise InvalidCheckpoint(
                f"Whisper reads 1500 positions, not {self.piece_rows}; correct config.json."
            )
        self.n_mels: int = encoder.config.num_mel_bins
        self.layers: int = encoder.config.encoder_layers + 1
        self.dim: int = encoder.config.d_model

    def __call__(self, samples: np.ndarray | Tensor, mode: Mode = "overlapped") -> Tensor:
        """Hidden states (t, layers, d), 50 rows a second, t = n // 320, of `samples` (n,) at 16 kHz.

        Layer 0 is the input embedding with positions, the last one comes after the final norm.
        Raises AudioTooShort (below one row), UnreadableAudio (not finite) and OptionOutOfRange (the mode).
        """
        return torch.cat(list(self.stream(samples, mode)))

    def stream(self, samples: np.ndarray | Tensor, mode: Mode = "overlapped") -> Iterator[Tensor]:
        """The same hidden states in blocks of half a minute and less, one after the other: those of an hour
        would take 1.4 GB."""
        sound = torch.as_tensor(samples, dtype=torch.float32)
        rows = len(sound) // SAMPLES_PER_HIDDEN_STATE
        if rows == 0:
            raise AudioTooShort(
                f"{len(sound) / SAMPLE_RATE_HZ:.3f} s of sound; give a recording of at least 0.2 s."
            )
        if not all(part.isfinite().all() for part in sound.split(30 * SAMPLE_RATE_HZ)):
            raise UnreadableAudio("The sound holds samples that are not finite; export the recording again.")
        if mode not in get_args(Mode):
            raise OptionOutOfRange(f"audio mode {mode!r}; choose 'overlapped' or 'reference'.")
        for block in self._separate(sound) if mode == "reference" else self._overlapped(sound):
            yield block[:rows]
            rows -= len(block)
            if rows <= 0:
                return

    def _separate(self, sound: Tensor) -> Iterator[Tensor]:
        """Pieces of 30 s side by side, each with its own loudness floor (NOTES 1.2, 1.3)."""
        for piece in sound.split(self.piece_rows * SAMPLES_PER_HIDDEN_STATE):
            yield self._encode(log_mel(pad_rows(piece, self.piece_rows), self.n_mels))

    def _overlapped(self, sound: Tensor) -> Iterator[Tensor]:
        """Overlapping pieces, blended row by row with weights that vanish near the cuts."""
        rows = len(sound) // SAMPLES_PER_HIDDEN_STATE + MARGIN_ROWS if self.own_length else self.piece_rows
        mel = log_mel(pad_rows(sound, min(rows, self.piece_rows)), self.n_mels)
        rows = mel.shape[1] // 2
        total, weight_sum = torch.zeros(0, self.layers, self.dim), torch.zeros(0, 1, 1)
        for start, following in pairwise([*piece_starts(rows, self.piece_rows), rows]):
            stop = min(start + self.piece_rows, rows)
            weights = piece_weights(start, stop, rows)[:, None, None]
            piece = weights * self._encode(mel[:, 2 * start : 2 * stop])
            piece[: len(total)] += total
            weights[: len(weight_sum)] += weight_sum
            ready = following - start
            yield piece[:ready].div_(weights[:ready])
            total, weight_sum = piece[ready:], weights[ready:]

    @torch.no_grad()
    def _encode(self, mel: Tensor) -> Tensor:
        """Hidden states (t, layers, d) of one piece (n_mels, 2 * t)."""
        return torch.cat(self.encoder(mel[None])).transpose(0, 1)


def pad_rows(sound: Tensor, min_rows: int) -> Tensor:
    """`sound` (n,) with zeros up to a whole row, and up to at least `min_rows`."""
    rows = max(-(-len(sound) // SAMPLES_PER_HIDDEN_STATE), min_rows)
    missing = rows * SAMPLES_PER_HIDDEN_STATE - len(sound)
    return functional.pad(sound, (0, missing)) if missing else sound


def piece_starts(rows: int, piece_rows: int) -> list[int]:
    """First rows of the pieces that cover `rows`; the last one ends with the sound.

    Neighbours share at least two margins and one fade.
    """
    hop = piece_rows - 2 * MARGIN_ROWS - FADE_ROWS
    last = max(rows - piece_rows, 0)
    return [*range(0, last, hop), last]


def piece_weights(start: int, stop: int, rows: int) -> Tensor:
    """Blending weights (stop - start,) of a piece: 0 within the margin of a cut, then a linear fade to 1.

    The ends of the sound are no cuts.
    """
    position = torch.arange(start, stop) + 0.5
    from_left = position - start if start > 0 else torch.full_like(position, torch.inf)
    from_right = stop - position if stop < rows else torch.full_like(position, torch.inf)
    return ((torch.minimum(from_left, from_right) - MARGIN_ROWS) / FADE_ROWS).clamp(0, 1)
