"""The UNet's conditions, from a sound and an encoded portrait (NOTES 1), and the initial noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sonimate.audio.duration import pad_to_windows
from sonimate.audio.tongue import tongue_track
from sonimate.audio.voice_gate import voice_gate
from sonimate.audio.windows import bucket_windows, token_windows, video_frames_per_frame
from sonimate.checkpoints.store import Components
from sonimate.clock import HIDDEN_STATE_HZ, LEAD_HIDDEN_STATES, VIDEO_FPS
from sonimate.codecs.base import BucketRanges, EncodedReference
from sonimate.configs import MAX_BUCKET, MotionOptions, SamplingOptions
from sonimate.errors import AudioTooShort
from sonimate.models.audio_networks import AudioToBucket, AudioToTokens
from sonimate.types import Conditions, Waveform

FRAMES_AT_ONCE = 256
"""Frames whose windows are in memory at once. Windows overlap: those of a whole long recording would hold
every hidden state up to 25 times."""


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
    fps = components.codec.latent_fps
    if options.as_reference:
        hidden_states = components.audio_encoder(waveform.samples, "reference")
    else:
        hidden_states = components.audio_encoder(pad_to_windows(waveform.samples, fps, options.window_frames))
    conditions = make_conditions(components, hidden_states, reference, options, motion, device)
    frames = len(conditions.audio_tokens) * video_frames_per_frame(fps)
    gate = mouth_gate(components, hidden_states, frames)
    return conditions, HeardMouth(gate, mouth_tongue(components, hidden_states, gate))


@torch.no_grad()
def mouth_gate(components: Components, hidden_states: Tensor, frames: int) -> np.ndarray:
    """How far the mouth may move in each of `frames` frames, 25 a second: 0 at rest to 1 freely, (frames,).

    hidden_states: (t, l, d) of the sound. A model without a voice detector leaves the mouth free.
    """
    if components.voice_detector is None:
        return np.ones(frames, np.float32)
    logits = components.voice_detector(hidden_states).numpy()
    return voice_gate(logits[lead_of(components) :], frames, VIDEO_FPS)


@torch.no_grad()
def mouth_tongue(components: Components, hidden_states: Tensor, gate: np.ndarray) -> np.ndarray | None:
    """`HeardMouth.tongue`, from hidden states (t, l, d) of the sound; at rest where `gate` (n,) is."""
    if components.tongue_reader is None:
        return None
    heard = components.tongue_reader(hidden_states).softmax(1).numpy()
    return gate[:, None] * tongue_track(heard[lead_of(components) :], len(gate))


def lead_of(components: Components) -> int:
    """By how many hidden states a model's frames come before their sound."""
    return 0 if components.full else LEAD_HIDDEN_STATES


@torch.no_grad()
def make_conditions(
    components: Components,
    hidden_states: Tensor,
    reference: EncodedReference,
    options: SamplingOptions,
    motion: MotionOptions,
    device: torch.device,
) -> Conditions:
    """Conditions of every frame, on `device` in the UNet's precision, from the hidden states (t, l, d) of
    a sound and an encoded portrait. The image encoder and the audio networks are on `device`.

    Raises AudioTooShort.
    """
    fps = components.codec.latent_fps
    image_dtype = next(components.image_encoder.parameters()).dtype
    image = components.image_encoder(reference.image[None].to(device, image_dtype))
    audio = audio_conditions(
        hidden_states.to(device),
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
    hidden_states: Tensor,
    image_embed: Tensor,
    audio_to_tokens: AudioToTokens,
    audio_to_bucket: AudioToBucket,
    fps: float,
    *,
    lead: int = 0,
) -> AudioConditions:
    """Tokens and motion buckets of every frame that the sound fills (NOTES 1.4-1.6).

    hidden_states: (t, l, d) at 50 Hz. image_embed: (c,), of the portrait. lead: by how many hidden states
    each frame comes before its sound.

    Raises:
        AudioTooShort: the sound fills no frame.
    """
    tokens_of_windows = token_windows(hidden_states, fps, lead=lead).split(FRAMES_AT_ONCE)
    buckets_of_windows = bucket_windows(hidden_states, fps, lead=lead).split(FRAMES_AT_ONCE)
    if not len(tokens_of_windows[0]):
        seconds = len(hidden_states) / HIDDEN_STATE_HZ
        raise AudioTooShort(f"{seconds:.2f} s of sound fill no frame; give a recording of at least 0.2 s.")
    tokens = torch.cat([audio_to_tokens(windows) for windows in tokens_of_windows])
    buckets = torch.cat([audio_to_bucket(w[None], image_embed[None])[0] for w in buckets_of_windows])
    return AudioConditions(tokens, audio_to_tokens.null_tokens().expand_as(tokens), buckets)


def initial_noise(reference: EncodedReference, frames: int, options: SamplingOptions) -> Tensor:
    """Normal noise (n, c, h, w), float32, of standard deviation `reference.noise_scale`.

    From the CPU's generator: a seed gives the same noise on every device. The reference implementation first
    draws pixel noise that it then scales to nothing (NOTES 4.3).
    """
    generator = torch.Generator().manual_seed(options.fixed_seed)
    if options.as_reference:
        torch.randn((3, reference.height, reference.width), generator=generator)
    noise = torch.randn((frames, *reference.latents.shape), generator=generator)
    return noise * reference.noise_scale
