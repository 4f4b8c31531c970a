"""Phone names, prominence, augmentation and utterances, from sounds made here: no speech engine needed."""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from sonimate.clock import SAMPLE_RATE_HZ as RATE_HZ
from sonimate.errors import SynthesisFailed, UnknownPhone
from sonimate.speech import espeak, utterances, voices
from sonimate.speech.augment import change_speaker, degrade
from sonimate.speech.corpus import SHARES, plan_utterances
from sonimate.speech.phones import (
    INVENTORY,
    Phone,
    fill_silences,
    from_ipa,
    from_radio,
    mark_stress,
    phone_loudness_db,
    split_silences,
)
from sonimate.speech.sentences import LANGUAGES, sentence
from sonimate.speech.utterances import Phrase, Spec, Utterance, compose, cut, join, save
from sonimate.types import Waveform


def tones(*parts: tuple[str, float, float]) -> tuple[Waveform, list[Phone]]:
    """(symbol, seconds, amplitude) -> buzz of those amplitudes and the phones."""
    samples, phones, at = [], [], 0.0
    for symbol, seconds, amplitude in parts:
        times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        samples.append(amplitude * np.sign(np.sin(2 * np.pi * 140 * times)))
        phones.append(Phone(symbol, at, at + seconds))
        at += seconds
    return Waveform(np.concatenate(samples).astype(np.float32), RATE_HZ), phones


def phrase(seed: int) -> Phrase:
    rng = np.random.default_rng(seed)
    middle = ((s, float(rng.uniform(0.06, 0.2)), 0.3) for s in ("m", "aa", "b", "iy", "f", "uw", "p", "eh"))
    waveform, phones = tones(("sil", 0.06, 0.0), *middle, ("sil", 0.06, 0.0))
    return Phrase(waveform, phones, "buzz", "en", f"phrase {seed}")


@pytest.mark.parametrize(
    ("ipa", "symbols"),
    [
        ("h_ə_l_ˈoʊ", ["hh", "ax", "l", "ow"]),
        ("tʃ", ["ch"]),
        ("b_ɔ̃_ʒ_ˈu_ʁ", ["b", "on", "zh", "uw", "rh"]),
        ("ʃˈøːn", ["sh", "oe", "n"]),
        ("dʲ_ˈi_tʲ", ["d", "iy", "t"]),
        ("", []),
    ],
)
def test_ipa_names(ipa, symbols):
    assert from_ipa(ipa) == symbols


def test_a_voice_without_a_short_enough_sentence_ends_its_utterance(monkeypatch):
    """Each sentence lasts 4.4 s: one is fewer seconds than wanted, two are more than it may last."""
    waveform, phones = tones(
        ("sil", 0.06, 0.0), *(("m", 0.22, 0.3), ("aa", 0.22, 0.3)) * 10, ("sil", 0.06, 0.0)
    )
    monkeypatch.setattr(utterances, "synthesize", lambda *_, **__: (waveform, phones))
    utterance = compose(Spec(0, "espeak"), {}, seed=0)
    assert 4.4 < utterance.waveform.seconds < 8


def test_a_voice_that_cannot_speak_is_an_error(monkeypatch):
    def fail(*_, **__):
        raise SynthesisFailed("mute")

    monkeypatch.setattr(utterances, "synthesize", fail)
    with pytest.raises(SynthesisFailed, match="mute"):
        compose(Spec(0, "espeak"), {}, seed=0)


def engine_that_hangs_at(*calls: int, loud: np.ndarray, times: list[float], names: list[str]):
    """A stand-in for subprocess.run: espeak-ng, which speaks the same at each call and hangs at some."""
    number = iter(range(1000))

    def run(command: list[str], *, timeout: float, **_: object) -> subprocess.CompletedProcess:
        if next(number) in calls:
            raise subprocess.TimeoutExpired(command, timeout)
        np.savez(command[-1], samples=loud, rate_hz=RATE_HZ, times=times, names=names)
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    return run


def spoken_by(monkeypatch: pytest.MonkeyPatch, *hangs_at: int) -> Utterance:
    """An utterance by an espeak that hangs at these of its calls."""
    waveform, phones = tones(*(("m", 0.1, 0.3), ("aa", 0.1, 0.3)) * 10)
    events = {"times": [phone.start_seconds for phone in phones], "names": ["m", "ɑ"] * 10}
    loud = (waveform.samples * 32767).astype(np.int16)
    monkeypatch.setattr(espeak.subprocess, "run", engine_that_hangs_at(*hangs_at, loud=loud, **events))
    monkeypatch.setattr(voices, "require_engines", lambda *_: None)
    return compose(Spec(0, "espeak"), {}, seed=0)


def test_a_sentence_at_which_the_engine_hangs_is_rejected_and_counted_and_the_next_one_is_spoken(monkeypatch):
    """Both tries at the second sentence hang."""
    first, again = (spoken_by(monkeypatch, 1, 2) for _ in range(2))
    (reason,) = first.facts["rejects"]
    assert "did not end within" in reason
    assert first.facts["rejects"] == again.facts["rejects"] == {reason: 1}
    np.testing.assert_array_equal(first.waveform.samples, again.waveform.samples)


def test_an_engine_that_answers_at_the_second_try_changes_nothing(monkeypatch):
    """A machine that is busy for a while makes the same corpus."""
    busy, idle = spoken_by(monkeypatch, 1), spoken_by(monkeypatch)
    assert busy.facts == idle.facts
    assert not busy.facts["rejects"]
    np.testing.assert_array_equal(busy.waveform.samples, idle.waveform.samples)


def test_a_program_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(espeak, "TRIES_SECONDS", (0.01, 0.02))
    with pytest.raises(SynthesisFailed, match="slow voice did not end within"):
        espeak.run_engine("slow voice", [sys.executable, "-c", "import time; time.sleep(600)"])


def test_unknown_names_are_errors_that_show_the_name():
    with pytest.raises(UnknownPhone, match="U\\+2603"):
        from_ipa("a☃")
    with pytest.raises(UnknownPhone, match="zz9"):
        from_radio("zz9")
    assert from_radio("pau") == "sil"
    assert from_radio("axr") in INVENTORY


def test_stress_goes_to_the_louder_and_longer_vowels_and_never_to_schwa():
    waveform, phones = tones(
        ("t", 0.08, 0.1),
        ("ah", 0.08, 0.1),
        ("t", 0.08, 0.1),
        ("aa", 0.2, 0.5),
        ("ax", 0.2, 0.5),
        ("ih", 0.07, 0.1),
    )
    stressed = [phone.symbol for phone in mark_stress(phones, waveform) if phone.stressed]
    assert stressed == ["aa"]


def test_loudness_is_relative_to_the_median_vowel_and_ignores_the_level():
    waveform, phones = tones(("aa", 0.2, 0.2), ("aa", 0.2, 0.2), ("aa", 0.2, 0.1))
    louder = Waveform(waveform.samples * 4, RATE_HZ)
    loudness = phone_loudness_db(phones, waveform)
    np.testing.assert_allclose(loudness[0], 0.0, atol=0.2)
    assert loudness[2] == pytest.approx(-6.0, abs=0.5)
    np.testing.assert_allclose(loudness, phone_loudness_db(phones, louder), atol=1e-3)


def test_a_pause_inside_a_phone_becomes_silence_and_the_phones_stay_contiguous():
    waveform, _ = tones(("aa", 0.3, 0.5), ("sil", 0.4, 0.0), ("m", 0.3, 0.5))
    labels = [Phone("aa", 0.0, 0.5), Phone("m", 0.5, 1.0)]
    found = split_silences(labels, waveform)
    assert [phone.symbol for phone in found] == ["aa", "sil", "m"]
    assert found[1].start_seconds == pytest.approx(0.3, abs=0.02)
    assert found[1].end_seconds == pytest.approx(0.7, abs=0.02)
    assert found[0].start_seconds == 0
    assert found[-1].end_seconds == pytest.approx(1.0)
    for left, right in pairwise(found):
        assert left.end_seconds == pytest.approx(right.start_seconds)


def test_a_stop_that_begins_a_phrase_keeps_its_silent_closure():
    waveform, _ = tones(("sil", 0.4, 0.0), ("aa", 0.4, 0.5))
    found = split_silences([Phone("p", 0.3, 0.4), Phone("aa", 0.4, 0.8)], waveform)
    assert [phone.symbol for phone in found] == ["sil", "p", "aa"]
    assert found[1].seconds == pytest.approx(0.04, abs=0.01)


def test_phrases_are_cut_at_long_pauses_only():
    waveform, phones = tones(
        ("sil", 0.5, 0),
        ("aa", 0.4, 0.3),
        ("sil", 0.2, 0),
        ("iy", 0.4, 0.3),
        ("sil", 0.6, 0),
        ("uw", 0.4, 0.3),
    )
    pieces = cut(waveform, phones)
    assert [[p.symbol for p in inside] for _, inside in pieces] == [["aa", "sil", "iy"], ["uw"]]
    for sound, inside in pieces:
        assert inside[0].start_seconds == pytest.approx(0.06, abs=1e-3)
        assert inside[-1].end_seconds <= sound.seconds + 1e-6


def test_changing_the_speaker_scales_sound_and_times_alike():
    waveform, phones = tones(("sil", 0.5, 0.0), ("aa", 0.5, 0.5), ("sil", 0.5, 0.0))
    faster, times = change_speaker(waveform, phones, 1.25)
    assert faster.seconds == pytest.approx(1.2, abs=0.01)
    inside = slice(
        int((times[1].start_seconds + 0.02) * RATE_HZ), int((times[1].end_seconds - 0.02) * RATE_HZ)
    )
    assert np.abs(faster.samples[inside]).mean() > 0.4
    assert np.abs(faster.samples[: inside.start - 800]).max() < 0.05


@pytest.mark.parametrize("seed", range(6))
def test_degrading_keeps_length_and_onset(seed):
    waveform, _ = tones(("sil", 0.5, 0.0), ("aa", 0.5, 0.5), ("sil", 0.5, 0.0))
    heard = degrade(waveform, np.random.default_rng(seed))
    assert len(heard.samples) == len(waveform.samples)
    assert np.abs(heard.samples).max() <= 1
    level = np.array([np.sqrt(np.mean(block**2)) for block in heard.samples.reshape(-1, 400)])
    assert np.argmax(level > level.max() / 2) * 400 / RATE_HZ == pytest.approx(0.5, abs=0.06)


def test_joined_phrases_have_pauses_and_contiguous_phones():
    waveform, phones = join([phrase(0), phrase(1)], np.random.default_rng(0))
    assert phones[0].symbol == phones[-1].symbol == "sil"
    assert phones[-1].end_seconds == pytest.approx(waveform.seconds, abs=1e-6)
    for left, right in pairwise(phones):
        assert left.end_seconds == pytest.approx(right.start_seconds, abs=1e-6)
    level = np.abs(waveform.samples)
    for phone in phones:
        span = level[int(phone.start_seconds * RATE_HZ) + 200 : int(phone.end_seconds * RATE_HZ) - 200]
        assert span.max() < 1e-6 if phone.symbol == "sil" else span.mean() > 0.05


def test_no_phrase_is_dealt_twice_before_all_were_dealt():
    pools = {"en": [phrase(seed) for seed in range(200)]}
    picks = [number for spec in plan_utterances(pools, 60, seed=3) for _, number in spec.picks]
    assert len(set(picks[:200])) == min(len(picks), 200)
    assert plan_utterances(pools, 60, seed=3) == plan_utterances(pools, 60, seed=3)


def test_an_utterance_is_a_function_of_its_seed_and_its_arrays_agree(tmp_path):
    pools = {"en": [phrase(seed) for seed in range(8)]}
    spec = Spec(5, "human", tuple(("en", k) for k in range(5)))
    first, again, other = (compose(spec, pools, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.waveform.samples, again.waveform.samples)
    assert not np.array_equal(first.waveform.samples[:8000], other.waveform.samples[:8000])
    save(first, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        frames = round(len(file["samples"]) / RATE_HZ * 25)
        assert file["samples"].dtype == np.int16
        assert {name: file[name].shape for name in ("activations", "blink", "brow", "head_motion")} == {
            "activations": (frames, 7),
            "blink": (frames,),
            "brow": (frames,),
            "head_motion": (frames, 6),
        }
        assert len(file["phone_symbols"]) == len(file["phone_starts"]) == len(file["phone_loudness_db"])
        facts = json.loads(str(file["facts"]))
        np.testing.assert_array_equal(file["activations"], again.motion["activations"])
    assert facts["kind"] == "human"
    assert facts["voice"] == "buzz"


def test_nobody_speaks_in_a_voiceless_utterance_but_the_face_lives():
    utterance = compose(Spec(7, "voiceless"), {}, seed=0)
    assert [phone.symbol for phone in utterance.phones] == ["sil"]
    assert not utterance.motion["activations"].any()
    assert utterance.motion["head_motion"].std() > 0
    kinds = {spec.kind for spec in plan_utterances({"en": [phrase(0)]}, 60, seed=3)}
    assert kinds == set(SHARES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_varied_seeded_and_filled(language):
    rng = np.random.default_rng(0)
    spoken = [sentence(language, rng) for _ in range(100)]
    assert len(set(spoken)) > 85
    assert spoken[0] == sentence(language, np.random.default_rng(0))
    assert not any(word.strip("¿?.,!") in tuple("ANVPTQW") for text in spoken for word in text.split()[1:])
    assert fill_silences([], 1.0) == [Phone("sil", 0.0, 1.0)]
