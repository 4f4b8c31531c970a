"""Do a mouth and a sound belong together? Two small networks bring lips and Whisper's hidden states into one
space, where what happens at one time lies close (the idea of SyncNet, Chung and Zisserman 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

REACH_FRAMES = 10
"""Frames on either side that an embedding sees: 0.84 s in all, about four syllables."""
DROPOUT = 0.2


@dataclass(frozen=True, kw_only=True)
class SyncNetworkConfig:
    """lips: numbers that describe the lips of a frame. channels: of the last hidden states. lip_components,
    sound_components: what these are reduced to first. width, embedding: of the convolutions and the space."""

    lips: int = 80
    channels: int = 384
    lip_components: int = 12
    sound_components: int = 32
    width: int = 64
    embedding: int = 48


class SyncNetwork(nn.Module):
    """Embeddings of unit length. No convolution is padded, so that nothing marks where a clip begins: n
    frames give n - 2 * REACH_FRAMES embeddings, those of the frames in the middle."""

    def __init__(self, config: SyncNetworkConfig):
        super().__init__()
        self.config = config
        self.reduce_lips = nn.Linear(config.lips, config.lip_components)
        self.reduce_sound = nn.Linear(config.channels, config.sound_components)
        self.lip_layers = _convolutions(config.lip_components, config)
        self.sound_layers = _convolutions(2 * config.sound_components, config)

    def embed_lips(self, lips: Tensor) -> Tensor:
        """(b, n, lips) -> (b, n - 2 * REACH_FRAMES, embedding)."""
        return _embed(self.lip_layers, self.reduce_lips(lips))

    def embed_sound(self, hidden_states: Tensor) -> Tensor:
        """(b, 2 * n, channels), 50 rows a second -> (b, n - 2 * REACH_FRAMES, embedding)."""
        return _embed(self.sound_layers, self.reduce_sound(hidden_states).unflatten(1, (-1, 2)).flatten(2))


def _convolutions(inputs: int, config: SyncNetworkConfig) -> nn.Sequential:
    """Three convolutions that together see REACH_FRAMES to either side, and a last one of single frames."""
    sizes = pairwise((inputs, config.width, config.width, config.width))
    layers: list[nn.Module] = []
    for (before, after), dilation in zip(sizes, (1, 2, 2), strict=True):
        layers += [nn.Conv1d(before, after, 5, dilation=dilation), nn.GELU(), nn.Dropout(DROPOUT)]
    return nn.Sequential(*layers, nn.Conv1d(config.width, config.embedding, 1))


def _embed(layers: nn.Sequential, values: Tensor) -> Tensor:
    return F.normalize(layers(values.transpose(1, 2)), dim=1).transpose(1, 2)
