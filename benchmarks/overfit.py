"""Can the full model's architecture learn? A tiny one, with its autoencoder, is trained on two real clips
until it reproduces them.

overfit.py CLIP CLIP --out FOLDER     for example GRID clips of 3 s; about an hour on one core, resumable

All other parts are the real ones: sonimate prepare, features of frozen networks, both stages of sonimate
train, and the pipeline on the first frame and the sound of each clip. The margin around the face is
narrower, so that the mouth is wide enough in 64 px frames. The face mesh sees enlarged frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from torch.nn import functional as F
from transformers import CLIPVisionConfig

from lib.command import benchmark_parser
from lib.report import Check, publish
from sonimate.checkpoints.store import Components, load_audio_encoder, save_components
from sonimate.clock import LATENT_FPS, VIDEO_FRAMES_PER_LATENT
from sonimate.codecs.svd.autoencoder import SVDCodec
from sonimate.codecs.svd.interpolation import FlowMiddle
from sonimate.codecs.svd.preparation import resize_to_multiple_of_64, signed_image
from sonimate.configs import FULL, MotionOptions
from sonimate.evaluate.curves import correlation
from sonimate.face.mesh import FaceMesh, select_face
from sonimate.face.regions import mouth_opening
from sonimate.features.latents import write_latents
from sonimate.footage import square_crop as crop
from sonimate.footage.mouth_reader import ENCODER
from sonimate.footage.prepare_options import PrepareOptions
from sonimate.footage.preparer import prepare
from sonimate.footage.shards import ShardClip, read_shards
from sonimate.media.video import read_frames
from sonimate.media.video_writer import VideoWriter
from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)
from sonimate.models.clip import ClipImageEncoder
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig
from sonimate.pipeline import SonicPipeline
from sonimate.train.run import train
from sonimate.train.run_folder import RunFolder
from sonimate.train.validation import track_opening
from sonimate.types import Portrait, Waveform

SIDE_PX = 64
MARGIN = 0.1
WIDTH = 64
UNET = UNetConfig(
    block_out_channels=(32, 32, 64, 64),
    num_attention_heads=(2, 2, 4, 4),
    layers_per_block=1,
    cross_attention_dim=WIDTH,
    addition_time_embed_dim=32,
    projection_class_embeddings_input_dim=96,
    norm_num_groups=8,
)
RECIPE: dict[str, Any] = {
    "model": "full",
    "batch_size": 4,
    "learning_rate": 2e-3,
    "warmup_steps": 30,
    "final_rate": 0.02,
    "weight_decay": 0.0,
    "ema_decay": 0.99,
    "sigma_mean": 1.0,
    "sigma_std": 1.4,
    "bucket_steps": 100,
    "bucket_batch_size": 8,
    "checkpoint_every": 100,
    "validate_every": 100_000,
    "validation_clips": 2,
    "sampling": {"steps": 10, "image_guidance": 1.0, "audio_guidance": 1.0},
}
MIN_R, MIN_FALL = 0.8, 10.0


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__, out="out/overfit")
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--vae-steps", type=int, default=400)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    out: Path = arguments.out
    clips = shards_of(arguments.clips, out)
    start = out / "start"
    if not (start / "model_index.json").exists():
        write_start(start, clips, arguments.vae_steps)
    device = torch.device("cpu")
    write_latents(out / "shards", out / "data", start, device=device, size_px=SIDE_PX)
    recipe = out / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE | {"steps": arguments.steps}))
    model = train(recipe, out / "data", out / "run", init=str(start))

    losses = np.array(list(RunFolder(out / "run").losses().values()))
    fall = losses[:5].mean() / losses[-100:].mean()
    pipeline = SonicPipeline.from_pretrained(model, device="cpu")
    rows = [measure(pipeline, clip, out) for clip in clips]
    checks = [
        Check("loss, first 5 steps over last 100", float(fall), low=MIN_FALL),
        *(Check(f"r of {row['clip']}", row["r"], low=MIN_R) for row in rows),
    ]
    publish("overfit", out, rows=rows, summary={"last loss": float(losses[-100:].mean())}, checks=checks)


def shards_of(clips: Sequence[Path], out: Path) -> list[ShardClip]:
    """The prepared clips, with a narrower margin around the face."""
    footage = out / "footage"
    footage.mkdir(parents=True, exist_ok=True)
    for clip in clips:
        if not (footage / clip.name).exists():
            (footage / clip.name).symlink_to(clip.resolve())
    with patch.object(crop, "EXPAND_RATIO", MARGIN):
        report = prepare(footage, out / "shards", PrepareOptions(size_px=256, min_face_px=64))
    print(report.clips, "clips")
    return list(read_shards(out / "shards"))


def frames_of(clip: ShardClip, out: Path) -> list[np.ndarray]:
    path = out / f"{clip.key}.mp4"
    path.write_bytes(clip.read(".mp4"))
    return list(read_frames(path, fps=None))


def write_start(folder: Path, clips: Sequence[ShardClip], vae_steps: int) -> None:
    """Write a full model: an autoencoder fitted to the clips, Whisper, and otherwise random networks."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    frames = [[resize_to_multiple_of_64(f, SIDE_PX) for f in frames_of(c, folder.parent)] for c in clips]
    vae = fit_autoencoder([torch.stack([signed_image(f) for f in some]) for some in frames], vae_steps)
    whisper = load_audio_encoder(ENCODER)
    clip = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=224,
        patch_size=32,
    )
    tokens = AudioTokensConfig(channels=whisper.dim, intermediate_dim=128, output_dim=WIDTH, context_tokens=8)
    buckets = AudioToBucketConfig(channels=whisper.dim, intermediate_dim=32, clip_channels=WIDTH)
    components = Components(
        unet=SpatioTemporalUNet(UNET),
        audio_to_tokens=AudioToTokens(tokens),
        audio_to_bucket=AudioToBucket(buckets),
        image_encoder=ClipImageEncoder(clip),
        audio_encoder=whisper,
        codec=SVDCodec(vae, middle=FlowMiddle()),
    )
    save_components(components, folder, torch.float32)


def fit_autoencoder(clips: Sequence[torch.Tensor], steps: int) -> Any:
    """An autoencoder of SVD's class, fitted to clips (n, 3, h, w) in [-1, 1] until it shows their mouths."""
    shape: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "block_out_channels": (32, 32, 64, 64),
        "layers_per_block": 1,
    }
    vae: Any = AutoencoderKLTemporalDecoder(**shape)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    rng = np.random.default_rng(0)
    for step in range(steps):
        frames = clips[step % len(clips)]
        start = rng.integers(len(frames) - 6)
        some = frames[start : start + 6]
        mean = vae.encode(some).latent_dist.mean
        shown = vae.decode(mean + 0.05 * torch.randn_like(mean), num_frames=len(some)).sample
        loss = F.l1_loss(shown, some) + 1e-4 * mean.square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            print(f"autoencoder, step {step}: {loss.item():.4f}", flush=True)
    with torch.no_grad():
        latents = torch.cat([vae.encode(frames[::4]).latent_dist.mean for frames in clips])
    vae.register_to_config(scaling_factor=float(1 / latents.std()))
    return vae.eval()


def measure(pipeline: SonicPipeline, clip: ShardClip, out: Path) -> dict[str, Any]:
    """Animate a clip's first frame by its sound: r of the generated and the real mouth, and its upper bound,
    r of the real frames after the autoencoder."""
    mesh = FaceMesh(num_threads=1)
    real = frames_of(clip, out)
    truth = mouth_opening(clip.landmarks().astype(np.float64))[::VIDEO_FRAMES_PER_LATENT]
    codec: Any = pipeline.components.codec
    encoded = codec.encode([resize_to_multiple_of_64(f, SIDE_PX) for f in real[::VIDEO_FRAMES_PER_LATENT]])
    seen = list(codec.decode(encoded, decoding=replace(codec.decoding, fps=LATENT_FPS)))
    portrait = Portrait(real[0], select_face(mesh.find(real[0])))
    sound = Waveform(clip.sound(), 16_000)
    labels = clip.record["buckets"]
    animate = partial(
        pipeline,
        portrait,
        sound,
        sampling=replace(FULL, image_guidance=1.0, audio_guidance=1.0),
        size=SIDE_PX,
        fps=LATENT_FPS,
    )
    row: dict[str, Any] = {"clip": str(clip.clip_id), "r of reconstructions": score(seen, truth, mesh)}
    made = list(animate())
    row["r"] = score(made, truth, mesh)
    given = MotionOptions(head_motion=labels["head"], expression=labels["expression"])
    row["r, labelled buckets"] = score(list(animate(motion=given)), truth, mesh)
    path = out / f"{clip.key}.generated.mp4"
    with VideoWriter(path, width=2 * SIDE_PX, height=SIDE_PX, fps=LATENT_FPS, sound=sound) as writer:
        for one, other in zip(seen, made, strict=False):
            writer.write(np.concatenate([one, other], axis=1))
    return row


def score(frames: Sequence[np.ndarray], truth: np.ndarray, mesh: FaceMesh) -> float:
    opening, visible = track_opening(frames[: len(truth)], mesh)
    return correlation(opening, truth[: len(visible)][visible])


if __name__ == "__main__":
    main()
