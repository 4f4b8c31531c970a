"""Sentences to speak: a seeded generator over our own word lists, rich in lip consonants and round vowels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class _Grammar:
    """Word lists of one language and templates that name them by letter.

    A adjective, N noun, V verb, P place or manner, T time, W who, Q a whole short remark.
    """

    words: dict[str, tuple[str, ...]]
    templates: tuple[str, ...]


def _lists(**rows: str) -> dict[str, tuple[str, ...]]:
    return {letter: tuple(item.strip() for item in row.split(",")) for letter, row in rows.items()}


_ENGLISH = _Grammar(
    _lists(
        A="brave, moody, purple, fluffy, wobbly, humble, vivid, smooth, empty, mighty, awful, pale, thick, "
        "yellow, shabby, joyful, feeble, warm, tiny, charming, rough, proper, bumpy, foolish, heavy, obvious",
        N="baboon, pepper, movie, village, mushroom, window, boat, teapot, wolf, puppy, valve, five, moth, "
        "broom, camera, pumpkin, feather, shovel, beaver, marble, uncle, author, garage, yacht, planet, "
        "queen, "
        "pyjama, thumb, bishop, toy, oboe, hour, chapel, wheel, bamboo, fever, match, zoo, farmer, view",
        V="moved, bought, forgave, approved, measured, wrapped, borrowed, followed, believed in, pushed, "
        "found, "
        "washed, admired, removed, thought about, shoved, named, chose, employed, combed, heard, viewed, saw",
        P="by the frozen river, above Bombay, in the living room, from Paris to Moscow, beside my bathroom, "
        "over the bridge, behind the museum, under the apple trees, near the choir, on the wharf, at home, "
        "beyond the fog, through the warm wood, up a steep hill",
        T="every February, before noon, at five past seven, on Wednesday evening, for a whole month, "
        "just now, twice this week, after the storm, once upon a time, by tomorrow morning, all day long",
        Q="oh boy, what a fuss, maybe we should move, who would have thought so, very few people know, "
        "please be good to me, that was fabulous, I am fine, thank you very much, where are you off to, "
        "give me five more minutes, you would be wrong, pay for both of them, look out below, how sublime",
        W="we, you, my brother, Emma and Bob, the mayor, Olivia, both of us, a famous woman, his father",
    ),
    (
        "The A N V the A N P.",
        "W V a A N T.",
        "T W V W and the A N.",
        "Q, because W V my N!",
        "Would W ever have a A N P?",
        "Q. Q.",
        "Not one N, but five or more A N and N P.",
        "If W V it T, the N above the N will be A.",
        "Why do you move the N and the A N P?",
        "Put a N, a N, and a A N P T.",
    ),
)
_SPANISH = _Grammar(
    _lists(
        N="el pueblo, la mariposa, un buen vino, el amigo, la paloma, mi abuela, el bombero, la ventana, "
        "el huevo, "
        "una nube, el mundo, la música, un zapato, el faro, la lluvia, el jamón, la mujer, el oso pequeño",
        V="busca, prueba, mueve, conoce, compra, pone, guarda, olvida, llama, cuida, quiere, observa",
        P="por la mañana, en el jardín, bajo el puente, con mucho humo, en Bolivia, sobre la mesa, al fin, "
        "a las nueve, junto al fuego, cada febrero",
        Q="vamos a ver, muy bien, qué bonito, no me importa, hasta luego amigo, puede ser, buenos días",
    ),
    ("N V N P.", "Q, N V N.", "P, N y N no V N.", "¿Por qué N V N P?"),
)
_FRENCH = _Grammar(
    _lists(
        N="le voisin, une pomme verte, mon vieux bateau, la lune, un beau livre, le pompier, ma famille, "
        "la rue, "
        "deux oeufs, le feu, un papillon bleu, la musique, le pain, une voiture, mes amis, la jeune femme",
        V="trouve, mange, prépare, veut, promène, oublie, pousse, aime beaucoup, voit, peut vendre, ouvre",
        P="devant le musée, à neuf heures, sous la pluie, depuis lundi, en bas du pont, avec plaisir, "
        "dans le jardin, au mois de février, près du feu, tout doucement",
        Q="mais oui, bonjour madame, je ne sais pas, c'est parfait, un peu plus tard, bien entendu, "
        "vous voyez",
    ),
    ("N V N P.", "Q, N V N.", "P, N et N V N.", "Pourquoi N V N P?"),
)
_ITALIAN = _Grammar(
    _lists(
        N="il bambino, una pipa, la mamma, il vapore, un uovo, la famiglia, il fiume, la pioggia, "
        "un gnomo buffo, "
        "il ponte, la farfalla, il nuovo amico, una bomboniera, lo specchio, la chiave, il pomodoro, "
        "la zuppa",
        V="prova, vuole, compra, muove, porta, ama, vede, chiama, trova, beve, osserva, mette via",
        P="a mezzogiorno, sopra il tavolo, in febbraio, nel bosco, vicino al mare, dopo pranzo, "
        "con pazienza, "
        "ogni mattina, fuori Bologna, sotto il sole",
        Q="va bene, buongiorno a tutti, che bello, non importa, forse domani, pronto, come vuoi tu, ma dai",
    ),
    ("N V N P.", "Q, N V N.", "P, N e N V N.", "Perché N V N P?"),
)
_RUSSIAN = _Grammar(
    _lists(
        N="моя бабушка, большой пароход, новый дом, белый голубь, молодой повар, рыба, мама, красивый мост, "
        "зимний вечер, умный волк, яблоко, папа, море, жёлтый фонарь, музыка, ваша подруга",
        V="любит, покупает, видит, помнит, поёт про, ищет, обнимает, забывает, приводит, зовёт",
        P="по утрам, у моря, под мостом, в феврале, на большой площади, после обеда, во дворе, за углом, "
        "очень быстро, в Москве",
        Q="добрый вечер, всё понятно, может быть, пожалуйста, вот это да, ну хорошо, боже мой, "
        "как вам угодно",
    ),
    ("N V N P.", "Q, N V N.", "P N и N, N V N.", "Почему N V N P?"),
)
_GERMAN = _Grammar(
    _lists(
        N="der Apfelbaum, meine Oma, ein blaues Boot, die Familie, das weiße Pferd, der Bäcker, eine Brücke, "
        "der Mond, das Buch, die Pfanne, ein böser Wolf, der Fluss, die Musik, unser Vater, das Fenster",
        V="bewegt, findet, braucht, öffnet, umarmt, kauft, vergisst, bemerkt, wäscht, lobt, möchte, pflückt",
        P="am Morgen, über dem Wasser, im Februar, vor dem Haus, bei Hamburg, um fünf Uhr, unter dem Baum, "
        "auf dem Berg, ohne Mühe, jede Woche",
        Q="guten Abend, wie schön, vielen Dank, das ist möglich, bitte sehr, auf Wiedersehen, ach so, "
        "na wunderbar",
    ),
    ("N V N P.", "Q, N V N.", "P V N N und N.", "Warum V N N P?"),
)
_GRAMMARS = {"en": _ENGLISH, "es": _SPANISH, "fr": _FRENCH, "it": _ITALIAN, "ru": _RUSSIAN, "de": _GERMAN}
LANGUAGES = tuple(_GRAMMARS)


def sentence(language: str, rng: np.random.Generator) -> str:
    """One pronounceable sentence in `language` (ISO 639-1, one of LANGUAGES)."""
    grammar = _GRAMMARS[language]
    template = rng.choice(grammar.templates)
    spoken = " ".join(_fill(token, grammar, rng) for token in template.split(" "))
    return spoken[0].upper() + spoken[1:]


def _fill(token: str, grammar: _Grammar, rng: np.random.Generator) -> str:
    """A template letter (with its punctuation) -> a random entry of its list; other tokens unchanged."""
    letter = token.strip("¿?.,!")
    return token.replace(letter, str(rng.choice(grammar.words[letter]))) if letter in grammar.words else token
