"""Utterances for training: sound with the mouth, lids, brows and head that go with it.

An utterance joins phrases, which are spoken by an engine or were cut from recordings of people and kept in
pools. It is a pure function of its spec, the pools and a seed, so that a run can stop and go on.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path

import numpy as np

from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.errors import FileMissing, SynthesisFailed, UnknownPhone
from sonimate.media.files import replacing
from sonimate.media.wav import from_pcm16, to_pcm16
from sonimate.speech.articulation import activations, sample_style
from sonimate.speech.augment import change_speaker, degrade
from sonimate.speech.effort import draw_effort, with_effort
from sonimate.speech.gestures import blinks, brows, head_motion
from sonimate.speech.phones import SILENCE, Phone, Speech, fill_silences, phone_loudness_db
from sonimate.speech.prosody import accents
from sonimate.speech.sentences import sentence
from sonimate.speech.voiceless import voiceless
from sonimate.speech.voices import VOICES, synthesize
from sonimate.types import Waveform

VOICELESS = "voiceless"
"""The kind of utterances in which nobody speaks."""
MEAN_PAUSE_SECONDS, LONGEST_SECONDS = 0.4, 9.0
"""The mean pause between phrases, and the longest utterance: a phrase that would exceed it is left out."""
_MOST_SENTENCES = 30
"""A slow voice may have no sentence short enough for the rest of an utterance."""
_VOICELESS_SECONDS = (5.0, LONGEST_SECONDS)
_PHRASE_PAUSE_SECONDS = 0.3
_MARGIN_SECONDS = 0.06
_SHORTEST_PHRASE_SECONDS, _LONGEST_PHRASE_SECONDS = 0.25, 8.5


@dataclass(frozen=True)
class Phrase:
    """A stretch of speech without long pauses: its sound, contiguous phones from 0, speaker and text."""

    waveform: Waveform
    phones: list[Phone]
    speaker: str
    language: str
    text: str


def cut(waveform: Waveform, phones: list[Phone]) -> list[Speech]:
    """Split at silences of at least 0.3 s, keeping 60 ms of each on both sides."""
    pieces = []
    group: list[Phone] = []
    for phone in [*phones, Phone(SILENCE, waveform.seconds, waveform.seconds + 1)]:
        if phone.symbol != SILENCE or (group and phone.seconds < _PHRASE_PAUSE_SECONDS):
            group.append(phone)
        elif group:
            spoken = group[: -1 if group[-1].symbol == SILENCE else None]
            seconds = spoken[-1].end_seconds - spoken[0].start_seconds
            if _SHORTEST_PHRASE_SECONDS <= seconds <= _LONGEST_PHRASE_SECONDS:
                pieces.append(_piece(waveform, spoken))
            group = []
    return pieces


def _piece(waveform: Waveform, spoken: list[Phone]) -> Speech:
    begin = max(0, round((spoken[0].start_seconds - _MARGIN_SECONDS) * waveform.rate_hz))
    end = round((spoken[-1].end_seconds + _MARGIN_SECONDS) * waveform.rate_hz)
    sound = Waveform(waveform.samples[begin:end], waveform.rate_hz)
    return sound, move(spoken, -begin / waveform.rate_hz)


def move(phones: list[Phone], seconds: float) -> list[Phone]:
    """The phones, later by `seconds`."""
    return [phone.at(phone.start_seconds + seconds, phone.end_seconds + seconds) for phone in phones]


def save_pool(phrases: list[Phrase], rejects: Counter[str], path: Path) -> None:
    """Write phrases, and how many recordings were rejected for which reason, to an npz file."""
    pcm = [to_pcm16(phrase.waveform.samples) for phrase in phrases]
    labels = [
        {
            "speaker": phrase.speaker,
            "language": phrase.language,
            "text": phrase.text,
            "phones": [astuple(phone) for phone in phrase.phones],
        }
        for phrase in phrases
    ]
    _write(
        path,
        samples=np.concatenate([*pcm, np.zeros(0, np.int16)]),
        lengths=np.array([len(sound) for sound in pcm], dtype=np.int64),
        labels=np.array(json.dumps(labels)),
        rejects=np.array(json.dumps(rejects)),
    )


def load_pool(path: Path) -> tuple[list[Phrase], dict[str, int]]:
    """The phrases of a file of `save_pool`, and how many recordings were rejected for which reason."""
    with np.load(path) as file:
        sounds = np.split(file["samples"], np.cumsum(file["lengths"])[:-1])
        labels, rejects = json.loads(str(file["labels"])), json.loads(str(file["rejects"]))
    phrases = [
        Phrase(
            Waveform(from_pcm16(sound), SAMPLE_RATE_HZ),
            [Phone(*phone) for phone in label["phones"]],
            label["speaker"],
            label["language"],
            label["text"],
        )
        for sound, label in zip(sounds, labels, strict=False)
    ]
    return phrases, rejects


@dataclass(frozen=True)
class Spec:
    """The plan of utterance `index`: its kind of voice and, if human, its phrases (language, number)."""

    index: int
    kind: str
    picks: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Utterance:
    """One training example; `save` describes the arrays of `motion`."""

    waveform: Waveform
    phones: list[Phone]
    loudness_db: np.ndarray
    motion: dict[str, np.ndarray]
    facts: dict


def compose(spec: Spec, pools: dict[str, list[Phrase]], seed: int) -> Utterance:
    """The utterance of a spec. Deterministic for (spec, pools, seed)."""
    rng = np.random.default_rng([seed, 1, spec.index])
    facts: dict = {"index": spec.index, "kind": spec.kind, "rejects": {}}
    if spec.kind == VOICELESS:
        waveform = voiceless(rng, rng.uniform(*_VOICELESS_SECONDS))
        facts |= {"language": "", "voice": VOICELESS, "text": ""}
        return _animate(waveform, [Phone(SILENCE, 0.0, waveform.seconds)], facts, rng, effort=0.0)
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
    effort = draw_effort(rng)
    facts |= {"effort": effort.mean, "whispered": effort.whispered}
    waveform = with_effort(waveform, effort, rng)
    utterance = _animate(waveform, phones, facts, rng, effort=effort.mean)
    return replace(utterance, waveform=degrade(waveform, rng))


def _synthesize(kind: str, rng: np.random.Generator) -> tuple[list[Phrase], Counter[str]]:
    """Sentences of one voice until 4.5 .. 7.5 s are spoken, and why sentences were rejected.

    Raises SynthesisFailed if no sentence can be spoken.
    """
    voice = VOICES[kind][rng.integers(len(VOICES[kind]))]
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
            longer = seconds + sound.seconds + MEAN_PAUSE_SECONDS
            if not seconds or longer <= LONGEST_SECONDS:
                seconds = longer
                phrases.append(Phrase(sound, inside, name, voice.language, text))
    if not phrases:
        raise SynthesisFailed(f"{voice.engine} voice {voice.name} spoke none of its sentences: {rejects}")
    return phrases, rejects


def join(phrases: list[Phrase], rng: np.random.Generator) -> Speech:
    """Phrases one after another, each at its own loudness, with pauses of 0.15 .. 0.9 s and silent ends."""
    sounds, phones, at = [], [], 0
    for number, phrase in enumerate(phrases):
        pause = rng.uniform(0.15, 0.9) if number else rng.uniform(0.2, 0.8)
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
    """The samples with both ends faded over 10 ms, so that cuts in the noise of the room do not click."""
    ramp = np.ones(len(samples), np.float32)
    size = min(round(0.01 * SAMPLE_RATE_HZ), len(samples) // 2)
    ramp[:size] = np.linspace(0, 1, size)
    ramp[len(samples) - size :] = np.linspace(1, 0, size)
    return samples * ramp


def _animate(
    waveform: Waveform, phones: list[Phone], facts: dict, rng: np.random.Generator, *, effort: float
) -> Utterance:
    """Mouth, lids, brows and head from the clean sound."""
    seconds = waveform.seconds
    loudness = phone_loudness_db(phones, waveform)
    style = sample_style(rng, effort=effort)
    amplitude = float(np.exp(rng.uniform(np.log(0.15), np.log(2.2))))
    per_minute, brow = float(rng.uniform(10, 25)), float(rng.uniform(0.2, 1))
    prominence = accents(phones, waveform)
    motion = {
        "activations": activations(phones, seconds, style=style, loudness_db=loudness),
        "blink": blinks(phones, seconds, rng, per_minute=per_minute),
        "brow": brows(phones, seconds, rng, amplitude=brow, accents=prominence),
        "head_motion": head_motion(phones, seconds, rng, amplitude=amplitude, accents=prominence),
    }
    facts |= {"seconds": seconds, "style": asdict(style), "head_amplitude": amplitude}
    facts |= {"blinks_per_minute": per_minute, "brow_amplitude": brow}
    return Utterance(waveform, phones, loudness, motion, facts)


def save(utterance: Utterance, path: Path) -> None:
    """Write npz: samples int16 (16 kHz); at 25 Hz activations (n, 7), blink (n,), brow (n,), head_motion
    (n, 6), all float32; phone_symbols, phone_starts, phone_ends (seconds), phone_stressed,
    phone_loudness_db; facts, a JSON string.

    The file appears only when complete. Raises OutputNotWritable."""
    phones = utterance.phones
    _write(
        path,
        **utterance.motion,
        samples=to_pcm16(utterance.waveform.samples),
        phone_symbols=np.array([phone.symbol for phone in phones]),
        phone_starts=np.array([phone.start_seconds for phone in phones], np.float32),
        phone_ends=np.array([phone.end_seconds for phone in phones], np.float32),
        phone_stressed=np.array([phone.stressed for phone in phones]),
        phone_loudness_db=utterance.loudness_db.astype(np.float32),
        facts=np.array(json.dumps(utterance.facts, ensure_ascii=False)),
    )


def _write(path: Path, **arrays: np.ndarray) -> None:
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def facts_of(path: Path) -> dict:
    """The facts of a saved utterance."""
    with np.load(path) as file:
        return json.loads(str(file["facts"]))


def utterance_path(folder: Path, index: int) -> Path:
    return folder / f"{index:04d}.npz"


def find_utterances(folder: Path) -> list[Path]:
    """The utterances of a folder, in order. Raises FileMissing when there is none."""
    found = finished_utterances(folder)
    if not found:
        raise FileMissing(
            f"{folder} holds no utterances. Make them with `sonimate speech`, or leave --speech out."
        )
    return found


def finished_utterances(folder: Path) -> list[Path]:
    """The complete utterances: files that are being written have other, hidden names."""
    return sorted(folder.glob("[0-9]*[0-9].npz"))
