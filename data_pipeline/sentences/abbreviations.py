"""Abbreviations that a full stop belongs to, by language.

Only those after which a capital or a number usually follows within the
sentence: titles, "number", "page", months before a year. The others need no
list, because a small letter follows ("z. B. wenn"), or they end sentences as
often as not ("etc."). Single letters (initials) and words with stops inside
("e.g.") are rules of `splitter`. All in small letters, without the last stop.
"""

# Languages that write ordinal numbers with a full stop: "3. Mai".
ORDINALS = frozenset(
    "bs cs da de dsb eo et eu fi fo hr hsb hu is lb lt lv nb nds nn no pl sk "
    "sl sr sv tr".split()
)

_COMMON = "dr mr mrs ms prof st no nr vol pp fig ed eds jr vs cf ca tel"
_BY_LANGUAGE = {
    "af": "bl mej mev mnr ds afd bv nl",
    "az": "səh akad",
    "be": "г гл вул праф акад св стар ст млн тыс дац",
    "bg": "г гр ул доц инж проф св стр ген акад арх чл ал бул",
    "bs": "str br god čl npr ul gđa mr tzv sv tj prof",
    "ca": "art núm pàg sra sr dra av pl tel cap gral",
    "cs": "doc čl tzv ing rndr mudr judr mgr bc phdr str č tj např sv resp "
    "tř ul gen kpt mjr plk pplk odst cca sb roč",
    "cy": "tud",
    "da": "kl stk kr bl hhv jan feb mar apr jun jul aug sep sept okt nov dec "
    "tlf evt pga mht jf inkl ekskl hr fr kap s sml vha ift",
    "de": "abs art aufl bd bzw geb ggf hrsg inkl jh jan feb mär apr jun jul "
    "aug sep sept okt nov dez kap str tel vgl zit zzgl evtl ing dipl hl hr "
    "fr sog mio mrd nr max min rd bsp allg s etwa u.a z.b d.h v.a s.o",
    "el": "κ κα κος αρ σελ πρωτ αγ χλμ στρ δρ καθ τηλ",
    "en": "mt messrs rev hon gen col capt lt sgt gov sen rep pres supt inc "
    "dept sec ch art jan feb mar apr jun jul aug sep sept oct nov dec al "
    "viz approx assn bros ltd co corp ave blvd rd e.g i.e",
    "eo": "d-ro s-ro s-ino prof ekz paĝ ĉ p k.s n-ro t.n t.e",
    "es": "sr sra srta dra dña art núm pág págs av avda ud uds gral lic ing "
    "tel cap aprox vol",
    "et": "lk nr hr pr tn tel sh sajandi dots",
    "eu": "or orr zen jn and",
    "fi": "mm ns esim puh klo nk kts vrt huom toim s os kuv mrd milj n prof "
    "tri tj pj",
    "fr": "m mm mme mlle mgr me art chap env éd fig p pp tél vol bd av janv "
    "févr avr juil sept oct nov déc",
    "ga": "lch uimh ltd an tuas",
    "gl": "sr sra núm páx art av",
    "hi": "डॉ प्रो पं श्री कु मो स्व सं",
    "hr": "str br god čl npr ul tzv sv tj gđa mr ing dipl ur sc odn čl",
    "hu": "pl ún ill kb dr ifj id özv szept okt nov dec jan febr márc ápr máj "
    "jún júl aug bp krt sz old kft zrt u.n",
    "hy": "թ դդ դ էջ հտ պրոֆ",
    "id": "dra drs ir jl hj h kh sdr no tgl hlm rp bpk prof s.h yth",
    "is": "kl nr kr bls dags u.þ.b þ.e t.d m.a n.k sbr sr sími tel frh gr mgr "
    "jan feb mar apr jún júl ágú sept okt nóv des s hr",
    "it": "sig sigg sig.ra dott dott.ssa ing avv art pag pagg cap on mons "
    "geom arch prof.ssa tel sen",
    "ka": "წ გვ იხ მაგ პროფ აკად",
    "kk": "м ж проф акад т ғ б",
    "ky": "ж б проф",
    "la": "s c p",
    "lb": "dr nr bzw s art",
    "lt": "d m g pvz gyd doc prof pav str nr vyr kt plg tūkst mln mlrd žr "
    "šv a.k el dir",
    "lv": "g plkst tālr piem sk lpp gs prof doc akad red nr t.sk t.i utt",
    "mk": "г стр бр проф д-р ул св акад",
    "mn": "р он м",
    "mr": "डॉ प्रा श्री कै पं ना ॲड इ स सौ",
    "ms": "en pn cik dato tn hj bil no sdn",
    "nb": "kl kr tlf nr s ca jf jfr f.eks bl osv dvs jan feb mar apr jun jul "
    "aug sep sept okt nov des kap evt pga mht f.kr e.kr ev inkl",
    "nl": "dhr mevr mw drs ir ing mr nr art blz bijv bv evt incl enz jhr ds "
    "jan feb mrt apr jun jul aug sep sept okt nov dec max min ca plm resp "
    "vgl zgn afb red st",
    "nn": "kl kr tlf nr s ca jf f.eks bl dvs jan feb mar apr jun jul aug sep "
    "okt nov des kap f.kr e.kr utg jur",
    "pa": "ਡਾ ਸ ਪ੍ਰੋ ਸ੍ਰੀ ਨੰ ਈ",
    "pl": "godz ul tys prof mgr inż hab dr św tj tzw np pt ok gen płk ppłk mjr "
    "kpt al pl os woj pow gm ks bp abp kard m.in min mln mld nr poz r red "
    "s str tel tzn ur w wg wyd zm zob zł im lek st art",
    "pt": "sr sra srs dra eng profa art núm pág págs av tel cap gen min ex d",
    "ro": "nr art dl dna ing str bd tel pag cap alin sf mr gen col lt jud "
    "com bl sc ap et d-na d-l",
    "ru": "г гг гл ул д кв стр рис см ср им проф доц акад св тов корп обл р-н "
    "просп пер пл тыс млн млрд руб коп тел ред изд род ум т п с в т.е т.н",
    "sk": "č čl doc ing mudr judr mgr bc phdr str tzv tj napr sv resp ul gen "
    "tab ods cca tel roč pozn prof por mil",
    "sl": "pribl št str npr tj dr mag prof doc ul oz sv ga gos itd univ dipl "
    "čl d.o.o roj ok",
    "so": "dr prof",
    "sq": "fq nr art dr prof sh",
    "sr": "стр бр год чл нпр ул тзв св тј др проф г гђа инж "
    "str br god čl npr ul tzv sv tj ing",
    "sv": "kl kr nr s ca bl f.d t.ex dvs jan feb mar apr jun jul aug sep sept "
    "okt nov dec kap tel inkl st resp",
    "sw": "bw bi dkt uk",
    "ta": "திரு கி.மு கி.பி எம் பி டாக்டர்",
    "te": "డా శ్రీ క్రీ.శ క్రీ.పూ",
    "th": "พ.ศ ค.ศ ดร นพ พญ รศ ผศ ศ โทร จ อ ต น ม ร.ร ผอ สพป สพม อบต พ.ร.บ "
    "ม.ค ก.พ มี.ค เม.ย พ.ค มิ.ย ก.ค ส.ค ก.ย ต.ค พ.ย ธ.ค กม ชม",
    "tl": "g gng bb gob kgg hal",
    "tr": "av doç yrd öğr sn bkz cad sok mah apt no alb gen müh vb s yy çev",
    "uk": "р рр ст вул проф доц акад св ім кв буд обл м с тис млн млрд грн "
    "арх див рис гл напр поч крб тел ред т.д т.п т.зв",
    "ur": "ڈاکٹر",
    "uz": "prof akad",
    "vi": "tp ths ts gs pgs bs ông ks q p tx",
}


def abbreviations(language: str) -> frozenset[str]:
    """Abbreviations of a language, with those that are found everywhere."""
    own = _BY_LANGUAGE.get(language.partition("-")[0], "")
    return frozenset(f"{_COMMON} {own}".split())
