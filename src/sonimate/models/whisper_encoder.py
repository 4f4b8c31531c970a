"""Whisper's encoder (Radford et al. 2022, section 2.2), its parameters named as transformers saves them.

The package does without transformers here, whose import alone took two seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class WhisperConfig:
    """Shape of an encoder, in transformers' terms; the defaults are whisper-tiny's.

    own_length: this project's own setting, see `WhisperHiddenStates`.
    Raises ValueError when a size is not a positive integer, or the heads do not divide d_model.
    """

    num_mel_bins: int = 80
    d_model: int = 384
    encoder_layers: int = 4
    encoder_attention_heads: int = 6
    encoder_ffn_dim: int = 1536
    max_source_positions: int = 1500
    own_length: bool = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name == "own_length":
                if type(value) is not bool:
                    raise ValueError(f"{name} is {value!r}, not true or false")
            elif type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}, not a positive integer")
        if self.d_model % self.encoder_attention_heads:
            raise ValueError("encoder_attention_heads does not divide d_model")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WhisperConfig:
        """The encoder's part of a config.json of transformers."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values that `from_dict` and transformers read."""
        return {"model_type": "whisper", **asdict(self)}


class WhisperEncoder(nn.Module):
    """Two convolutions, of which the second halves the rate, and transformer layers."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        width = config.d_model
        self.conv1 = nn.Conv1d(config.num_mel_bins, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        # Not initialised at random: on the meta device that would import torch's compiler.
        self.embed_positions = nn.Embedding.from_pretrained(torch.zeros(config.max_source_positions, width))
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, mel: Tensor) -> list[Tensor]:
        """Hidden states (b, t, d) of a mel spectrogram (b, m, 2 t), t <= max_source_positions: the embedding
        with positions, then each layer's, of which the last one is normed (NOTES 1.3)."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.embed_positions.weight[: x.shape[1]]
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return [*states[:-1], self.layer_norm(states[-1])]


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network, each normed before and added."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        width = config.d_model
        self.self_attn = WhisperAttention(width, config.encoder_attention_heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, d) -> (b, t, d)."""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class WhisperAttention(nn.Module):
    """Attention of all positions to all; keys have no bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, d) -> (b, t, d)."""
        query, key, value = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
