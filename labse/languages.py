"""Names of languages: a locale as software writes it -> one short tag.

The tags look like BCP 47's (https://www.rfc-editor.org/info/bcp47): `de`,
`pt-BR`, `zh-Hans`, `sr-Latn`. Parts that add nothing are left out, as BCP 47
recommends: `de_DE.UTF-8` and `de` are both `de`, so that a language does not
count twice when corpora are balanced.
"""

import re

_LOCALE = re.compile(
    r"(?P<language>[A-Za-z]{2,3})"
    r"(?:[_-](?P<script>[A-Za-z]{4}))?"
    r"(?:[_-](?P<region>[A-Za-z]{2}|[0-9]{3}))?"
    r"(?:[_-](?P<variant>[A-Za-z0-9]{5,8}))?"
    r"(?:\.[A-Za-z0-9_-]+)?"
    r"(?:@(?P<modifier>[A-Za-z0-9]+))?"
)

# The modifiers of glibc and gettext that name a script or a variant. A locale
# with any other modifier is unknown, because it may be another language.
_MODIFIER_SCRIPTS = {
    "arabic": "Arab",
    "cyrillic": "Cyrl",
    "cyrl": "Cyrl",
    "devanagari": "Deva",
    "iqtelif": "Latn",
    "latin": "Latn",
    "latn": "Latn",
    "shaw": "Shaw",
}
_VARIANTS = ("ijekavsk", "tarask", "valencia")
_MODIFIER_VARIANTS = {"ije": "ijekavsk", "ijekavian": "ijekavsk"}
_EMPTY_MODIFIERS = ("euro", "quot", "boldquot")

# Codes that ISO 639 has replaced, and `no`, which in software is Bokmål.
_REPLACED = {
    "in": "id",
    "iw": "he",
    "ji": "yi",
    "jw": "jv",
    "mo": "ro",
    "no": "nb",
}

# The script that readers expect of a language if none is named.
_DEFAULT_SCRIPTS = {
    "az": "Latn",
    "ku": "Latn",
    "pa": "Guru",
    "sr": "Cyrl",
    "tt": "Cyrl",
    "uz": "Latn",
}

# Regions that add nothing to the language. Those spelled as their language is
# (`de_DE`, `fr_FR`) need no entry.
_DEFAULT_REGION_LOCALES = """
af_ZA am_ET be_BY bn_BD br_FR bs_BA ca_ES cs_CZ cy_GB da_DK el_GR en_US et_EE
eu_ES fa_IR ga_IE gd_GB gl_ES gu_IN he_IL hi_IN hy_AM ja_JP ka_GE kk_KZ km_KH
kn_IN ko_KR ky_KG lb_LU lo_LA ml_IN mr_IN ms_MY my_MM nb_NO ne_NP nn_NO or_IN
pa_IN ps_AF si_LK sl_SI sq_AL sr_RS sv_SE sw_KE ta_IN te_IN tg_TJ tk_TM tl_PH
ug_CN uk_UA ur_PK vi_VN yo_NG zu_ZA
"""
_DEFAULT_REGIONS = dict(
    locale.split("_") for locale in _DEFAULT_REGION_LOCALES.split()
)

# Chinese is written in two scripts and localised by region. The text shows the
# script, so a region alone is replaced by its script.
_CHINESE_SCRIPTS = {
    "CN": "Hans",
    "SG": "Hans",
    "HK": "Hant",
    "MO": "Hant",
    "TW": "Hant",
}
_CHINESE_DEFAULT_REGIONS = {"Hans": "CN", "Hant": "TW"}

# ISO 639-1, and the three-letter codes that software is translated into.
_KNOWN_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co
cr cs cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl
gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg
ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk
ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps
pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw
ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo
za zh zu
ach ace ang arn arq ary arz ast bem ber bho brx byn cak ceb cgg chr ckb cmn
crh csb doi dsb fil frp fur gez gom gsw guc hak haw hne hrx hsb ilo ixl kab
kok kmr lij lld lmo lzh mai mfe mhr mni nah nan nap nds nso oci pap pcd pcm
pis prs qvi rue sah sat scn sco shi shn son syc szl tet tig tzm udm umb unm
vec wae wal yue zgh zam
"""
_KNOWN = frozenset(_KNOWN_CODES.split())

# The 109 languages that LaBSE was trained on: Feng et al. 2022, Table 10, in
# its codes (ISO 639-1 and 639-2).
_LABSE_CODES = """
af am ar as az be bg bn bo bs ca ceb co cs cy da de el en eo es et eu fa fi fr
fy ga gd gl gu ha haw he hi hmn hr ht hu hy id ig is it ja jv ka kk km kn ko ku
ky la lb lo lt lv mg mi mk ml mn mr ms mt my ne nl no ny or pa pl pt ro ru rw
si sk sl sm sn so sq sr st su sv sw ta te tg th tk tl tr tt ug uk ur uz vi wo
xh yi yo zh zu
"""
LABSE_LANGUAGES = frozenset(_LABSE_CODES.split())


def language_tag(locale: str) -> str | None:
    """The tag of a locale; None if this is not a locale's name.

    Only the form is checked, so that languages without a two-letter code pass.
    Use `is_known_language` as well if the name may be an ordinary word.

    Args:
      locale: `de`, `pt_BR`, `zh-cn`, `sr@latin`, `ca_ES.UTF-8@valencia`, ...
    """
    match = _LOCALE.fullmatch(locale.strip())
    if not match:
        return None
    language = match["language"].lower()
    language = _REPLACED.get(language, language)
    script = (match["script"] or "").title()
    region = (match["region"] or "").upper()
    variant = (match["variant"] or "").lower()
    modifier = (match["modifier"] or "").lower()
    if modifier in _MODIFIER_SCRIPTS:
        script = _MODIFIER_SCRIPTS[modifier]
    elif modifier and modifier not in _EMPTY_MODIFIERS:
        variant = _MODIFIER_VARIANTS.get(modifier, modifier)
    if variant and variant not in _VARIANTS:
        return None
    if language == "sh":  # Serbo-Croatian in Latin letters
        language, script = "sr", script or "Latn"
    script, region = _shorten(language, script, region)
    return "-".join(
        part for part in (language, script, region, variant) if part
    )


def _shorten(language: str, script: str, region: str) -> tuple[str, str]:
    """Leaves out a script and a region that add nothing."""
    if language == "zh":
        script = script or _CHINESE_SCRIPTS.get(region, "")
        if region == _CHINESE_DEFAULT_REGIONS.get(script):
            region = ""
        return script, "" if (script, region) == ("Hans", "SG") else region
    if script == _DEFAULT_SCRIPTS.get(language):
        script = ""
    if region in (language.upper(), _DEFAULT_REGIONS.get(language)):
        region = ""
    return script, region


def primary_language(tag: str) -> str:
    """The language alone: `pt` of `pt-BR`."""
    return tag.split("-")[0]


def is_known_language(tag: str) -> bool:
    """Whether software is translated into the tag's language.

    This distinguishes the folder `is` (Icelandic) from the folder `src`, though
    not from a folder named after the English word.
    """
    return primary_language(tag) in _KNOWN


def parent_tag(tag: str) -> str | None:
    """The tag that a regional tag falls back on: `es` for `es-MX`.

    A script is never dropped: `sr-Latn` does not fall back on `sr`, which its
    readers may not be able to read. None if there is no parent.
    """
    parts = tag.split("-")
    if len(parts) == 1 or len(parts[-1]) == 4:
        return None
    return "-".join(parts[:-1])
