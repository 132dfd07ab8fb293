"""The language that a page, a record or a dump declares -> a tag."""

from labse.files.reading import UNKNOWN_LANGUAGE
from labse.languages import language_tag

# ISO 639-3, or 639-2 where catalogues differ, of languages that have a code of
# two letters: Common Crawl names languages so.
_CODES = """
afr:af amh:am ara:ar arb:ar asm:as aze:az bel:be bul:bg ben:bn bod:bo tib:bo
bos:bs cat:ca cos:co ces:cs cze:cs cym:cy wel:cy dan:da deu:de ger:de ell:el
gre:el eng:en epo:eo spa:es est:et eus:eu baq:eu fas:fa per:fa fin:fi fra:fr
fre:fr fry:fy gle:ga gla:gd glg:gl guj:gu hau:ha heb:he hin:hi hrv:hr hat:ht
hun:hu hye:hy arm:hy ind:id ibo:ig isl:is ice:is ita:it jpn:ja jav:jv kat:ka
geo:ka kaz:kk khm:km kan:kn kor:ko kur:ku kir:ky lat:la ltz:lb lao:lo lit:lt
lav:lv lvs:lv mlg:mg mri:mi mao:mi mkd:mk mac:mk mal:ml mon:mn khk:mn mar:mr
msa:ms may:ms zsm:ms mlt:mt mya:my bur:my nep:ne npi:ne nld:nl dut:nl nor:nb
nob:nb nno:nn nya:ny ori:or ory:or pan:pa pol:pl por:pt ron:ro rum:ro rus:ru
kin:rw sin:si slk:sk slo:sk slv:sl smo:sm sna:sn som:so sqi:sq alb:sq srp:sr
sot:st sun:su swe:sv swa:sw swh:sw tam:ta tel:te tgk:tg tha:th tuk:tk tgl:tl
tur:tr tat:tt uig:ug ukr:uk urd:ur uzb:uz uzn:uz vie:vi wol:wo xho:xh yid:yi
yor:yo zho:zh chi:zh cmn:zh zul:zu ekk:et fil:tl hbs:sh hnj:hmn mww:hmn pes:fa
zlm:ms
aar:aa abk:ab aka:ak arg:an ava:av aym:ay bak:ba bis:bi bam:bm bre:br che:ce
cha:ch chv:cv div:dv dzo:dz ewe:ee ful:ff fij:fj fao:fo grn:gn glv:gv her:hz
hmo:ho ina:ia ile:ie iku:iu kon:kg kik:ki kua:kj kal:kl kas:ks kom:kv cor:kw
lug:lg lim:li lin:ln lub:lu mah:mh nau:na nde:nd ndo:ng nbl:nr nav:nv oci:oc
oji:oj orm:om oss:os pli:pi pus:ps que:qu roh:rm run:rn san:sa srd:sc snd:sd
sme:se sag:sg ssw:ss tir:ti tsn:tn ton:to tso:ts twi:tw tah:ty ven:ve vol:vo
wln:wa zha:za
"""
_SHORT_CODES = dict(pair.split(":") for pair in _CODES.split())
_NO_LANGUAGE = ("mul", "zxx", "mis")  # several, none, one without a code
# Wikimedia's names of wikis that are not tags of their languages:
# https://meta.wikimedia.org/wiki/Special_language_codes
_WIKIS = {
    "als": "gsw",
    "bat-smg": "sgs",
    "be-x-old": "be-tarask",
    "cbk-zam": "cbk",
    "fiu-vro": "vro",
    "map-bms": "jv",
    "roa-rup": "rup",
    "roa-tara": "nap",
    "simple": "en",
    "zh-classical": "lzh",
    "zh-min-nan": "nan",
    "zh-yue": "yue",
}


def declared_language(name: str) -> str:
    """The tag of a language as it is declared: `eng`, `pt_BR`, `zh-min-nan`.

    `und` for several, `eng,deu`, and for what is not a language's name.
    """
    name = name.strip().lower().replace("_", "-")
    name = _WIKIS.get(name, name)
    primary, dash, rest = name.partition("-")
    name = _SHORT_CODES.get(primary, primary) + dash + rest
    tag = language_tag(name) or UNKNOWN_LANGUAGE
    return UNKNOWN_LANGUAGE if tag in _NO_LANGUAGE else tag


def page_language(name: str) -> str:
    """The same as language identification names it.

    Without a region, and Chinese without its script: pages declare what their
    template says.
    """
    first, *rest = declared_language(name).split("-")
    if first == "zh":
        return first
    # A script has four characters, a variant five or more.
    return "-".join([first, *(part for part in rest if len(part) > 3)])
