"""Whose voices synthetic speech uses, and under which terms (from the `copyright` files of Debian 12)."""

from __future__ import annotations

from dataclasses import dataclass

from sonimate.speech.utterances import VOICELESS

FREE = "free use, change and distribution if the notice is kept"
BY_SA = "CC BY-SA 3.0"
BY = "CC BY 3.0"


@dataclass(frozen=True)
class VoiceSource:
    """voices: what the names of its voices in a manifest begin with. holder: who made it. terms: of its
    use."""

    voices: str
    name: str
    holder: str
    terms: str


SOURCES = (
    VoiceSource("en_US_f_Allison", "Asterisk core sounds, English", "Allison Smith", BY_SA),
    VoiceSource("es_MX_f_Allison", "Asterisk core sounds, Spanish", "Allison Smith", BY_SA),
    VoiceSource("fr_CA_f_June", "Asterisk core sounds, French", "June Wallack", BY_SA),
    VoiceSource("it_IT_m_Carlo", "Asterisk core sounds, Italian", "Carlo Flora", BY),
    VoiceSource("ru_RU_f_IvrvoiceRU", "Asterisk core sounds, Russian", "Maxim Topal", BY),
    VoiceSource("librivox", "LibriVox reading, in pocketsphinx-testdata", "LibriVox", "public domain"),
    VoiceSource(
        "cards", "names of cards, in pocketsphinx-testdata", "Carnegie Mellon University", "BSD, 2 clauses"
    ),
    VoiceSource("flite/", "flite", "Carnegie Mellon University", FREE),
    VoiceSource(
        "festival/cmu_us_slt_arctic_hts",
        "festvox-us-slt-hts",
        "Carnegie Mellon University, Nagoya Institute of Technology",
        f"{FREE}; BSD, 3 clauses",
    ),
    VoiceSource("festival/kal_diphone", "festvox-kallpc16k", "A. W. Black and K. Lenzo", FREE),
    VoiceSource(
        "espeak/",
        "espeak-ng",
        "J. Duddington, R. H. Dunn and others",
        "computed by formulas; the program is under the GPL 3, its sound is not",
    ),
    VoiceSource(VOICELESS, "sounds without a voice", "this project", "computed"),
)
"""Every voice of a corpus belongs to one of them."""


def source_of_voice(voice: str) -> VoiceSource:
    """The source of a voice of a manifest. Raises KeyError."""
    for source in SOURCES:
        if voice.startswith(source.voices):
            return source
    raise KeyError(voice)
