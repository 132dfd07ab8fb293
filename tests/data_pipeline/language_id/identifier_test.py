"""Tests of language identification; the sentences are our own."""

import math
import pickle

import pytest

from data_pipeline.language_id import answer_rates, identifier, libraries
from data_pipeline.language_id.identifier import (
    DEFAULT_LIBRARIES,
    Identified,
    LanguageIdentifier,
    weigh,
)
from labse.errors import InputError

SENTENCES = {
    "am": "ይህ ትልቅ ቤት ነው።",
    "ar": "هذا البيت الكبير يقع في وسط المدينة القديمة.",
    "bo": "ཁྱིམ་འདི་ཆེན་པོ་རེད།",
    "de": "Das große Haus steht mitten in der alten Stadt.",
    "el": "Το μεγάλο σπίτι είναι στην πόλη.",
    "en": "The big house stands in the middle of the old town.",
    "fr": "La grande maison se trouve au milieu de la vieille ville.",
    "he": "הבית הגדול עומד במרכז העיר העתיקה.",
    "id": "Rumah besar itu terletak di tengah kota tua, karena saya bisa.",
    "ja": "大きな家は古い町の真ん中にあります。",
    "km": "ផ្ទះធំនៅកណ្តាលទីក្រុង។",
    "ko": "큰 집은 오래된 마을 한가운데에 있습니다.",
    "ku": "Mala mezin li nîvê bajarê kevn e û em lê dijîn.",
    "nb": "Jeg vet ikke hva som skjedde, men nå får vi se hvordan det går.",
    "ru": "Большой дом стоит посреди старого города.",
    "sw": "Nyumba kubwa iko katikati ya mji wa zamani.",
    "th": "บ้านหลังใหญ่อยู่กลางเมืองเก่า",
    "tl": "Ang malaking bahay ay nasa gitna ng lumang bayan.",
    "uk": "Великий будинок стоїть посеред старого міста.",
    "yi": "דאָס גרויסע הויז שטייט אין מיטן פֿון דער אַלטער שטאָט.",
    "zh": "那座大房子在老城的中心。",
}


@pytest.mark.parametrize(("language", "text"), SENTENCES.items())
def test_languages(language, text):
    found = LanguageIdentifier().identify(text)
    assert found.language == language
    assert 0.5 <= found.confidence <= 1


@pytest.mark.parametrize(
    "text", ["", "   ", "12 + 3", "\x00\x01", "!?", "\ud800", "\u16a0"]
)
def test_texts_without_a_language(text):
    assert LanguageIdentifier().identify(text) == Identified("und", 0.0)


def test_broken_text_is_no_error():
    text = "\x00\ufffe\ud800\U0001ffff " + SENTENCES["de"] + "\x9f"
    assert LanguageIdentifier().identify(text).language == "de"
    assert LanguageIdentifier().identify("x" * 1_000_000)


def test_it_abstains_below_the_lowest_confidence():
    text = SENTENCES["id"]
    found = LanguageIdentifier(0.0).identify(text)
    strict = LanguageIdentifier(math.nextafter(found.confidence, 2) % 1)
    if found.confidence < 1:
        assert strict.identify(text) == Identified("und", found.confidence)


def test_it_goes_to_workers_as_its_arguments():
    sent = LanguageIdentifier(0.7)
    sent.identify(SENTENCES["en"])
    data = pickle.dumps(sent)
    assert len(data) < 300
    assert pickle.loads(data).identify(SENTENCES["en"]).language == "en"


def test_scripts_are_named_where_readers_expect_another():
    text = "Velika kuća stoji u sredini starog grada, vreme je lepo, reka."
    assert weigh((("cld2", "sr"), ("py3langid", "sr")), "Latn")[0] == "sr-Latn"
    assert weigh((("cld2", "sr"), ("py3langid", "sr")), "Cyrl")[0] == "sr"
    found = LanguageIdentifier(0).identify(text).language
    assert found in ("sr-Latn", "bs", "hr")


def test_weighing_is_naive_bayes(monkeypatch):
    """P(x|no) = .6 * .1, P(x|da) = .3 * .2 * ... by hand."""
    rates = {
        ("one", "nb"): {"nb": math.log(0.6 / 0.01), "da": math.log(0.3 / 0.01)},
        ("two", "da"): {"nb": math.log(0.1 / 0.01), "da": math.log(0.4 / 0.01)},
    }
    monkeypatch.setattr(identifier, "read_answer_rates", lambda: rates)
    weigh.cache_clear()
    found = weigh((("one", "nb"), ("two", "da")), "Latn")
    # nb: .6 * .1 = .06; da: .3 * .4 = .12.
    assert found.language == "da"
    assert found.confidence == pytest.approx(0.12 / 0.18)
    # Interlingue is not LaBSE's, so a fifth as likely; it was not counted, so
    # its rate is .9 over the lowest, .002: .2 * 450 = 90 against 60 and 30.
    found = weigh((("three", "ie"), ("one", "nb")), "Latn")
    assert found.language == "ie"
    assert found.confidence == pytest.approx(0.5)
    weigh.cache_clear()


def test_languages_of_another_script_are_out_of_the_question():
    assert weigh((("cld2", "ru"), ("eldc", "ru")), "Latn").language != "ru"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_confidence": 1.5}, r"from 0 to 1.*1\.5"),
        ({"libraries": ()}, "one library or more"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(InputError, match=message):
        LanguageIdentifier(**arguments)


def test_unknown_libraries():
    with pytest.raises(InputError, match=r"cld2.*Received: fasttext"):
        libraries.load_library("fasttext")


def test_codes_are_mapped_to_our_tags():
    codes = {"iw": "he", "jw": "jv", "no": "nb", "fil": "tl", "zh-Hant": "zh"}
    codes |= {"un": "und", "zxx": "und", "sr-ME": "sr", "hmn": "hmn"}
    assert {code: libraries.language_of(code) for code in codes} == codes


def test_counting_weighs_corpora_equally(tmp_path, monkeypatch):
    table = tmp_path / "rates.tsv"
    monkeypatch.setattr(answer_rates, "TABLE", table)
    counted = [
        *[answer_rates.Counted("one", "de", "de", "large")] * 9,
        answer_rates.Counted("one", "nl", "de", "large"),
        answer_rates.Counted("one", "nl?", "de", "small"),
    ]
    answer_rates.write_answer_rates(counted)
    # de: .9 / 2, nl: .1 / 2, nl?: 1 / 2.
    assert table.read_text().split("\n") == [
        "library\tanswer\tlanguage\trate",
        "one\tde\tde\t0.450",
        "one\tnl\tde\t0.050",
        "one\tnl?\tde\t0.500",
        "",
    ]


def test_the_table_knows_every_default_library():
    table = answer_rates.read_answer_rates()
    assert {library for library, _ in table} == set(DEFAULT_LIBRARIES)


def test_real_sentences_are_identified(data_set):
    """The floor is below what was measured, on lines that were not counted."""
    identify = LanguageIdentifier(0.0).identify
    folder = data_set("lingua_sentences")
    shares = []
    for language in (
        "af",
        "az",
        "be",
        "cy",
        "eu",
        "ga",
        "mi",
        "so",
        "tl",
        "zu",
    ):
        text = (folder / f"{language}.txt").read_text(encoding="utf-8")
        lines = text.split("\n")[1:100:2]
        right = sum(identify(line).language == language for line in lines)
        shares.append(right / len(lines))
    assert sum(shares) / len(shares) > 0.95
