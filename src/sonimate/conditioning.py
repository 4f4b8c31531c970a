"""The UNet's conditions, from a sound and an encoded portrait (NOTES 1), and the initial noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sonimate.audio.duration import pad_to_windows
from sonimate.audio.tongue import tongue_track
from sonimate.audio.voice_gate import voice_gate
from sonimate.audio.windows import (
    BUCKET_ROWS,
    BUCKET_ROWS_BEFORE,
    bucket_windows,
    parts_with_context,
    token_windows,
    video_frames_per_frame,
)
from sonimate.checkpoints.store import Components
from sonimate.clock import HIDDEN_STATE_HZ, HIDDEN_STATES_PER_VIDEO_FRAME, LEAD_HIDDEN_STATES, VIDEO_FPS
from sonimate.codecs.base import BucketRanges, EncodedReference
from sonimate.configs import MAX_BUCKET, MotionOptions, SamplingOptions
from sonimate.errors import AudioTooShort
from sonimate.models.audio_networks import AudioToBucket, AudioToTokens
from sonimate.types import Conditions, Waveform

FRAMES_AT_ONCE = 256
"""Frames whose windows are in memory at once. Windows overlap: those of a whole long recording would hold
every hidden state up to 25 times."""
ROWS_AT_ONCE, READ_AROUND = 1024, 16
"""Rows that the readers of voice and tongue read at once, and the reach of the farther one, the voice's."""


@dataclass(frozen=True)
class AudioConditions:
    """audio_tokens, null_audio_tokens: (n, k, c). motion_buckets: (n, 2), head then expression."""

    audio_tokens: Tensor
    null_audio_tokens: Tensor
    motion_buckets: Tensor


@dataclass(frozen=True)
class HeardMouth:
    """What is heard of a mouth, 25 values a second.

    gate: (n,), how far it may move, 0 at rest to 1 freely. tongue: (n, 2), how far the tip of the tongue is
    up at the upper teeth, and between the teeth, 0 to 1; None: unknown, it lies still.
    """

    gate: np.ndarray
    tongue: np.ndarray | None


def listen(
    components: Components,
    waveform: Waveform,
    reference: EncodedReference,
    options: SamplingOptions,
    motion: MotionOptions,
    device: torch.device,
) -> tuple[Conditions, HeardMouth]:
    """The UNet's conditions for a 16 kHz sound, as `make_conditions` makes them, and what is heard of the
    mouth. Raises AudioTooShort."""
    fps, samples = components.codec.latent_fps, waveform.samples
    if not options.as_reference:
        samples = pad_to_windows(samples, fps, options.window_frames)
    blocks = components.audio_encoder.stream(samples, "reference" if options.as_reference else "overlapped")
    voice: list[Tensor] = []
    tongue: list[Tensor] = []
    blocks = read_in_passing(components.voice_detector, blocks, voice)
    blocks = read_in_passing(components.tongue_reader, blocks, tongue)
    conditions = make_conditions(components, blocks, reference, options, motion, device)
    frames = len(conditions.audio_tokens) * video_frames_per_frame(fps)
    gate = mouth_gate(voice, frames, lead=lead_of(components))
    return conditions, HeardMouth(gate, mouth_tongue(tongue, gate, lead=lead_of(components)))


@torch.no_grad()
def read_in_passing(
    network: nn.Module | None, blocks: Iterable[Tensor], found: list[Tensor]
) -> Iterator[Tensor]:
    """The hidden states (t, l, d) of `blocks`, still in blocks. What `network` says of their rows goes to
    `found`, in blocks too; it looks at no more than READ_AROUND rows on both sides of one."""
    if network is None:
        yield from blocks
        return
    for part, before in parts_with_context(blocks, rows=ROWS_AT_ONCE, context=READ_AROUND):
        own = slice(before, before + ROWS_AT_ONCE)
        found.append(network(part)[own])
        yield part[own]


def mouth_gate(voice: list[Tensor], frames: int, *, lead: int) -> np.ndarray:
    """How far the mouth may move in each of `frames` frames, 25 a second: 0 at rest to 1 freely, (frames,).

    voice: logits of the sound's rows, (t,) in blocks; without them the mouth is free. lead: by how many rows
    frames come before their sound.
    """
    if not voice:
        return np.ones(frames, np.float32)
    return voice_gate(torch.cat(voice)[lead:].numpy(), frames, VIDEO_FPS)


def mouth_tongue(tongue: list[Tensor], gate: np.ndarray, *, lead: int) -> np.ndarray | None:
    """`HeardMouth.tongue` from logits of the sound's rows, (t, 4) in blocks; at rest where `gate` (n,) is."""
    if not tongue:
        return None
    heard = torch.cat(tongue).softmax(1).numpy()
    return gate[:, None] * tongue_track(heard[lead:], len(gate))


def lead_of(components: Components) -> int:
    """By how many hidden states a model's frames come before their sound."""
    return 0 if components.full else LEAD_HIDDEN_STATES


@torch.no_grad()
def make_conditions(
    components: Components,
    hidden_states: Tensor | Iterable[Tensor],
    reference: EncodedReference,
    options: SamplingOptions,
    motion: MotionOptions,
    device: torch.device,
) -> Conditions:
    """Conditions of every frame, on `device` in the UNet's precision, from the hidden states (t, l, d) of
    a sound, as a whole or in blocks, and an encoded portrait. The image encoder and the audio networks are on
    `device`.

    Raises AudioTooShort.
    """
    fps = components.codec.latent_fps
    image_dtype = next(components.image_encoder.parameters()).dtype
    image = components.image_encoder(reference.image[None].to(device, image_dtype))
    audio = audio_conditions(
        hidden_states,
        image[0, 0].float(),
        components.audio_to_tokens,
        components.audio_to_bucket,
        fps,
        lead=lead_of(components),
    )
    buckets = motion_buckets(audio.motion_buckets, options, motion, components.codec)
    dtype = next(components.unet.parameters()).dtype
    return Conditions(
        image.to(dtype).expand(len(buckets), -1, -1),
        audio.audio_tokens.to(dtype),
        audio.null_audio_tokens.to(dtype),
        buckets,
        reference.latents.to(device, dtype),
        reference.mask.to(device, dtype),
        fps,
    )


def motion_buckets(
    predicted: Tensor, options: SamplingOptions, motion: MotionOptions, codec: BucketRanges
) -> Tensor:
    """Buckets (n, 2) for the UNet: the predicted ones (n, 2), bounded to [0, 128] except as_reference, times
    the dynamic scale (NOTES 4.9). Of those that `motion` fixes, the head's is bounded to the codec's range,
    and 0 to 128 of the expression's is spread over it."""
    buckets = predicted if options.as_reference else predicted.clamp(0, MAX_BUCKET)
    buckets = buckets * options.dynamic_scale
    if motion.head_motion is not None:
        low, high = codec.head_buckets
        buckets[:, 0] = min(max(motion.head_motion, low), high)
    if motion.expression is not None:
        low, high = codec.expression_buckets
        buckets[:, 1] = low + (high - low) * motion.expression / MAX_BUCKET
    return buckets


@torch.no_grad()
def audio_conditions(
    hidden_states: Tensor | Iterable[Tensor],
    image_embed: Tensor,
    audio_to_tokens: AudioToTokens,
    audio_to_bucket: AudioToBucket,
    fps: float,
    *,
    lead: int = 0,
) -> AudioConditions:
    """Tokens and motion buckets of every frame that the sound fills (NOTES 1.4-1.6).

    hidden_states: (t, l, d) at 50 Hz, as a whole or in blocks. image_embed: (c,), of the portrait, on the
    networks' device. lead: by how many hidden states each frame comes before its sound.

    Raises:
        AudioTooShort: the sound fills no frame.
    """
    blocks = [hidden_states] if isinstance(hidden_states, Tensor) else hidden_states
    hop = HIDDEN_STATES_PER_VIDEO_FRAME * video_frames_per_frame(fps)
    context = -(-(BUCKET_ROWS - BUCKET_ROWS_BEFORE + lead) // hop) * hop
    tokens: list[Tensor] = []
    buckets: list[Tensor] = []
    rows = 0
    for part, before in parts_with_context(blocks, rows=FRAMES_AT_ONCE * hop, context=context):
        rows += len(part) - before
        part, own = part.to(image_embed), slice(before // hop, before // hop + FRAMES_AT_ONCE)
        windows = token_windows(part, fps, lead=lead)[own]
        if len(windows):
            tokens.append(audio_to_tokens(windows))
            buckets.append(
                audio_to_bucket(bucket_windows(part, fps, lead=lead)[own][None], image_embed[None])[0]
            )
    if not tokens:
        seconds = rows / HIDDEN_STATE_HZ
        raise AudioTooShort(f"{seconds:.2f} s of sound fill no frame; give a recording of at least 0.2 s.")
    made = torch.cat(tokens)
    return AudioConditions(made, audio_to_tokens.null_tokens().expand_as(made), torch.cat(buckets))


def initial_noise(reference: EncodedReference, frames: int, options: SamplingOptions) -> Tensor:
    """Normal noise (n, c, h, w), float32, of standard deviation `reference.noise_scale`.

    From the CPU's generator: a seed gives the same noise on every device. The reference implementation first
    draws pixel noise that it then scales to nothing (NOTES 4.3).
    """
    generator = torch.Generator().manual_seed(options.fixed_seed)
    if options.as_reference:
        torch.randn((3, reference.height, reference.width), generator=generator)
    noise = torch.randn((frames, *reference.latents.shape), generator=generator)
    return noise.mul_(reference.noise_scale)
