"""Sentences to speak: a seeded generator over our own word lists, rich in lip consonants and round vowels."""

from __future__ import annotations

import numpy as np

# Lists of each language: A adjective, N noun, V verb, P place or manner, T time, W who, Q a short remark; and
# templates, whose letters name these lists. Several rows of one name are one list.
_ROWS = """
en A: brave; moody; purple; fluffy; wobbly; humble; vivid; smooth; empty; mighty; awful; pale; thick; yellow
en A: shabby; joyful; feeble; warm; tiny; charming; rough; proper; bumpy; foolish; heavy; obvious
en N: baboon; pepper; movie; village; mushroom; window; boat; teapot; wolf; puppy; valve; five; moth; broom
en N: camera; pumpkin; feather; shovel; beaver; marble; uncle; author; garage; yacht; planet; queen; pyjama
en N: thumb; bishop; toy; oboe; hour; chapel; wheel; bamboo; fever; match; zoo; farmer; view
en V: moved; bought; forgave; approved; measured; wrapped; borrowed; followed; believed in; pushed; found
en V: washed; admired; removed; thought about; shoved; named; chose; employed; combed; heard; viewed; saw
en P: by the frozen river; above Bombay; in the living room; from Paris to Moscow; beside my bathroom
en P: over the bridge; behind the museum; under the apple trees; near the choir; on the wharf; at home
en P: beyond the fog; through the warm wood; up a steep hill
en T: every February; before noon; at five past seven; on Wednesday evening; for a whole month; just now
en T: twice this week; after the storm; once upon a time; by tomorrow morning; all day long
en Q: oh boy; what a fuss; maybe we should move; who would have thought so; very few people know
en Q: please be good to me; that was fabulous; I am fine; thank you very much; where are you off to
en Q: give me five more minutes; you would be wrong; pay for both of them; look out below; how sublime
en W: we; you; my brother; Emma and Bob; the mayor; Olivia; both of us; a famous woman; his father
en templates: The A N V the A N P.; W V a A N T.; T W V W and the A N.; Q, because W V my N!
en templates: Would W ever have a A N P?; Q. Q.; Not one N, but five or more A N and N P.
en templates: If W V it T, the N above the N will be A.; Why do you move the N and the A N P?
en templates: Put a N, a N, and a A N P T.
es N: el pueblo; la mariposa; un buen vino; el amigo; la paloma; mi abuela; el bombero; la ventana; el huevo
es N: una nube; el mundo; la música; un zapato; el faro; la lluvia; el jamón; la mujer; el oso pequeño
es V: busca; prueba; mueve; conoce; compra; pone; guarda; olvida; llama; cuida; quiere; observa
es P: por la mañana; en el jardín; bajo el puente; con mucho humo; en Bolivia; sobre la mesa; al fin
es P: a las nueve; junto al fuego; cada febrero
es Q: vamos a ver; muy bien; qué bonito; no me importa; hasta luego amigo; puede ser; buenos días
es templates: N V N P.; Q, N V N.; P, N y N no V N.; ¿Por qué N V N P?
fr N: le voisin; une pomme verte; mon vieux bateau; la lune; un beau livre; le pompier; ma famille; la rue
fr N: deux oeufs; le feu; un papillon bleu; la musique; le pain; une voiture; mes amis; la jeune femme
fr V: trouve; mange; prépare; veut; promène; oublie; pousse; aime beaucoup; voit; peut vendre; ouvre
fr P: devant le musée; à neuf heures; sous la pluie; depuis lundi; en bas du pont; avec plaisir
fr P: dans le jardin; au mois de février; près du feu; tout doucement
fr Q: mais oui; bonjour madame; je ne sais pas; c'est parfait; un peu plus tard; bien entendu; vous voyez
fr templates: N V N P.; Q, N V N.; P, N et N V N.; Pourquoi N V N P?
it N: il bambino; una pipa; la mamma; il vapore; un uovo; la famiglia; il fiume; la pioggia; un gnomo buffo
it N: il ponte; la farfalla; il nuovo amico; una bomboniera; lo specchio; la chiave; il pomodoro; la zuppa
it V: prova; vuole; compra; muove; porta; ama; vede; chiama; trova; beve; osserva; mette via
it P: a mezzogiorno; sopra il tavolo; in febbraio; nel bosco; vicino al mare; dopo pranzo; con pazienza
it P: ogni mattina; fuori Bologna; sotto il sole
it Q: va bene; buongiorno a tutti; che bello; non importa; forse domani; pronto; come vuoi tu; ma dai
it templates: N V N P.; Q, N V N.; P, N e N V N.; Perché N V N P?
ru N: моя бабушка; большой пароход; новый дом; белый голубь; молодой повар; рыба; мама; красивый мост
ru N: зимний вечер; умный волк; яблоко; папа; море; жёлтый фонарь; музыка; ваша подруга
ru V: любит; покупает; видит; помнит; поёт про; ищет; обнимает; забывает; приводит; зовёт
ru P: по утрам; у моря; под мостом; в феврале; на большой площади; после обеда; во дворе; за углом
ru P: очень быстро; в Москве
ru Q: добрый вечер; всё понятно; может быть; пожалуйста; вот это да; ну хорошо; боже мой; как вам угодно
ru templates: N V N P.; Q, N V N.; P N и N, N V N.; Почему N V N P?
de N: der Apfelbaum; meine Oma; ein blaues Boot; die Familie; das weiße Pferd; der Bäcker; eine Brücke
de N: der Mond; das Buch; die Pfanne; ein böser Wolf; der Fluss; die Musik; unser Vater; das Fenster
de V: bewegt; findet; braucht; öffnet; umarmt; kauft; vergisst; bemerkt; wäscht; lobt; möchte; pflückt
de P: am Morgen; über dem Wasser; im Februar; vor dem Haus; bei Hamburg; um fünf Uhr; unter dem Baum
de P: auf dem Berg; ohne Mühe; jede Woche
de Q: guten Abend; wie schön; vielen Dank; das ist möglich; bitte sehr; auf Wiedersehen; ach so; na wunderbar
de templates: N V N P.; Q, N V N.; P V N N und N.; Warum V N N P?
"""
_LISTS: dict[str, list[str]] = {}
for _row in _ROWS.strip().splitlines():
    _name, _items = _row.split(": ")
    _LISTS.setdefault(_name, []).extend(_items.split("; "))
LANGUAGES = tuple(dict.fromkeys(name.split()[0] for name in _LISTS))


def sentence(language: str, rng: np.random.Generator) -> str:
    """One pronounceable sentence in `language` (ISO 639-1, one of LANGUAGES)."""
    template = str(rng.choice(_LISTS[f"{language} templates"]))
    spoken = " ".join(_fill(token, language, rng) for token in template.split(" "))
    return spoken[0].upper() + spoken[1:]


def _fill(token: str, language: str, rng: np.random.Generator) -> str:
    """A template letter (with its punctuation) -> a random entry of its list; other tokens unchanged."""
    letter = token.strip("¿?.,!")
    words = _LISTS.get(f"{language} {letter}")
    return token.replace(letter, str(rng.choice(words))) if words else token
