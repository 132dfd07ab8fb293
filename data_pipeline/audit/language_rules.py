"""Which script a language is written in, and which languages count as equal."""

import functools

from data_pipeline.language_id.scripts import SCRIPT_LANGUAGES, scripts_of
from labse.languages import LABSE_LANGUAGES, language_tag, primary_language

# ISO 639-3 codes of LaBSE's languages, which corpora such as Tatoeba's use,
# and their two-letter codes (https://iso639-3.sil.org/code_tables/639/data).
_CODES = """
afr:af amh:am ara:ar arb:ar asm:as aze:az azj:az bel:be bul:bg ben:bn bod:bo
bos:bs cat:ca cos:co ces:cs cym:cy dan:da deu:de ell:el eng:en epo:eo spa:es
est:et ekk:et eus:eu fas:fa pes:fa fin:fi fra:fr fry:fy gle:ga gla:gd glg:gl
guj:gu hau:ha heb:he hin:hi hrv:hr hat:ht hun:hu hye:hy ind:id ibo:ig isl:is
ita:it jpn:ja jav:jv kat:ka kaz:kk khm:km kan:kn kor:ko kur:ku kmr:ku kir:ky
lat:la ltz:lb lao:lo lit:lt lav:lv lvs:lv mlg:mg plt:mg mri:mi mkd:mk mal:ml
mon:mn khk:mn mar:mr msa:ms zsm:ms mlt:mt mya:my nep:ne npi:ne nld:nl nor:nb
nob:nb nno:nn nya:ny ori:or ory:or pan:pa pol:pl por:pt ron:ro rus:ru kin:rw
sin:si slk:sk slv:sl smo:sm sna:sn som:so sqi:sq als:sq srp:sr sot:st sun:su
swe:sv swa:sw swh:sw tam:ta tel:te tgk:tg tha:th tuk:tk tgl:tl tur:tr tat:tt
uig:ug ukr:uk urd:ur uzb:uz uzn:uz vie:vi wol:wo xho:xh yid:yi ydd:yi yor:yo
cmn:zh zho:zh yue:zh zul:zu fil:tl mww:hmn
"""
_TWO_LETTERS = dict(pair.split(":") for pair in _CODES.split())

# Languages that identifiers do not keep apart in a sentence, most of them
# because a reader could not either.
_CLOSE = [
    {"nb", "nn", "no", "da"},
    {"bs", "hr", "sr", "sh", "cnr", "sl", "mk"},
    {"id", "ms", "jv", "su"},
    {"cs", "sk"},
    {"gl", "pt", "es", "ca", "ast"},
    {"zh", "yue", "wuu"},
    {"xh", "zu"},
    {"hi", "mr", "ne", "bho"},
    {"fa", "ckb", "ps"},
    {"as", "bn"},
    {"af", "nl", "fy"},
    {"ga", "gd"},
    {"be", "uk", "ru", "bg"},
    {"kk", "ky", "tt", "ug"},
    {"tr", "az", "tk", "uz"},
]


def tag_of(code: str) -> str:
    """The tag of a code as corpora write it: `de` of `deu`, `DE` and `de_DE`.

    A code that is no locale's name stays as it is.
    """
    tag = language_tag(code) or code
    language, dash, rest = tag.partition("-")
    return _TWO_LETTERS.get(language, language) + dash + rest


@functools.cache
def expected_scripts(tag: str) -> frozenset[str]:
    """The scripts (ISO 15924) that a language is written in.

    Empty where nothing is known: of languages that LaBSE does not have.
    """
    if not is_listed(tag):
        return frozenset()
    language = primary_language(tag)
    alone = {
        script for script, name in SCRIPT_LANGUAGES.items() if name == language
    }
    if language == "ja":
        alone.add("Hani")
    return frozenset(alone) or scripts_of(tag)


@functools.cache
def is_same_language(declared: str, identified: str) -> bool:
    """Whether an identified language speaks for the declared one."""
    first, second = primary_language(declared), primary_language(identified)
    return first == second or any(
        first in group and second in group for group in _CLOSE
    )


def is_listed(tag: str) -> bool:
    """Whether script and language of its texts can be checked."""
    language = primary_language(tag)
    return language in LABSE_LANGUAGES or language in ("nb", "nn")
