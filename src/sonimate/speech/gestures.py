"""Blinks, brows and head motion of a talking head, timed by the phones and the melody of its speech."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from sonimate.clock import VIDEO_FPS
from sonimate.speech.phones import SILENCE, Phone
from sonimate.speech.prosody import phrases

_FINE_HZ = 200
_PAUSE_SECONDS = 0.15
_PAUSE_BLINK_FACTOR = 4.0
_DOUBLE_BLINK_CHANCE = 0.08

# Standard deviations at amplitude 1: radians of pitch, yaw, roll; centimetres; log scale.
_WANDER = np.array([0.030, 0.042, 0.024, 0.25, 0.20, 0.010])
_SHIFT = np.array([0.022, 0.045, 0.024, 0.20, 0.15, 0.008])
_WANDER_SECONDS = 1.2
_NOD_RADIANS = 0.07
_DECLINE_RADIANS = 0.05
"""How far the chin sinks from the beginning of a phrase to its end, at most."""
_PLAIN_ACCENT = 0.5
"""Accent of stressed vowels whose sound was not measured."""
_BROW_CHANCE, _NOD_CHANCE, _PHRASE_BROW_CHANCE = 0.6, 1.0, 0.3


def pauses(phones: list[Phone]) -> list[tuple[float, float]]:
    """(start, end) seconds of the silences of at least 0.15 s."""
    silences = [phone for phone in phones if phone.symbol == SILENCE and phone.seconds >= _PAUSE_SECONDS]
    return [(phone.start_seconds, phone.end_seconds) for phone in silences]


def blinks(
    phones: list[Phone], duration_seconds: float, rng: np.random.Generator, *, per_minute: float
) -> np.ndarray:
    """Eyelid closure in [0, 1] at 25 Hz, float32 (n,).

    A Poisson process with a refractory time, four times as likely around pauses as within phrases; the lid
    falls in about 80 ms and rises in about 160 ms, some blinks come in pairs. per_minute: 10 .. 25.
    """
    times = np.arange(int(np.ceil(duration_seconds * _FINE_HZ))) / _FINE_HZ
    weight = np.ones(len(times))
    for start, end in pauses(phones):
        weight[(times > start - 0.2) & (times < min(end, start + 0.8))] = _PAUSE_BLINK_FACTOR
    hazard = per_minute / 60 / _FINE_HZ * weight / max(weight.mean(), 1e-9)
    drawn = times[rng.random(len(times)) < hazard]
    frame_times = np.arange(round(duration_seconds * VIDEO_FPS)) / VIDEO_FPS
    lids = np.zeros(len(frame_times))
    earliest = -np.inf
    for onset in drawn:
        if onset < earliest:
            continue
        onsets = [onset, onset + rng.uniform(0.3, 0.42)] if rng.random() < _DOUBLE_BLINK_CHANCE else [onset]
        for each in onsets:
            lids = np.maximum(lids, _blink(frame_times - each, rng))
        earliest = onsets[-1] + 0.6
    return lids.astype(np.float32)


def _blink(since_onset: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One blink: half-cosine down, a moment closed, half-cosine up; closed for at least one frame."""
    fall, rise = rng.uniform(0.07, 0.1), rng.uniform(0.13, 0.19)
    closed = 1.01 / VIDEO_FPS
    down = np.clip(since_onset / fall, 0, 1)
    up = np.clip((since_onset - fall - closed) / rise, 0, 1)
    return rng.uniform(0.9, 1.0) * (np.cos(np.pi * up) - np.cos(np.pi * down)) / 2


def _accented(phones: list[Phone], accents: np.ndarray | None) -> list[tuple[Phone, float]]:
    """Stressed phones and their accents in [0, 1]."""
    if accents is None:
        accents = np.full(len(phones), _PLAIN_ACCENT)
    return [(phone, float(accent)) for phone, accent in zip(phones, accents, strict=True) if phone.stressed]


def brows(
    phones: list[Phone],
    duration_seconds: float,
    rng: np.random.Generator,
    *,
    amplitude: float,
    accents: np.ndarray | None = None,
) -> np.ndarray:
    """Brow raise in [0, 1] at 25 Hz, float32 (n,): on stressed vowels, more often and higher the more they
    stand out, and through some phrases that have stress.

    amplitude: 0 never .. 1 up to full raises. accents: of the phones, by `prosody.accents`.
    """
    times = np.arange(round(duration_seconds * VIDEO_FPS)) / VIDEO_FPS
    raised = np.zeros(len(times))
    accented = _accented(phones, accents)
    for phone, accent in accented:
        if rng.random() < _BROW_CHANCE * accent:
            height, width = (0.2 + 0.8 * accent) * rng.uniform(0.5, 1.0), rng.uniform(0.12, 0.28)
            centre = phone.start_seconds + rng.uniform(-0.05, 0.1)
            raised = np.maximum(raised, height * np.exp(-0.5 * ((times - centre) / width) ** 2))
    for start, end in phrases(phones):
        stressed = any(start <= phone.start_seconds < end for phone, _ in accented)
        if stressed and rng.random() < _PHRASE_BROW_CHANCE:
            held = (times > start - 0.1) & (times < start + rng.uniform(0.3, 1.0) * (end - start))
            smooth = gaussian_filter1d(held.astype(float), 0.15 * VIDEO_FPS)
            raised = np.maximum(raised, rng.uniform(0.2, 0.6) * smooth)
    return np.clip(amplitude * raised, 0, 1).astype(np.float32)


def head_motion(
    phones: list[Phone],
    duration_seconds: float,
    rng: np.random.Generator,
    *,
    amplitude: float,
    accents: np.ndarray | None = None,
) -> np.ndarray:
    """Head motion about a resting pose at 25 Hz, float32 (n, 6).

    Columns: rotation vector (pitch, yaw, roll; radians; x right, y up, z to the viewer, so that positive
    pitch lowers the chin), translation x, y (centimetres of the face), log scale. The sum of a smooth
    Ornstein-Uhlenbeck wander, posture shifts at pauses (an autoregressive walk that returns to rest), pitch
    nods on stressed vowels, deeper the more these stand out, and a chin that rises when a phrase begins and
    sinks towards its end; stationary. amplitude: 0.1 nearly still .. 1 conversation .. 2.5 vivid.
    accents: of the phones, by `prosody.accents`.
    """
    frames = round(duration_seconds * VIDEO_FPS)
    times = np.arange(frames) / VIDEO_FPS
    motion = _wander(frames, rng) * _WANDER + _shifts(phones, times, rng) * _SHIFT
    nods = _nods(_accented(phones, accents), times, rng) + _declines(phones, times, rng)
    motion[:, 0] += nods
    motion[:, 4] -= 3.0 * nods
    return (amplitude * motion).astype(np.float32)


def _wander(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Unit-variance smooth stationary noise, (frames, 6): white noise through two equal low-pass stages."""
    warm_up = round(8 * VIDEO_FPS)
    noise = rng.standard_normal((frames + 2 * warm_up, 6))
    smooth = gaussian_filter1d(noise, _WANDER_SECONDS / 2 * VIDEO_FPS, axis=0)
    scale = np.sqrt(2 * np.sqrt(np.pi) * _WANDER_SECONDS / 2 * VIDEO_FPS)
    return smooth[warm_up : warm_up + frames] * scale


def _shifts(phones: list[Phone], times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Postures of unit variance, held during phrases and changed over about 0.5 s at pauses: (n, 6)."""
    memory = 0.5
    posture = rng.standard_normal(6)
    path = np.tile(posture, (len(times), 1))
    for start, end in pauses(phones):
        posture = memory * posture + np.sqrt(1 - memory**2) * rng.standard_normal(6)
        path[times >= rng.uniform(start, end)] = posture
    return gaussian_filter1d(path, 0.2 * VIDEO_FPS, axis=0, mode="nearest") if len(path) else path


def _declines(phones: list[Phone], times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pitch in radians at amplitude 1 of a chin that sinks through each phrase, about zero: (n,)."""
    pitch, habit = np.zeros(len(times)), rng.uniform(0.0, 1.0)
    for start, end in phrases(phones):
        inside = (times >= start) & (times < end)
        depth = _DECLINE_RADIANS * habit * rng.uniform(0.3, 1.0)
        pitch[inside] = depth * ((times[inside] - start) / (end - start) - 0.5)
    return gaussian_filter1d(pitch, 0.15 * VIDEO_FPS, mode="nearest") if len(pitch) else pitch


def _nods(accented: list[tuple[Phone, float]], times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pitch of nods in radians at amplitude 1, chin down on stressed vowels that stand out: (n,)."""
    pitch = np.zeros(len(times))
    for phone, accent in accented:
        if rng.random() < _NOD_CHANCE * min(accent + 0.2, 1.0):
            width = rng.uniform(0.09, 0.16)
            centre = phone.start_seconds + phone.seconds / 2 + rng.uniform(-0.02, 0.06)
            since = (times - centre) / width
            pitch += (
                _NOD_RADIANS
                * (0.3 + accent)
                * rng.uniform(0.3, 1.0)
                * (1 - 0.5 * since**2)
                * np.exp(-0.5 * since**2)
            )
    return pitch
