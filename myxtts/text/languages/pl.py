"""Polish."""

import re

from myxtts.text.languages.record import (
    LATIN,
    Language,
    decimals_as_number,
    months,
    noun,
    nouns,
    polish,
    scale_reader,
    stands_after,
    with_endings,
    words,
)

count = words("pl")
_positive = words("pl", "ordinal")
_ADJECTIVE = re.compile(r"\b(?!trzy\b|cztery\b)(\w+)([yi])\b")
_counted = with_endings(count, {"f": {"^jeden$": "jedna", r"\bdwa$": "dwie"}, "n": {"^jeden$": "jedno"}})


def _ordinal(number: int) -> str:
    """num2words fails at zero."""
    return _positive(number) if number else "zerowy"


def compound(number: int) -> str:
    """pięcioletni, dwudziestoczterogodzinny: an integer below a hundred before an adjective."""
    tens, unit = divmod(number, 10)
    if tens == 1:
        return "dziesięcio" if not unit else f"{count(number).removesuffix('naście')}nasto"
    first = {0: "", 2: "dwudziesto", 3: "trzydziesto", 4: "czterdziesto"}.get(tens) if tens < 5 else f"{count(tens)}dziesięcio"
    last = {0: "" if tens else "zero", 1: "jedno", 2: "dwu", 3: "trzy", 4: "cztero", 7: "siedmio", 8: "ośmio"}
    return f"{first}{last[unit] if unit in last else count(unit).removesuffix('ć') + 'cio'}"


def inflected(number: int, ending: str) -> str:
    """The ordinal with the ending that follows -y: a (feminine), e (neuter), ego, ym, ej."""

    def change(match: re.Match) -> str:
        stem, last = match.groups()
        if last == "y":
            return stem + ending
        if ending in ("a", "ą"):  # druga, trzecia
            return stem + ending if stem.endswith("g") else f"{stem}i{ending}"
        return f"{stem}i{ending.removeprefix('y')}"

    return _ADJECTIVE.sub(change, _ordinal(number))


def counted(number: int, gender: str) -> str:
    """An hour is an ordinal: dziesiąta trzydzieści."""
    if gender == "hour":
        return inflected(number, "a") if number else count(0)
    return _counted(number, gender)


def genitive(number: int) -> str:
    return inflected(number, "ego")


def _ordinal_before(match: re.Match) -> str:
    """5. klasa, 5. piętro, 5. dzień, w 5. klasie; adjectives tell their case."""
    endings = {"ego": "ego", "ej": "ej", "ym": "ym", "im": "ym", "a": "a", "ę": "ą", "o": "e", "ce": "e"}
    if match[2] in ("dnia", "wieku", "roku", "miesiąca", "tygodnia", "piętra", "miejsca", "rozdziału"):
        return genitive(int(match[1]))
    before = match.string[: match.start()].split()
    if before and before[-1].lower() in ("w", "na", "po", "o", "przy"):
        endings = {"ej": "ej", "ym": "ym", "im": "ym", "rze": "ym", "u": "ym", "e": "ej", "y": "ej", "i": "ej"}
    return inflected(int(match[1]), next((ending for last, ending in endings.items() if match[2].endswith(last)), "y"))


def _clock(match: re.Match) -> str:
    minute = int(match[2])
    zero = "zero " * (0 < minute < 10)
    return f"{inflected(int(match[1]), 'ej')} {zero}{count(minute) if minute else ''}".strip()


_decimal = decimals_as_number(count, "przecinek")
_SCALES = {"tys": noun("tysiąc", "tysiące", "tysięcy", "tysiąca"), "mln": noun("milion", "miliony", "milionów", "miliona")}
_SCALES |= {"mld": noun("miliard", "miliardy", "miliardów", "miliarda")}
_FEMININE = (
    "osoby|kobiety|godziny|minuty|sekundy|książki|siostry|córki|dziewczyny|dziewczynki|ryby|strony|szkoły|ulice|rzeczy|części|noce|klasy|grupy|"
    "lekcje|ręce|nogi|krowy|koleżanki|matki|kawy|herbaty|butelki|łyżki|szklanki|firmy|drużyny|bramki|partie|wersje|góry|rzeki|wyspy|połowy"
)
_NUMBER = r"(?<![\w.,:/+-])(\d{1,3})"
_YEAR = r"(?<![\w.,:/+-])(\d{4})"
_MONTHS = "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia"
_KINGS = (
    "jan paweł jan paweł zygmunt kazimierz władysław august bolesław stefan henryk ludwik karol mikołaj pius benedykt elżbieta fryderyk"
)

POLISH = Language(
    code="pl",
    name="Polish",
    char_limit=224,
    letters=LATIN + "ąćęłńóśźż",
    abbreviations={
        "p": "pani",
        "m": "pan",
        "prof": "profesor",
        "inż": "inżynier",
        "doc": "docent",
        "hab": "habilitowany",
        "ks": "ksiądz",
        "św": "święty",
        "sw": "święty",
        "jr": "junior",
        "gen": "generał",
        "płk": "pułkownik",
        "np": "na przykład",
        "itd": "i tak dalej",
        "itp": "i tym podobne",
        "tj": "to jest",
        "tzn": "to znaczy",
        "tzw": "tak zwany",
        "m.in": "między innymi",
        "m. in": "między innymi",
        "m.st": "miasta stołecznego",
        "ok": "około",
        "ul": "ulica",
        "al": "aleja",
        "pl": "plac",
        "os": "osiedle",
        "woj": "województwo",
        "ur": "urodzony",
        "zm": "zmarły",
        "godz": "godzina",
        "tel": "telefon",
        "str": "strona",
        "s": "strona",
        "rozdz": "rozdział",
        "wg": "według",
        "zob": "zobacz",
        "por": "porównaj",
        "red": "redaktor",
        "p.n.e": "przed naszą erą",
        "n.e": "naszej ery",
        "r": "roku",
        "w": "wieku",
    },
    abbreviations_bare={"dr": "doktor", "mgr": "magister", "nr": "numer", "mln": "milionów", "mld": "miliardów", "tys": "tysięcy"},
    num2words="pl",
    counted=counted,
    decimal=_decimal,
    point="przecinek",
    scales={"milion": "milion", "miliony": "miliony", "milionów": "milionów", "miliard": "miliard", "miliardy": "miliardy"}
    | {"miliardów": "miliardów", "tysiące": "tysiące", "tysięcy": "tysięcy"},
    fractions={2: noun("druga", "drugie", "drugich", gender="f"), 3: noun("trzecia", "trzecie", "trzecich", gender="f")}
    | {4: noun("czwarta", "czwarte", "czwartych", gender="f"), 5: noun("piąta", "piąte", "piątych", gender="f")}
    | {8: noun("ósma", "ósme", "ósmych", gender="f"), 10: noun("dziesiąta", "dziesiąte", "dziesiątych", gender="f")},
    ordinals={"-?szy|-?ty|-?y|st|nd|rd|th|º|ª": _ordinal, "-?ego|-?go": genitive, "-?tą|-?ą": lambda n: inflected(n, "ą")}
    | {
        "-?ta|-?sza|-?a": lambda n: inflected(n, "a"),
        "-?tym|-?ym|-?m": lambda n: inflected(n, "ym"),
        "-?tej|-?ej": lambda n: inflected(n, "ej"),
    },
    readings={
        r"(?<!\w)([RSW])\.(?= ?[A-ZĆŁŚŹŻ][\w-])": lambda match: match[1],  # initials, not rok, strona, wiek
        r"(?<![\w.,:/+-])(\d{1,2})-((?:let|godzin|osob|procent|metr|minut|dniow|kilometr|krotn|piętr|miesięczn|tygodni|pokoj)\w+)": (
            lambda match: f"{compound(int(match[1]))}{match[2]}"
        ),
        r"(?<![\w.,:/+-])(\d{1,6})(?:,(\d+))? ?(tys|mln|mld)\b\.?( zł\b)?": scale_reader(_counted, _decimal, polish, _SCALES, "złotych"),
        rf"(?<![\w.,:/+-])1(?= (?!{'|'.join(_MONTHS.split())}|mężczyzna|kolega|poeta)[a-ząćęłńóśźż]{{2,}}a\b)": lambda match: "jedna",
        r"(?<![\w.,:/+-])1(?= [a-ząćęłńóśźż]{2,}[oe]\b)": lambda match: "jedno",
        rf"(?<![\w.,:/+-])(\d{{0,5}}2)(?<!12)(?= (?:{_FEMININE})\b)": lambda match: _counted(int(match[1]), "f"),
        _YEAR + stands_after("w o po") + r" (?:r\.|roku)(?!\w)": lambda match: f"{inflected(int(match[1]), 'ym')} roku",
        rf"{_YEAR} (?:r\.|roku)(?!\w)": lambda match: f"{genitive(int(match[1]))} roku",
        _YEAR + stands_after("roku") + r"(?!\w|[.,]\d)": lambda match: genitive(int(match[1])),
        _YEAR + stands_after("rok") + r"(?!\w|[.,]\d)": lambda match: _ordinal(int(match[1])),
        r"(?<=\d{4}) r(?:\.|oku)(?=\W|$)": lambda match: "",  # the date says it
        rf"{_NUMBER}{stands_after('lata', most=2)}\.?(?!\w)": lambda match: inflected(int(match[1]), "e"),
        rf"{_NUMBER}{stands_after('lat latach', most=2)}\.(?!\w)": lambda match: inflected(int(match[1]), "ych"),
        r"(?<=[Oo] )(?<![\w.,:/+-])(\d{1,2})[:.]([0-5]\d)(?![\d:]|[.,]\d)": _clock,
        r"(?<=[Oo] )godz(?:\.|inie) (\d{1,2})[:.]([0-5]\d)(?![\d:]|[.,]\d)": lambda match: f"godzinie {_clock(match)}",
        r"(?<=godzinie )(\d{1,2})[:.]([0-5]\d)(?![\d:]|[.,]\d)": _clock,
        r"(?<=[Dd]o )(\d{1,2}):([0-5]\d)(?![\d:]|[.,]\d)": _clock,
        r"(?<=[Oo]d )(\d{1,2}):([0-5]\d)(?![\d:]|[.,]\d)": _clock,
        rf"{_NUMBER}\.(?= (?!(?:{'|'.join(_MONTHS.split())})\b)([a-ząćęłńóśźż]+))": _ordinal_before,
    },
    digits_after=("kod", "kod pocztowy", "pin"),
    version_after=("wersja", "wersji"),
    plural=polish,
    roman=dict.fromkeys(_KINGS.split(), "{ordinal}") | dict.fromkeys(("rozdział", "tom", "akt"), "{ordinal}"),
    roman_before={
        stands_after("w", "[IVX]", 5) + r"(?= wieku(?!\w)| w\.)": lambda number: inflected(number, "ym"),
        r"(?= wieku(?!\w)| w\.)": genitive,
        r"(?= wiek(?!\w))": _ordinal,
        r"(?= wojna)": lambda number: inflected(number, "a"),
        r"(?= wojn)": lambda number: inflected(number, "ej"),
    },
    symbols={
        "&": "i",
        "%": "procent",
        "@": "małpa",
        "+": "plus",
        "=": "równa się",
        "minus": "minus",
        "°": "stopni",
        "#": "numer",
        "hashtag": "hasztag",
        "×": "razy",
        "÷": "podzielić przez",
        "§": "paragraf",
    },
    address={".": "kropka", "@": "małpa", "/": "ukośnik", "-": "myślnik", "_": "podkreślenie", ":": "dwukropek", "?": "znak zapytania"}
    | {"=": "równa się", "&": "i", "#": "krzyżyk", "%": "procent", "+": "plus", "~": "tylda"},
    currencies=nouns(
        {"$": "dolar|dolary|dolarów|dolara", "us$": "dolar|dolary|dolarów|dolara", "usd": "dolar|dolary|dolarów|dolara"}
        | {
            "£": "funt|funty|funtów|funta",
            "gbp": "funt|funty|funtów|funta",
            "chf": "frank|franki|franków|franka",
            "¥": "jen|jeny|jenów|jena",
        }
        | dict.fromkeys(("zł", "zł.", "pln"), "złoty|złote|złotych|złotego")
        | {"₽": "rubel|ruble|rubli|rubla", "gr": "grosz|grosze|groszy|grosza", "¢": "cent|centy|centów|centa"},
        "m",
    )
    | nouns({"€": "euro", "eur": "euro"}, "n")
    | nouns({"₹": "rupia|rupie|rupii|rupii"}, "f"),
    subunits=nouns(
        dict.fromkeys(("$", "us$", "usd", "€", "eur"), "cent|centy|centów|centa")
        | dict.fromkeys(("zł", "zł.", "pln"), "grosz|grosze|groszy|grosza")
        | dict.fromkeys(("£", "gbp"), "pens|pensy|pensów|pensa"),
        "m",
    ),
    amount_joint=" ",
    units=nouns(
        {"mm": "milimetr|milimetry|milimetrów|milimetra", "cm": "centymetr|centymetry|centymetrów|centymetra"}
        | {"m": "metr|metry|metrów|metra", "km": "kilometr|kilometry|kilometrów|kilometra"}
        | {"m²": "metr kwadratowy|metry kwadratowe|metrów kwadratowych|metra kwadratowego"}
        | {"km²": "kilometr kwadratowy|kilometry kwadratowe|kilometrów kwadratowych|kilometra kwadratowego"}
        | {"m³": "metr sześcienny|metry sześcienne|metrów sześciennych|metra sześciennego", "ha": "hektar|hektary|hektarów|hektara"}
        | {"km/h": "kilometr na godzinę|kilometry na godzinę|kilometrów na godzinę|kilometra na godzinę"}
        | {"m/s": "metr na sekundę|metry na sekundę|metrów na sekundę|metra na sekundę"}
        | {"mg": "miligram|miligramy|miligramów|miligrama", "g": "gram|gramy|gramów|grama"}
        | {"dag": "deko", "kg": "kilogram|kilogramy|kilogramów|kilograma", "ml": "mililitr|mililitry|mililitrów|mililitra"}
        | {"l": "litr|litry|litrów|litra", "°c": "stopień celsjusza|stopnie celsjusza|stopni celsjusza|stopnia celsjusza"}
        | {"°": "stopień|stopnie|stopni|stopnia", "kb": "kilobajt|kilobajty|kilobajtów|kilobajta"}
        | {"mb": "megabajt|megabajty|megabajtów|megabajta", "gb": "gigabajt|gigabajty|gigabajtów|gigabajta"}
        | {
            "tb": "terabajt|terabajty|terabajtów|terabajta",
            "hz": "herc|herce|herców|herca",
            "mhz": "megaherc|megaherce|megaherców|megaherca",
        }
        | {"ghz": "gigaherc|gigaherce|gigaherców|gigaherca", "kw": "kilowat|kilowaty|kilowatów|kilowata"}
        | {"v": "wolt|wolty|woltów|wolta", "kwh": "kilowatogodzina|kilowatogodziny|kilowatogodzin|kilowatogodziny"},
        "m",
    )
    | nouns(
        {"t": "tona|tony|ton|tony", "h": "godzina|godziny|godzin|godziny", "godz": "godzina|godziny|godzin|godziny"}
        | {"min": "minuta|minuty|minut|minuty", "min.": "minuta|minuty|minut|minuty", "s": "sekunda|sekundy|sekund|sekundy"},
        "f",
    ),
    calendars=months(_MONTHS, "sty lut mar kwi - cze lip sie wrz paź lis gru", words=("mar", "lis", "lip", "sie")),
    date="{day} {month} {year} roku",
    day_month="{day} {month}",
    and_year="{date} {year} roku",
    day=genitive,
    year=genitive,
    time=("{hour}", "{hour} {minute}", "{hour} {minute} {second}"),
    zero_minute="zero",
    hour=noun("godzina", gender="hour"),
)
