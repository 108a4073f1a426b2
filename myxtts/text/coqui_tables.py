"""What the text cleaners of the reference implementation (Coqui XTTS v2) say for signs, abbreviations and ordinals, by language.

Facts of the models published with it, mistakes included: a model that learnt "misess" is asked for "misess". The order of
abbreviations and of ordinal suffixes is part of the facts, for they are tried one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

_SIGNS = "&@%#$£°"


@dataclass(frozen=True)
class CoquiLanguage:
    """signs: sign -> word, spoken after the numbers were. ordinals: suffixes of written digits, as alternatives of a pattern.
    joint: what num2words puts between an amount and its hundredths, cut off with what follows where there are none.
    thousands: the sign between groups of three digits.
    """

    signs: Mapping[str, str]
    ordinals: str
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    joint: str = ", "
    thousands: str = "."


def _signs(*words: str) -> dict[str, str]:
    return dict(zip(_SIGNS, words, strict=True))


_ENGLISH_ORDINALS = "st|nd|rd|th"

COQUI_LANGUAGES: dict[str, CoquiLanguage] = {
    "en": CoquiLanguage(
        _signs("and", "at", "percent", "hash", "dollar", "pound", "degree"),
        _ENGLISH_ORDINALS,
        {
            "mrs": "misess",
            "mr": "mister",
            "dr": "doctor",
            "st": "saint",
            "co": "company",
            "jr": "junior",
            "maj": "major",
            "gen": "general",
            "drs": "doctors",
            "rev": "reverend",
            "lt": "lieutenant",
            "hon": "honorable",
            "sgt": "sergeant",
            "capt": "captain",
            "esq": "esquire",
            "ltd": "limited",
            "col": "colonel",
            "ft": "fort",
        },
        thousands=",",
    ),
    "es": CoquiLanguage(
        _signs("y", "arroba", "por ciento", "numeral", "dolar", "libra", "grados"),
        "º|ª|er|o|a|os|as",
        {
            "sra": "señora",
            "sr": "señor",
            "dr": "doctor",
            "dra": "doctora",
            "st": "santo",
            "co": "compañía",
            "jr": "junior",
            "ltd": "limitada",
        },
        joint=" con ",
    ),
    "fr": CoquiLanguage(
        _signs("et", "arobase", "pour cent", "dièse", "dollar", "livre", "degrés"),
        "º|ª|er|re|e|ème",
        {
            "mme": "madame",
            "mr": "monsieur",
            "dr": "docteur",
            "st": "saint",
            "co": "compagnie",
            "jr": "junior",
            "ltd": "limitée",
        },
        joint=" et ",
    ),
    "de": CoquiLanguage(
        _signs("und", "at", "prozent", "raute", "dollar", "pfund", "grad"),
        _ENGLISH_ORDINALS + r"|º|ª|\.(?=\s|$)",
        {"fr": "frau", "dr": "doktor", "st": "sankt", "co": "firma", "jr": "junior"},
        joint=" und ",
    ),
    "pt": CoquiLanguage(
        _signs("e", "arroba", "por cento", "cardinal", "dólar", "libra", "graus"),
        "º|ª|o|a|os|as",
        {
            "sra": "senhora",
            "sr": "senhor",
            "dr": "doutor",
            "dra": "doutora",
            "st": "santo",
            "co": "companhia",
            "jr": "júnior",
            "ltd": "limitada",
        },
        joint=" e ",
    ),
    "it": CoquiLanguage(
        _signs("e", "chiocciola", "per cento", "cancelletto", "dollaro", "sterlina", "gradi"),
        "º|°|ª|o|a|i|e",
        {
            "sig": "signore",
            "dr": "dottore",
            "st": "santo",
            "co": "compagnia",
            "jr": "junior",
            "ltd": "limitata",
        },
        joint=" e ",
    ),
    "pl": CoquiLanguage(
        _signs("i", "małpa", "procent", "krzyżyk", "dolar", "funt", "stopnie"),
        "º|ª|" + _ENGLISH_ORDINALS,
        {"p": "pani", "m": "pan", "dr": "doktor", "sw": "święty", "jr": "junior"},
    ),
    "tr": CoquiLanguage(
        _signs("ve", "at", "yüzde", "diyez", "dolar", "sterlin", "derece"),
        r"\.|inci|nci|uncu|üncü",
        {"b": "bay", "byk": "büyük", "dr": "doktor"},
    ),
    "ru": CoquiLanguage(
        _signs("и", "собака", "процентов", "номер", "доллар", "фунт", "градус"),
        "-й|-я|-е|-ое|-ье|-го",
        {"г-жа": "госпожа", "г-н": "господин", "д-р": "доктор"},
        thousands=",",
    ),
    "nl": CoquiLanguage(
        _signs("en", "bij", "procent", "hekje", "dollar", "pond", "graden"),
        "de|ste|e",
        {"dhr": "de heer", "mevr": "mevrouw", "dr": "dokter", "jhr": "jonkheer"},
    ),
    "cs": CoquiLanguage(
        _signs("a", "na", "procento", "křížek", "dolar", "libra", "stupně"),
        r"\.(?=\s|$)",
        {"dr": "doktor", "ing": "inženýr", "p": "pan"},
    ),
    "ar": CoquiLanguage(_signs("و", "على", "في المئة", "رقم", "دولار", "جنيه", "درجة"), "ون|ين|ث|ر|ى"),
    "zh-cn": CoquiLanguage(_signs("和", "在", "百分之", "号", "美元", "英镑", "度"), ""),
    "hu": CoquiLanguage(
        _signs("és", "kukac", "százalék", "kettőskereszt", "dollár", "font", "fok"),
        r"\.|adik|edik|odik|ödik|ik",
        {"dr": "doktor", "b": "bácsi", "nőv": "nővér"},
    ),
    "ko": CoquiLanguage(_signs("그리고", "에", "퍼센트", "번호", "달러", "파운드", "도"), "번째|번|차|째"),
    "ja": CoquiLanguage({}, ""),
    "hi": CoquiLanguage(_signs("और", "ऐट दी रेट", "प्रतिशत", "हैश", "डॉलर", "पाउंड", "डिग्री"), _ENGLISH_ORDINALS),
}
