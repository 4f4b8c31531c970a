"""The full model's image branch: CLIP's vision transformer with its projection (NOTES 2.2, 4.10)."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection


class ClipImageEncoder(CLIPVisionModelWithProjection):
    """The portrait as one token; parameters are named as transformers names them."""

    def forward(self, pixels: Tensor) -> Tensor:
        """CLIP input (b, 3, 224, 224), see `clip_input` -> (b, 1, c)."""
        embeds = super().forward(pixels).image_embeds
        assert embeds is not None
        return embeds[:, None]

    def number_positions(self) -> None:
        """Count the patches again after a construction on the meta device; checkpoints do not hold this."""
        embeddings = self.vision_model.embeddings
        embeddings.register_buffer(
            "position_ids", torch.arange(embeddings.num_positions)[None], persistent=False
        )
