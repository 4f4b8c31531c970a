"""What the sound says about the phones: loudness, pauses that the labels missed, and stress."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sonimate.speech.phones import REDUCED, SILENCE, Phone
from sonimate.types import Waveform

HOP_SECONDS = 0.005
_WINDOW_SECONDS = 0.02
_PAUSE_SECONDS = 0.13
_PAUSE_DB = -32.0
_LEAST_SECONDS = 0.04


def level_db(waveform: Waveform) -> np.ndarray:
    """Energy in 20 ms windows every 5 ms, dB relative to loud speech (the 95th percentile): (n,)."""
    hop, size = (round(seconds * waveform.rate_hz) for seconds in (HOP_SECONDS, _WINDOW_SECONDS))
    power = np.concatenate([[0.0], np.cumsum(np.square(waveform.samples, dtype=np.float64))])
    centres = np.arange(0, len(waveform.samples), hop)
    left = np.clip(centres - size // 2, 0, len(waveform.samples))
    right = np.clip(centres + size // 2, 0, len(waveform.samples))
    decibels = 10 * np.log10((power[right] - power[left]) / np.maximum(right - left, 1) + 1e-12)
    return decibels - np.percentile(decibels, 95)


def _middle(phone: Phone) -> slice:
    """The hops of the middle 60 % of a phone, at least one: neighbours do not leak in."""
    start = round((phone.start_seconds + 0.2 * phone.seconds) / HOP_SECONDS)
    return slice(start, max(start + 1, round((phone.end_seconds - 0.2 * phone.seconds) / HOP_SECONDS)))


def phone_loudness_db(phones: list[Phone], waveform: Waveform) -> np.ndarray:
    """Loudest level within each phone, dB relative to the median vowel of the recording: (len(phones),)."""
    level = level_db(waveform)
    peaks = np.array([level[_middle(phone)].max(initial=-80.0) for phone in phones])
    vowels = [peak for peak, phone in zip(peaks, phones, strict=True) if phone.is_vowel]
    return peaks - (np.median(vowels) if vowels else 0.0)


def mark_stress(phones: list[Phone], waveform: Waveform) -> list[Phone]:
    """Set `stressed` on full vowels that are louder and longer than those around them.

    Taken from the sound and not from a dictionary: it works for every voice and language, and it is what a
    listener hears. Prominence = loudness / 3 dB + 1.5 log2(duration / median); stressed when it is above
    the mean of the seven nearest vowels.
    """
    loudness = phone_loudness_db(phones, waveform)
    index = [i for i, phone in enumerate(phones) if phone.is_vowel]
    if not index:
        return phones
    seconds = np.array([phones[i].seconds for i in index])
    prominence = loudness[index] / 3.0 + 1.5 * np.log2(seconds / np.median(seconds))
    marked = list(phones)
    for k, i in enumerate(index):
        around = prominence[max(0, k - 3) : k + 4]
        stressed = phones[i].symbol not in REDUCED and prominence[k] >= around.mean()
        marked[i] = replace(phones[i], stressed=bool(stressed))
    return marked


def split_silences(phones: list[Phone], waveform: Waveform) -> list[Phone]:
    """Cut out of the phones every pause (0.13 s below -32 dB) that the labels put inside them.

    Stop closures are shorter; synthesizers and aligners both hang a pause on the phone before it.
    """
    quiet = level_db(waveform) < _PAUSE_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    pauses = [
        (start * HOP_SECONDS, min(end * HOP_SECONDS, waveform.seconds))
        for start, end in edges.reshape(-1, 2)
        if (end - start) * HOP_SECONDS >= _PAUSE_SECONDS
    ]
    kept = [_outside(phone, pauses) for phone in phones if phone.symbol != SILENCE]
    return fill_silences(kept, waveform.seconds)


def _outside(phone: Phone, pauses: list[tuple[float, float]]) -> Phone:
    """The longest part of `phone` outside the pauses.

    When less than 40 ms remain, its last 40 ms: the closure of a stop that begins a phrase is itself silent.
    """
    parts = [(phone.start_seconds, phone.end_seconds)]
    for start, end in pauses:
        parts = [
            part
            for left, right in parts
            for part in ((left, min(right, start)), (max(left, end), right))
            if part[1] > part[0]
        ]
    left, right = max(parts, key=lambda part: part[1] - part[0], default=(0.0, 0.0))
    if right - left < _LEAST_SECONDS:
        left, right = max(phone.start_seconds, phone.end_seconds - _LEAST_SECONDS), phone.end_seconds
    return replace(phone, start_seconds=left, end_seconds=right)


def fill_silences(phones: list[Phone], seconds: float) -> list[Phone]:
    """Contiguous phones from 0 to `seconds`: silence in every gap."""
    filled: list[Phone] = []
    at = 0.0
    for phone in phones:
        if phone.start_seconds > at + 1e-6:
            filled.append(Phone(SILENCE, at, phone.start_seconds))
        filled.append(phone)
        at = phone.end_seconds
    return [*filled, Phone(SILENCE, at, seconds)] if seconds > at + 1e-6 else filled
