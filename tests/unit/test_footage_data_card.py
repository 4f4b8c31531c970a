"""The data card names every clip and every voice, with terms."""

import json
from pathlib import Path

import pytest

from sonimate.apps.cli import main
from sonimate.footage.clip_id import ClipId
from sonimate.footage.data_card import NOT_STATED
from sonimate.footage.sample import RESULTS_VERSION
from sonimate.footage.shards import CLIPS, REJECTED, write_shards
from sonimate.speech.recordings import ASTERISK_FOLDERS
from sonimate.speech.utterances import VOICELESS
from sonimate.speech.voice_terms import SOURCES, source_of_voice
from sonimate.speech.voices import VOICES

GRID = "CC BY 4.0; Cooke and others"


def write_record(folder: Path, name: str, speaker: str, terms: str, **facts: object) -> Path:
    clip = ClipId(name)
    record = {
        "version": RESULTS_VERSION,
        "clip": str(clip),
        "source": name,
        "speaker": speaker,
        "collection": "grid" if terms else "web",
        "terms": terms,
        "start_seconds": 0.0,
        "frames": 75,
        "fps": 25.0,
        "rejection": None,
        **facts,
    }
    (folder / f"{clip.key}.json").write_text(json.dumps(record))
    return folder / clip.key


def lag(late_ms: float) -> dict[str, object]:
    return {"r": 0.9, "lag_ms": late_ms, "confidence": 0.6, "delay_ms": late_ms, "by": "own lag"}


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three clips of two speakers, and a rejected one whose terms nobody stated."""
    folder = tmp_path / "shards"
    folder.mkdir()
    clips = [
        write_record(folder, "a.mpg", "s1", GRID, sync=lag(10.0)),
        write_record(folder, "b.mpg", "s1", GRID, sync=lag(-20.0)),
        write_record(folder, "c.mpg", "s2", GRID, sync=lag(4.0)),
    ]
    rejection = {"stage": "speech", "reason": "music", "detail": "pause ratio 0.09"}
    rejected = [write_record(folder, "d.mp4", "s3", "", rejection=rejection)]
    write_shards(folder, CLIPS, clips, max_bytes=1 << 30)
    write_shards(folder, REJECTED, rejected, max_bytes=1 << 30)
    return folder


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    folder = tmp_path / "speech"
    folder.mkdir()
    voices = [("flite/slt", "en"), ("flite/rms", "en"), ("it_IT_m_Carlo", "it"), (VOICELESS, "")]
    manifest = {
        "minutes": 4.0,
        "utterances": [{"voice": voice, "language": language, "seconds": 60.0} for voice, language in voices],
        "rejected_sentences": {"UnknownPhone: x": 2},
        "rejected_recordings": {"it": {"no vowel found": 6}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_card_lists_clips_by_speaker_with_terms_lags_and_rejections(shards, speech, tmp_path):
    card = tmp_path / "card.md"
    assert main(["footage", "data-card", str(shards), "--speech", str(speech), "-o", str(card)]) == 0
    lines = card.read_text().splitlines()
    assert f"| grid | {GRID} | 3 | 9.0 | 0 |" in lines
    assert f"| web | {NOT_STATED} | 0 | 0.0 | 1 |" in lines
    assert "| s1 | 2 | 6.0 | -5 +- 15 | 0.90 |" in lines
    assert "| s2 | 1 | 3.0 | +4 | 0.90 |" in lines
    assert sum("| own lag |" in line for line in lines) == 3
    assert "| d.mp4 | speech | music | pause ratio 0.09 |" in lines
    assert any(line.startswith("| flite | Carnegie") and line.endswith("| 2 | 2.0 |") for line in lines)
    assert "| Asterisk core sounds, Italian | Carlo Flora | CC BY 3.0 | 1 | 1.0 |" in lines
    assert "| none | 1.0 |" in lines
    assert "| recordings, it | no vowel found | 6 |" in lines
    assert "| sentences | UnknownPhone: x | 2 |" in lines


def test_speech_that_is_not_finished_is_an_error_for_users(shards, tmp_path, capsys):
    command = ["footage", "data-card", str(shards), "--speech", str(tmp_path), "-o", str(tmp_path / "x.md")]
    assert main(command) == 2
    assert "manifest.json does not exist" in capsys.readouterr().err
    assert not (tmp_path / "x.md").exists()


def test_every_voice_of_a_corpus_has_terms():
    made = {f"{voice.engine}/{voice.name}" for voices in VOICES.values() for voice in voices}
    sources = {
        source_of_voice(name) for name in made | {*ASTERISK_FOLDERS.values(), "librivox", "cards", VOICELESS}
    }
    assert sources == set(SOURCES)
    with pytest.raises(KeyError):
        source_of_voice("somebody")
