"""Utterances for training: sound with the mouth, lids, brows and head that would go with it.

Each utterance is a pure function of (seed, index, phrase pools), so a run can stop and go on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.speech.articulation import activations, sample_style
from sonimate.speech.augment import change_speaker, degrade
from sonimate.speech.gestures import blinks, brows, head_motion
from sonimate.speech.phones import Phone, UnknownPhone
from sonimate.speech.pool import Phrase, cut, move
from sonimate.speech.prominence import fill_silences, phone_loudness_db
from sonimate.speech.text import sentence
from sonimate.speech.voices import (
    ESPEAK_VOICES,
    FESTIVAL_VOICES,
    FLITE_VOICES,
    SynthesisFailed,
    Voice,
    synthesize,
)
from sonimate.types import Waveform

SHARES = {"human": 0.5, "flite": 0.24, "espeak": 0.15, "festival": 0.11}
"""Parts of the utterances by kind of voice; without human recordings theirs go to flite."""
MEAN_SECONDS = 8.2
_ENGLISH_SHARE = 0.45
_MEAN_PAUSE_SECONDS, _LONGEST_SECONDS, _MOST_PHRASES = 0.4, 9.0, 40
_MOST_SENTENCES = 30
"""A slow voice may have no sentence short enough for what is left of an utterance."""
_VOICES = {"flite": FLITE_VOICES, "festival": FESTIVAL_VOICES, "espeak": ESPEAK_VOICES}


@dataclass(frozen=True)
class Spec:
    """What utterance `index` is made of: its kind of voice and, for human ones, (language, phrase) picks."""

    index: int
    kind: str
    picks: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Utterance:
    """One training example; see `save` for the arrays."""

    waveform: Waveform
    phones: list[Phone]
    loudness_db: np.ndarray
    motion: dict[str, np.ndarray]
    facts: dict


def plan(pools: dict[str, list[Phrase]], count: int, seed: int) -> list[Spec]:
    """Specs of `count` utterances. Human phrases are dealt without repetition until a language runs out,
    then dealt again in another order (with other augmentation)."""
    rng = np.random.default_rng([seed, 0])
    decks = {language: _deal(phrases, rng) for language, phrases in sorted(pools.items()) if phrases}
    shares = dict(SHARES) if decks else {**SHARES, "human": 0.0, "flite": SHARES["flite"] + SHARES["human"]}
    specs = []
    for index in range(count):
        kind = str(rng.choice(list(shares), p=list(shares.values())))
        if kind != "human":
            specs.append(Spec(index, kind))
            continue
        weights = np.array([_ENGLISH_SHARE if language == "en" else 0.14 for language in decks])
        language = str(rng.choice(list(decks), p=weights / weights.sum()))
        specs.append(Spec(index, kind, tuple(_hand(language, pools[language], decks[language], rng))))
    return specs


def _deal(phrases: list[Phrase], rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(len(phrases)).tolist()


def _hand(
    language: str, phrases: list[Phrase], deck: Iterator[int], rng: np.random.Generator
) -> Iterator[tuple[str, int]]:
    """Phrases of one speaker for one utterance: at least 4 .. 7.5 s, and no second one beyond 9 s."""
    wanted, seconds = rng.uniform(4.0, 7.5), 0.0
    for number in islice(deck, _MOST_PHRASES):
        longer = seconds + phrases[number].waveform.seconds + _MEAN_PAUSE_SECONDS
        if seconds and longer > _LONGEST_SECONDS:
            continue
        seconds = longer
        yield language, number
        if seconds >= wanted:
            return


def compose(spec: Spec, pools: dict[str, list[Phrase]], seed: int) -> Utterance:
    """The utterance of a spec. Deterministic for (spec, pools, seed)."""
    rng = np.random.default_rng([seed, 1, spec.index])
    facts: dict = {"index": spec.index, "kind": spec.kind, "rejects": {}}
    if spec.kind == "human":
        phrases = [pools[language][number] for language, number in spec.picks]
        factor = rng.uniform(0.83, 1.12) if rng.random() < 0.7 else 1.0
    else:
        phrases, rejects = _synthesize(spec.kind, rng)
        facts["rejects"] = dict(rejects)
        factor = rng.uniform(0.9, 1.1) if rng.random() < 0.5 else 1.0
    facts |= {"language": phrases[0].language, "voice": phrases[0].speaker, "speaker_factor": factor}
    facts["text"] = " | ".join(phrase.text for phrase in phrases)
    waveform, phones = join(phrases, rng)
    waveform, phones = change_speaker(waveform, phones, factor)
    return _animate(waveform, phones, facts, rng)


def _synthesize(kind: str, rng: np.random.Generator) -> tuple[list[Phrase], Counter[str]]:
    """Sentences of one voice until 4.5 .. 7.5 s are spoken, and why sentences were rejected.

    Raises SynthesisFailed if no sentence can be spoken.
    """
    voice: Voice = _VOICES[kind][rng.integers(len(_VOICES[kind]))]
    rate, pitch = float(rng.uniform(0.85, 1.25)), float(rng.uniform(0.8, 1.3))
    wanted, seconds, phrases = rng.uniform(4.5, 7.5), 0.0, []
    rejects: Counter[str] = Counter()
    for _ in range(_MOST_SENTENCES):
        if seconds >= wanted:
            break
        text = sentence(voice.language, rng)
        try:
            waveform, phones = synthesize(text, voice, rate=rate, pitch=pitch)
        except (SynthesisFailed, UnknownPhone) as error:
            rejects[f"{type(error).__name__}: {error}"] += 1
            continue
        name = f"{voice.engine}/{voice.name}"
        for sound, inside in cut(waveform, phones):
            longer = seconds + sound.seconds + _MEAN_PAUSE_SECONDS
            if not seconds or longer <= _LONGEST_SECONDS:
                seconds = longer
                phrases.append(Phrase(sound, inside, name, voice.language, text))
    if not phrases:
        raise SynthesisFailed(f"{voice.engine} voice {voice.name} spoke none of its sentences: {rejects}")
    return phrases, rejects


def join(phrases: list[Phrase], rng: np.random.Generator) -> tuple[Waveform, list[Phone]]:
    """Phrases one after another, each at its own emphasis, with pauses of 0.15 .. 0.9 s and silent ends."""
    sounds, phones = [], []
    at = 0
    for number, phrase in enumerate(phrases):
        pause = rng.uniform(0.2, 0.8) if number == 0 else rng.uniform(0.15, 0.9)
        silence = np.zeros(round(pause * SAMPLE_RATE_HZ), np.float32)
        gain = 10 ** (rng.normal(0, 2.5) / 20)
        at += len(silence)
        phones += move(phrase.phones, at / SAMPLE_RATE_HZ)
        sounds += [silence, _faded(phrase.waveform.samples) * gain]
        at += len(phrase.waveform.samples)
    sounds.append(np.zeros(round(rng.uniform(0.3, 0.9) * SAMPLE_RATE_HZ), np.float32))
    waveform = Waveform(np.concatenate(sounds), SAMPLE_RATE_HZ)
    return waveform, fill_silences(phones, waveform.seconds)


def _faded(samples: np.ndarray) -> np.ndarray:
    """Ends faded over 10 ms, so that cutting room noise makes no click."""
    ramp = np.ones(len(samples), np.float32)
    size = min(round(0.01 * SAMPLE_RATE_HZ), len(samples) // 2)
    ramp[:size] = np.linspace(0, 1, size)
    ramp[len(samples) - size :] = np.linspace(1, 0, size)
    return samples * ramp


def _animate(waveform: Waveform, phones: list[Phone], facts: dict, rng: np.random.Generator) -> Utterance:
    """Mouth, lids, brows and head from the clean sound; the sound is degraded afterwards."""
    seconds = waveform.seconds
    loudness = phone_loudness_db(phones, waveform)
    style = sample_style(rng)
    amplitude = float(np.exp(rng.uniform(np.log(0.15), np.log(2.2))))
    per_minute, brow = float(rng.uniform(10, 25)), float(rng.uniform(0, 1))
    motion = {
        "activations": activations(phones, seconds, style=style, loudness_db=loudness),
        "blink": blinks(phones, seconds, rng, per_minute=per_minute),
        "brow": brows(phones, seconds, rng, amplitude=brow),
        "head_motion": head_motion(phones, seconds, rng, amplitude=amplitude),
    }
    facts |= {"seconds": seconds, "style": asdict(style), "head_amplitude": amplitude}
    facts |= {"blinks_per_minute": per_minute, "brow_amplitude": brow}
    return Utterance(degrade(waveform, rng), phones, loudness, motion, facts)


def save(utterance: Utterance, path: Path) -> None:
    """Write npz: samples int16 (16 kHz); at 25 Hz activations (n, 7), blink (n,), brow (n,), head_motion
    (n, 6), all float32; phone_symbols, phone_starts, phone_ends (seconds), phone_stressed,
    phone_loudness_db; facts, a JSON string. The file appears only when complete."""
    part = path.with_suffix(".part.npz")
    phones = utterance.phones
    arrays = dict(
        utterance.motion,
        samples=(np.clip(utterance.waveform.samples, -1, 1) * 32767).astype(np.int16),
        phone_symbols=np.array([phone.symbol for phone in phones]),
        phone_starts=np.array([phone.start_seconds for phone in phones], np.float32),
        phone_ends=np.array([phone.end_seconds for phone in phones], np.float32),
        phone_stressed=np.array([phone.stressed for phone in phones]),
        phone_loudness_db=utterance.loudness_db.astype(np.float32),
        facts=np.array(json.dumps(utterance.facts, ensure_ascii=False)),
    )
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    part.replace(path)


def facts_of(path: Path) -> dict:
    """The facts of a saved utterance."""
    with np.load(path) as file:
        return json.loads(str(file["facts"]))
