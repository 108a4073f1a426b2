"""Turkish."""

import re

from myxtts.text.languages.record import LATIN, Language, decimals_as_number, months, never, nouns

_UNITS = ("", "bir", "iki", "üç", "dört", "beş", "altı", "yedi", "sekiz", "dokuz")
_TENS = ("", "on", "yirmi", "otuz", "kırk", "elli", "altmış", "yetmiş", "seksen", "doksan")
_SCALES = ((10**9, "milyar"), (10**6, "milyon"), (1000, "bin"), (100, "yüz"))
_LAST = {"bir": "birinci", "iki": "ikinci", "üç": "üçüncü", "dört": "dördüncü", "beş": "beşinci", "altı": "altıncı", "yedi": "yedinci"}
_LAST |= {"sekiz": "sekizinci", "dokuz": "dokuzuncu", "on": "onuncu", "yirmi": "yirminci", "otuz": "otuzuncu", "kırk": "kırkıncı"}
_LAST |= {"elli": "ellinci", "altmış": "altmışıncı", "yetmiş": "yetmişinci", "seksen": "sekseninci", "doksan": "doksanıncı"}
_LAST |= {"yüz": "yüzüncü", "bin": "bininci", "milyon": "milyonuncu", "milyar": "milyarıncı", "sıfır": "sıfırıncı"}
_JOINED = re.compile(rf"\b({'|'.join(_LAST)}|dolar|avro|euro|kilo|kilometre|metre|derece)'(?=\w)")
_LIRA = re.compile(r"\blira'([dt]en|[dt]e|nin|yi|ye|lik|ler|si)")
_BACK = str.maketrans("ei", "aı")
_IN = {3: "üçte", 4: "dörtte", 5: "beşte", 6: "altıda", 7: "yedide", 8: "sekizde", 9: "dokuzda", 10: "onda"}


def lower(text: str) -> str:
    """I is the capital of ı, İ of i."""
    return text.replace("İ", "i").replace("I", "ı").lower()


def count(number: int) -> str:
    """Words apart, as Turkish spelling has it (num2words writes them as one, which is for cheques)."""
    if number < 100:
        return f"{_TENS[number // 10]} {_UNITS[number % 10]}".strip() or "sıfır"
    scale, name = next((scale, name) for scale, name in _SCALES if number >= scale)
    times, rest = divmod(number, scale)
    many = "" if times == 1 and scale <= 1000 else f"{count(times)} "
    return f"{many}{name} {count(rest) if rest else ''}".strip()


def ordinal(number: int) -> str:
    before, space, last = count(number).rpartition(" ")
    return f"{before}{space}{_LAST[last]}"


def fraction(match: re.Match) -> str | None:
    """3/4 dörtte üç"""
    top, bottom = int(match[1]), int(match[2])
    if top == 1 and bottom == 2:
        return "bir bölü iki"
    return f"{_IN[bottom]} {count(top)}" if 0 < top < bottom and bottom in _IN else None


def join_suffixes(text: str) -> str:
    """The apostrophe that divides digits from a suffix has no place in words: 5'te beşte."""
    if "'" not in text:
        return text
    text = _LIRA.sub(lambda match: f"lira{match[1].translate(_BACK)}", text)  # TL is spoken te le, and its suffix is written so
    return _JOINED.sub(r"\1", re.sub(r"\bdört'(?=[aeıioöuü])", "dörd", text))


# names that an ordinal begins; other capitals may be the next sentence
_NUMBERED = r"(?:Dünya|Lig|Ordu|Kolordu|Uluslararası|Cadde|Sokak|Abdülhamid|Mahmu[dt]|Selim|Mura[dt]|Bayezid|Mehme[dt]|Meşrutiyet)(?!\w)"
_MONTHS = "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık"
TURKISH = Language(
    code="tr",
    name="Turkish",
    char_limit=226,
    letters=LATIN + "çğıöşüâîû",
    lower=lower,
    joining=join_suffixes,
    abbreviations={
        "dr": "doktor",
        "prof": "profesör",
        "doç": "doçent",
        "öğr": "öğretim",
        "av": "avukat",
        "b": "bay",
        "byk": "büyük",
        "alb": "albay",
        "gen": "general",
        "hz": "hazreti",
        "sn": "sayın",
        "st": "saint",
        "vb": "ve benzeri",
        "vs": "vesaire",
        "bkz": "bakınız",
        "yy": "yüzyıl",
        "cad": "caddesi",
        "sok": "sokağı",
        "mah": "mahallesi",
        "apt": "apartmanı",
        "no": "numara",
        "tel": "telefon",
        "örn": "örneğin",
        "yak": "yaklaşık",
        "m.ö": "milattan önce",
        "m.s": "milattan sonra",
        "s": "sayfa",
        "şti": "şirketi",
        "ltd": "limited",
    },
    abbreviations_bare={"t.c": "türkiye cumhuriyeti", "mn": "milyon", "mr": "milyar"},
    cardinal=count,
    decimal=decimals_as_number(count, "virgül"),
    point="virgül",
    scales={"bin": "bin", "milyon": "milyon", "milyar": "milyar", "trilyon": "trilyon"},
    ordinals={"'?(?:inci|ıncı|uncu|üncü|nci|ncı|ncu|ncü)": ordinal},
    readings={
        r"(?<![\w.,:/+-])(\d{1,4}) ?km/(?:sa|s|h)(?!\w)": lambda match: f"saatte {count(int(match[1]))} kilometre",
        rf"(?<![\w.,:/+-])(\d{{1,4}})\.(?= (?:(?!(?:{'|'.join(_MONTHS.split())})\b)[a-zçğıöşüâîû]|{_NUMBERED}))": lambda match: ordinal(
            int(match[1])
        ),
        r"(?<![\w.,:/+-])(\d{1,2})/(\d{1,2})(?![\w/]|[.,]\d)": fraction,
    },
    digits_after=("kod", "pin", "posta kodu"),
    version_after=("sürüm",),
    plural=never,
    roman=dict.fromkeys(("bölüm", "cilt"), "{cardinal}"),
    roman_before={r"\.(?= [^\W\d_])": ordinal},
    symbols={
        "&": "ve",
        "%": "yüzde",
        "@": "et",
        "+": "artı",
        "=": "eşittir",
        "minus": "eksi",
        "°": "derece",
        "#": "numara",
        "hashtag": "etiket",
        "×": "çarpı",
        "÷": "bölü",
        "§": "madde",
    },
    percent_first=True,
    address={".": "nokta", "@": "et", "/": "eğik çizgi", "-": "tire", "_": "alt çizgi", ":": "iki nokta", "?": "soru işareti"}
    | {"=": "eşittir", "&": "ve", "#": "diyez", "%": "yüzde", "+": "artı", "~": "yaklaşık"},
    currencies=nouns(
        {"$": "dolar", "us$": "dolar", "usd": "dolar", "€": "avro", "eur": "avro", "£": "sterlin", "gbp": "sterlin", "₺": "lira"}
        | {"tl": "lira", "try": "lira", "chf": "frank", "¥": "yen", "₽": "ruble", "₹": "rupi", "¢": "sent"},
    ),
    subunits=nouns(
        dict.fromkeys(("$", "us$", "usd", "€", "eur"), "sent")
        | dict.fromkeys(("£", "gbp"), "peni")
        | dict.fromkeys(("₺", "tl", "try"), "kuruş")
    ),
    amount_joint=" ",
    units=nouns(
        {"mm": "milimetre", "cm": "santimetre", "m": "metre", "km": "kilometre", "m²": "metrekare", "km²": "kilometrekare"}
        | {
            "m³": "metreküp",
            "ha": "hektar",
            "m/s": "metre bölü saniye",
            "mg": "miligram",
        }
        | {"g": "gram", "gr": "gram", "kg": "kilo", "t": "ton", "ml": "mililitre", "cl": "santilitre", "l": "litre", "lt": "litre"}
        | {"°c": "santigrat derece", "°f": "fahrenhayt derece", "°": "derece", "kb": "kilobayt", "mb": "megabayt", "gb": "gigabayt"}
        | {"tb": "terabayt", "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "w": "vat", "kw": "kilovat"}
        | {"kwh": "kilovatsaat", "v": "volt", "dk": "dakika", "sn": "saniye", "sa": "saat"},
    ),
    calendars=months(_MONTHS),
    day_month="{day} {month}",
    time=("{hour}", "{hour} {minute}", "{hour} {minute} {second}"),
    zero_minute="sıfır",
)
