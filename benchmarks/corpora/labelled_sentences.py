"""Sentences of known languages: Tatoeba, the Declaration of Human Rights, news.

The corpora are halved by line: on the even lines is chosen and counted, on the
odd ones reported.
"""

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from labse.languages import LABSE_LANGUAGES, language_tag, primary_language

CHOICE, REPORT = 0, 1  # halves
# In our tags Norwegian is Bokmål.
LANGUAGES = (LABSE_LANGUAGES - {"no"}) | {"nb"}
_MOST_SENTENCES = 500  # of a language and corpus in one half

# ISO 639-3 of Tatoeba's files -> our tags, where they differ.
_TATOEBA = dict(
    pair.split(":")
    for pair in (
        "afr:af amh:am ara:ar aze:az bel:be ben:bn bos:bs bre:br bul:bg cat:ca "
        "ces:cs cmn:zh cor:kw cym:cy dan:da deu:de ell:el eng:en epo:eo est:et "
        "eus:eu fao:fo fin:fi fra:fr fry:fy gla:gd gle:ga glg:gl heb:he hin:hi "
        "hrv:hr hun:hu hye:hy ido:io ile:ie ina:ia ind:id isl:is ita:it jav:jv "
        "jpn:ja kat:ka kaz:kk khm:km kor:ko kur:ku lat:la lit:lt lvs:lv mal:ml "
        "mar:mr mkd:mk mon:mn nld:nl nno:nn nob:nb oci:oc pes:fa pol:pl por:pt "
        "ron:ro rus:ru slk:sk slv:sl spa:es sqi:sq srp:sr swe:sv swh:sw tam:ta "
        "tat:tt tel:te tgl:tl tha:th tuk:tk tur:tr uig:ug ukr:uk urd:ur uzb:uz "
        "vie:vi xho:xh yid:yi zsm:ms"
    ).split()
)
# Files of the Declaration whose tag is not the language's: Tosk Albanian,
# Hmong Njua, Malay. `hea` is a Hmongic language of China, not LaBSE's Hmong.
_UDHR = {"als": "sq", "blu": "hmn", "mly_latn": "ms", "hea": "hea"}
# Scripts in which the language is no longer written, or none of LaBSE's text.
_UDHR_LEFT_OUT = (
    "az-Cyrl bs-Cyrl jv-Java tk-Cyrl ug-Latn vi-Hani zlm-Arab sa-Gran".split()
)


class Labelled(NamedTuple):
    """The sentences of a language in one corpus, half of them."""

    corpus: str
    language: str
    sentences: list[str]


def labelled_sentences(data: pathlib.Path, half: int) -> Iterator[Labelled]:
    """Every language of the three corpora, also those that are not LaBSE's."""
    for path in sorted((data / "lingua_sentences").glob("??.txt")):
        yield _half("lingua", path.stem, _lines(path), half)
    for path in sorted((data / "tatoeba_v1").glob("tatoeba.*-eng.*")):
        code = path.suffix[1:]
        if code != "eng" or path.stem == "tatoeba.deu-eng":
            language = _TATOEBA.get(code, code)
            yield _half("tatoeba", language, _lines(path), half)
    declarations = {}
    for row in _lines(data / "udhr" / "INDEX.tsv")[1:]:
        name, _, tag = row.split("\t")[:3]
        language = _UDHR.get(name) or language_tag("-".join(tag.split("-")[:1]))
        if language and tag not in _UDHR_LEFT_OUT and language != "und":
            declarations.setdefault(language, []).append(name)
    for language, names in sorted(declarations.items()):
        texts = [
            line.split("\t", 1)[1]
            for name in names
            for line in _lines(data / "udhr" / f"{name}.tsv")
        ]
        yield _half("udhr", primary_language(language), texts, half)


def _half(corpus: str, language: str, lines: list[str], half: int) -> Labelled:
    return Labelled(corpus, language, lines[half::2][:_MOST_SENTENCES])


def _lines(path: pathlib.Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [line.strip() for line in lines if line.strip()]
