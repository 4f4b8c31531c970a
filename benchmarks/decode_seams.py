"""Difference between decoding in chunks and decoding a clip whole, and jumps of the picture where chunks
meet.

The decoder's temporal convolutions and its normalisation over frames couple all frames that are decoded
together. The trained weights are not available here; three kinds of random weights replace them. Errors,
jumps (steps between frames minus those of the whole clip) and steps are in grey levels of 255, means over
all pixels.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from safetensors.torch import load_file
from torch import Tensor

from lib.command import benchmark_parser
from lib.report import publish
from sonimate.codecs.svd.autoencoder import SVDCodec, chunk_plan
from sonimate.codecs.svd.interpolation import FlowMiddle
from sonimate.configs import REFERENCE_DECODE, DecodeOptions

FRAMES, SIDE = 72, 8
ENDS_FRAMES = 12
"""Frames at both ends of the clip that do not count: there the decoder pads with zeros in each case."""
BLUR_FRAMES, MOVING_PART = 3.0, 0.3
GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "modules"
WIDTHS, LAYERS = (32, 32, 64, 64), 2
GAINS = {"as initialised": None, "unit gain": 1.0}
"""Of all convolutions of a narrow VAE with SVD's layers and initial mixing factors; None: PyTorch's own."""
CHUNKS = {12: (6, 8), 16: (0, 2, 4, 6, 8, 10, 12), 24: (12,), 36: (12,)}
PLANS = (
    REFERENCE_DECODE,
    *(
        DecodeOptions(chunk_frames=chunk, overlap_frames=overlap)
        for chunk, overlaps in CHUNKS.items()
        for overlap in overlaps
    ),
)


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--weights", nargs="+", choices=[*GAINS, "golden"], default=[*GAINS, "golden"])
    arguments = parser.parse_args(argv)
    rows = [
        {"weights": weights, "clip": clip} | row
        for weights in arguments.weights
        for clip, latents in (("moving", moving_latents()), ("still", still_latents()))
        for row in compare(autoencoder(weights), latents)
    ]
    publish("decode_seams", arguments.out, rows=rows)


def compare(vae: AutoencoderKLTemporalDecoder, latents: Tensor) -> list[dict]:
    """One row for each plan: cost relative to decoding once, error, and steps between frames, in grey
    levels."""
    codec = SVDCodec(vae, middle=FlowMiddle())
    whole = decoded(codec, latents, DecodeOptions(chunk_frames=len(latents), overlap_frames=0))
    rows = []
    for plan in PLANS:
        frames = decoded(codec, latents, plan)
        chunks = list(chunk_plan(len(latents), plan))
        seams = [chunk.start + chunk.keep.start for chunk in chunks[1:]]
        jump = (frames.diff(dim=0) - whole.diff(dim=0)).abs().mean((1, 2, 3))[[seam - 1 for seam in seams]]
        inner = slice(ENDS_FRAMES, -ENDS_FRAMES)
        rows.append(
            {
                "chunk": plan.chunk_frames,
                "overlap": plan.overlap_frames,
                "cost": plan.chunk_frames / (plan.chunk_frames - plan.overlap_frames),
                "error": (frames - whole)[inner].abs().mean().item(),
                "jump at seams": jump.mean().item(),
                "steps elsewhere": whole.diff(dim=0)[inner].abs().mean().item(),
            }
        )
    return rows


def decoded(codec: SVDCodec, latents: Tensor, plan: DecodeOptions) -> Tensor:
    return 255 * torch.stack(list(codec.decode_latents(latents, plan)))


def still_latents() -> Tensor:
    """A picture that does not move, as a background."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 4, SIDE, SIDE, generator=generator).expand(FRAMES, -1, -1, -1)


def moving_latents() -> Tensor:
    """The same with smooth motion everywhere."""
    generator = torch.Generator().manual_seed(2)
    reach = math.ceil(4 * BLUR_FRAMES)
    times = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (times / BLUR_FRAMES) ** 2)
    noise = torch.randn(FRAMES + 2 * reach, 4, SIDE, SIDE, generator=generator)
    blurred = torch.einsum("nchwk,k->nchw", noise.unfold(0, len(times), 1), weights / weights.norm())
    return still_latents() + MOVING_PART * blurred


def autoencoder(weights: str) -> AutoencoderKLTemporalDecoder:
    """One of GAINS, or the tests' VAE, of fewer layers and random mixing factors."""
    if weights == "golden":
        vae = AutoencoderKLTemporalDecoder(**json.loads((GOLDEN / "vae_config.json").read_text()))
        stored = load_file(GOLDEN / "vae_weights.safetensors")
        vae.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
        return vae.eval()
    torch.manual_seed(0)
    vae = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),  # pyright: ignore[reportArgumentType]
        block_out_channels=WIDTHS,  # pyright: ignore[reportArgumentType]
        layers_per_block=LAYERS,
    )
    if gain := GAINS[weights]:
        for parameter in vae.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=gain / math.sqrt(parameter[0].numel()))
    return vae.eval()


if __name__ == "__main__":
    main()
