"""One record for each language: its letters, punctuation, numbers, symbols and abbreviations.

The 17 languages of XTTS v2 and Persian. A new language is one more record here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from myxtts.config import DataError

ZWNJ = "\u200c"  # zero width non-joiner: a letter of Persian spelling
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_HAN = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x3007, 0x3007))


@dataclass(frozen=True)
class Language:
    """What normalisation and checks need to know of a language. Letters are lower case, words are as spoken.

    symbols: the word spoken for a sign (also for "+", "=" and "minus" before a number).
    currencies: sign -> (word for one, word for several); spoken after the amount.
    abbreviations: written form without its full stop -> spoken form.
    ordinal_suffix: pattern of what turns written digits into an ordinal (`th`), "" where num2words cannot say them.
    point: the word for the decimal sign; the digits after it are read one by one.
    fractions: whether up to three decimals are read as tenths, hundredths and thousandths instead, by num2words.
    subunits: currency sign -> (word for one hundredth, word for several), where two decimals are read so.
    time: how a full hour is said, and an hour with minutes.
    """

    code: str
    name: str
    char_limit: int
    letters: str = _LATIN
    ranges: tuple[tuple[int, int], ...] = ()
    punctuation: str = ".,;:!?'-"
    sentence_end: str = ".!?"
    num2words: str | None = None
    decimal_comma: bool = True
    spaced: bool = True
    point: str = ""
    fractions: bool = False
    ordinal_suffix: str = ""
    percent_first: bool = False
    time: tuple[str, str] = ("{hour}", "{hour} {minute}")
    symbols: Mapping[str, str] = field(default_factory=dict)
    currencies: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    subunits: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    abbreviations: Mapping[str, str] = field(default_factory=dict)

    def knows(self, character: str) -> bool:
        """Whether normalised text of this language may hold the character (a letter, punctuation or a space)."""
        if character == " " or character in self.letters or character in self.punctuation:
            return True
        return any(low <= ord(character) <= high for low, high in self.ranges)


def get_language(code: str) -> Language:
    """The record of a code such as `fa`, `en-us` or `zh` (= `zh-cn`). Raises DataError naming the known codes."""
    key = code.strip().lower().replace("_", "-") if isinstance(code, str) else ""
    if key not in LANGUAGES:
        key = key.split("-")[0]
    key = {"zh": "zh-cn"}.get(key, key)
    if key not in LANGUAGES:
        raise DataError(f"unknown language {code!r}; expected one of {', '.join(LANGUAGES)}")
    return LANGUAGES[key]


def _symbols(conjunction: str, percent: str, at: str, plus: str, equals: str, minus: str, degree: str, number: str) -> dict[str, str]:
    return {"&": conjunction, "%": percent, "@": at, "+": plus, "=": equals, "minus": minus, "°": degree, "#": number}


def _currencies(dollar: tuple[str, str], euro: tuple[str, str], pound: tuple[str, str]) -> dict[str, tuple[str, str]]:
    return {"$": dollar, "€": euro, "£": pound}


_RECORDS = (
    Language(
        "en",
        "English",
        250,
        num2words="en",
        point="point",
        decimal_comma=False,
        ordinal_suffix="st|nd|rd|th",
        symbols=_symbols("and", "percent", "at", "plus", "equals", "minus", "degrees", "number"),
        currencies=_currencies(("dollar", "dollars"), ("euro", "euros"), ("pound", "pounds")),
        subunits={"$": ("cent", "cents"), "€": ("cent", "cents"), "£": ("penny", "pence")},
        time=("{hour} o'clock", "{hour} {minute}"),
        abbreviations={
            "mr": "mister",
            "mrs": "missus",
            "ms": "miz",
            "dr": "doctor",
            "prof": "professor",
            "st": "saint",
            "jr": "junior",
            "sr": "senior",
            "co": "company",
            "ltd": "limited",
            "maj": "major",
            "gen": "general",
            "drs": "doctors",
            "rev": "reverend",
            "lt": "lieutenant",
            "hon": "honorable",
            "sgt": "sergeant",
            "capt": "captain",
            "col": "colonel",
            "vs": "versus",
            "etc": "et cetera",
            "approx": "approximately",
            "dept": "department",
            "e.g": "for example",
            "i.e": "that is",
        },
    ),
    Language(
        "es",
        "Spanish",
        239,
        letters=_LATIN + "áéíóúüñ",
        punctuation=".,;:!?'-¿¡",
        num2words="es",
        point="coma",
        ordinal_suffix="[ºª]",
        symbols=_symbols("y", "por ciento", "arroba", "más", "igual a", "menos", "grados", "número"),
        currencies=_currencies(("dólar", "dólares"), ("euro", "euros"), ("libra", "libras")),
        abbreviations={
            "sr": "señor",
            "sra": "señora",
            "srta": "señorita",
            "dr": "doctor",
            "dra": "doctora",
            "ud": "usted",
            "uds": "ustedes",
            "etc": "etcétera",
        },
    ),
    Language(
        "fr",
        "French",
        273,
        letters=_LATIN + "àâæçéèêëîïôœùûüÿ",
        num2words="fr",
        point="virgule",
        ordinal_suffix="er|re|ère|ème|e",
        symbols=_symbols("et", "pour cent", "arobase", "plus", "égale", "moins", "degrés", "numéro"),
        currencies=_currencies(("dollar", "dollars"), ("euro", "euros"), ("livre", "livres")),
        time=("{hour} heures", "{hour} heures {minute}"),
        abbreviations={"m": "monsieur", "mme": "madame", "mlle": "mademoiselle", "dr": "docteur", "st": "saint", "ste": "sainte"},
    ),
    Language(
        "de",
        "German",
        253,
        letters=_LATIN + "äöüß",
        num2words="de",
        point="komma",
        symbols=_symbols("und", "prozent", "at", "plus", "gleich", "minus", "grad", "nummer"),
        currencies=_currencies(("dollar", "dollar"), ("euro", "euro"), ("pfund", "pfund")),
        time=("{hour} uhr", "{hour} uhr {minute}"),
        abbreviations={
            "hr": "herr",
            "fr": "frau",
            "dr": "doktor",
            "prof": "professor",
            "str": "straße",
            "nr": "nummer",
            "usw": "und so weiter",
            "z.b": "zum beispiel",
            "d.h": "das heißt",
            "bzw": "beziehungsweise",
            "ca": "circa",
        },
    ),
    Language(
        "it",
        "Italian",
        213,
        letters=_LATIN + "àèéìíîòóùú",
        num2words="it",
        point="virgola",
        ordinal_suffix="[ºª]",
        symbols=_symbols("e", "per cento", "chiocciola", "più", "uguale", "meno", "gradi", "numero"),
        currencies=_currencies(("dollaro", "dollari"), ("euro", "euro"), ("sterlina", "sterline")),
        abbreviations={"sig": "signor", "sig.ra": "signora", "dott": "dottor", "ing": "ingegner", "avv": "avvocato", "ecc": "eccetera"},
    ),
    Language(
        "pt",
        "Portuguese",
        203,
        letters=_LATIN + "áâãàçéêíóôõúü",
        num2words="pt",
        point="vírgula",
        ordinal_suffix="[ºª]",
        symbols=_symbols("e", "por cento", "arroba", "mais", "igual a", "menos", "graus", "número"),
        currencies=_currencies(("dólar", "dólares"), ("euro", "euros"), ("libra", "libras")),
        abbreviations={"sr": "senhor", "sra": "senhora", "dr": "doutor", "dra": "doutora", "etc": "etcétera"},
    ),
    Language(
        "pl",
        "Polish",
        224,
        letters=_LATIN + "ąćęłńóśźż",
        num2words="pl",
        point="przecinek",
        symbols=_symbols("i", "procent", "małpa", "plus", "równa się", "minus", "stopni", "numer"),
        currencies=_currencies(("dolar", "dolarów"), ("euro", "euro"), ("funt", "funtów")),
        abbreviations={"dr": "doktor", "np": "na przykład", "itd": "i tak dalej", "ul": "ulica", "m.in": "między innymi"},
    ),
    Language(
        "tr",
        "Turkish",
        226,
        letters=_LATIN + "çğıöşüâîû",
        num2words="tr",
        point="virgül",
        percent_first=True,
        symbols=_symbols("ve", "yüzde", "et", "artı", "eşittir", "eksi", "derece", "numara"),
        currencies=_currencies(("dolar", "dolar"), ("avro", "avro"), ("sterlin", "sterlin")) | {"₺": ("lira", "lira")},
        abbreviations={"dr": "doktor", "prof": "profesör", "vb": "ve benzeri", "vs": "vesaire", "sn": "sayın"},
    ),
    Language(
        "ru",
        "Russian",
        182,
        letters="абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        num2words="ru",
        point="запятая",
        fractions=True,
        symbols=_symbols("и", "процентов", "собака", "плюс", "равно", "минус", "градусов", "номер") | {"№": "номер"},
        currencies=_currencies(("доллар", "долларов"), ("евро", "евро"), ("фунт", "фунтов")) | {"₽": ("рубль", "рублей")},
        abbreviations={"т.е": "то есть", "т.д": "так далее", "т.п": "тому подобное", "ул": "улица", "г-н": "господин"},
    ),
    Language(
        "nl",
        "Dutch",
        251,
        letters=_LATIN + "áàâäéèêëíïóöúüĳ",
        num2words="nl",
        point="komma",
        ordinal_suffix="ste|de|e",
        symbols=_symbols("en", "procent", "apenstaartje", "plus", "is gelijk aan", "min", "graden", "nummer"),
        currencies=_currencies(("dollar", "dollar"), ("euro", "euro"), ("pond", "pond")),
        abbreviations={"dhr": "de heer", "mevr": "mevrouw", "dr": "dokter", "enz": "enzovoort", "bijv": "bijvoorbeeld"},
    ),
    Language(
        "cs",
        "Czech",
        186,
        letters=_LATIN + "áčďéěíňóřšťúůýž",
        num2words="cs",
        point="celá",
        symbols=_symbols("a", "procent", "zavináč", "plus", "rovná se", "minus", "stupňů", "číslo"),
        currencies=_currencies(("dolar", "dolarů"), ("euro", "eur"), ("libra", "liber")),
        abbreviations={"dr": "doktor", "ing": "inženýr", "např": "například", "atd": "a tak dále", "tj": "to je"},
    ),
    Language(
        "ar",
        "Arabic",
        166,
        letters="ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيپچگڤ",
        punctuation=".،؛:!؟'-",
        sentence_end=".!؟",
        num2words="ar",
        decimal_comma=False,
        point="فاصلة",
        symbols=_symbols("و", "بالمئة", "آت", "زائد", "يساوي", "ناقص", "درجة", "رقم"),
        currencies=_currencies(("دولار", "دولار"), ("يورو", "يورو"), ("جنيه", "جنيه")),
    ),
    Language(
        "zh-cn",
        "Chinese",
        82,
        letters=_LATIN,
        ranges=_HAN,
        punctuation="。，、；：！？'-",
        sentence_end="。！？",
        decimal_comma=False,
        spaced=False,
        point="点",
        percent_first=True,
        time=("{hour}点", "{hour}点{minute}分"),
        symbols=_symbols("和", "百分之", "艾特", "加", "等于", "负", "度", "号"),
        currencies=_currencies(("美元", "美元"), ("欧元", "欧元"), ("英镑", "英镑")) | {"¥": ("元", "元")},
    ),
    Language(
        "hu",
        "Hungarian",
        224,
        letters=_LATIN + "áéíóöőúüű",
        num2words="hu",
        point="egész",
        symbols=_symbols("és", "százalék", "kukac", "plusz", "egyenlő", "mínusz", "fok", "szám"),
        currencies=_currencies(("dollár", "dollár"), ("euró", "euró"), ("font", "font")),
        abbreviations={"dr": "doktor", "pl": "például", "stb": "satöbbi", "kb": "körülbelül", "u": "utca"},
    ),
    Language(
        "ko",
        "Korean",
        95,
        letters=_LATIN,
        ranges=((0xAC00, 0xD7A3), (0x3131, 0x318E)),
        num2words="ko",
        decimal_comma=False,
        point="점",
        symbols=_symbols("그리고", "퍼센트", "골뱅이", "더하기", "는", "마이너스", "도", "번호"),
        currencies=_currencies(("달러", "달러"), ("유로", "유로"), ("파운드", "파운드")) | {"₩": ("원", "원")},
    ),
    Language(
        "ja",
        "Japanese",
        71,
        letters=_LATIN + "々ー",
        ranges=(*_HAN, (0x3041, 0x3096), (0x30A1, 0x30FA)),
        punctuation="。、；：！？'-",
        sentence_end="。！？",
        num2words="ja",
        decimal_comma=False,
        spaced=False,
        point="点",
        symbols=_symbols("と", "パーセント", "アット", "足す", "イコール", "マイナス", "度", "番号"),
        currencies=_currencies(("ドル", "ドル"), ("ユーロ", "ユーロ"), ("ポンド", "ポンド")) | {"¥": ("円", "円")},
        time=("{hour}時", "{hour}時{minute}分"),
    ),
    Language(
        "hi",
        "Hindi",
        150,
        letters="",
        ranges=((0x0900, 0x0963), (0x0970, 0x097F)),
        punctuation="।.,;:!?'-",
        sentence_end="।.!?",
        decimal_comma=False,
        point="दशमलव",
        symbols=_symbols("और", "प्रतिशत", "ऐट", "जमा", "बराबर", "ऋण", "डिग्री", "नंबर"),
        currencies=_currencies(("डॉलर", "डॉलर"), ("यूरो", "यूरो"), ("पाउंड", "पाउंड")) | {"₹": ("रुपया", "रुपये")},
    ),
    Language(
        "fa",
        "Persian",
        200,
        letters="ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی" + ZWNJ,
        punctuation=".،؛:!؟'-",
        sentence_end=".!؟",
        num2words="fa",
        point="ممیز",
        fractions=True,
        decimal_comma=False,
        ordinal_suffix=f"{ZWNJ}?ام",
        symbols=_symbols("و", "درصد", "ات", "به‌علاوه", "مساوی", "منفی", "درجه", "شماره"),
        currencies=_currencies(("دلار", "دلار"), ("یورو", "یورو"), ("پوند", "پوند")) | {"﷼": ("ریال", "ریال")},
        time=("{hour}", "{hour} و {minute} دقیقه"),
        abbreviations={"ه.ش": "هجری شمسی", "ه.ق": "هجری قمری", "ق.م": "قبل از میلاد"},
    ),
)

LANGUAGES: dict[str, Language] = {record.code: record for record in _RECORDS}
