"""The full model's image branch: CLIP's vision transformer with its projection (NOTES 2.2, 4.10)."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection


class ClipImageEncoder(CLIPVisionModelWithProjection):
    """The portrait as one token; parameters are named as transformers names them."""

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__(config)
        # Checkpoints do not hold these numbers, so they must be real on the meta device too.
        embeddings = self.vision_model.embeddings
        positions = torch.arange(embeddings.num_positions, device="cpu")[None]
        embeddings.register_buffer("position_ids", positions, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """CLIP input (b, 3, 224, 224), see `clip_input` -> (b, 1, c)."""
        embeds = super().forward(pixels).image_embeds
        assert embeds is not None
        return embeds[:, None]
