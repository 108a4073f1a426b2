"""Czech."""

import re

from myxtts.text.languages.record import LATIN, Language, czech, months, noun, nouns, scale_reader, with_endings, words

_count = words("cs")
_TOGETHER = re.compile(r"(dvě|tři|čtyři|pět|šest|sedm|osm|devět)(stě|sta|set)\b")
_UNITS = [
    "první",
    "druhý",
    "třetí",
    "čtvrtý",
    "pátý",
    "šestý",
    "sedmý",
    "osmý",
    "devátý",
    "desátý",
    "jedenáctý",
    "dvanáctý",
    "třináctý",
    "čtrnáctý",
    "patnáctý",
]
_UNITS += ["šestnáctý", "sedmnáctý", "osmnáctý", "devatenáctý"]
_TENS = ["dvacátý", "třicátý", "čtyřicátý", "padesátý", "šedesátý", "sedmdesátý", "osmdesátý", "devadesátý"]
_HUNDREDS = ["stý", "dvoustý", "třístý", "čtyřstý", "pětistý", "šestistý", "sedmistý", "osmistý", "devítistý"]


def count(number: int) -> str:
    """num2words writes hundreds as one word."""
    return _TOGETHER.sub(r"\1 \2", _count(number))


counted = with_endings(count, {"m": {"^jedna$": "jeden"}, "f": {"^dva$": "dvě"}, "n": {"^jedna$": "jedno", "^dva$": "dvě"}})


def ordinal(number: int) -> str:
    """dvacátý pátý, stý první; a cardinal from one thousand on."""
    if not 0 < number < 1000:
        return count(number)
    hundreds, rest = divmod(number, 100)
    tens, unit = divmod(rest, 10)
    said = [*_HUNDREDS[hundreds - 1 : hundreds or -9]]
    said += [*_TENS[tens - 2 : tens - 1], *_UNITS[unit - 1 : unit or -19]] if tens > 1 else _UNITS[rest - 1 : rest or -19]
    return " ".join(said)


def inflected(number: int, ending: str) -> str:
    """The ordinal with another ending than -ý: á, é, ého, ém; první and třetí have their own."""
    soft = {"á": "í", "é": "í", "ého": "ího", "ém": "ím", "ou": "í"}[ending]
    return re.sub(r"í\b", soft, re.sub(r"ý\b", ending, ordinal(number)))


def genitive(number: int) -> str:
    return inflected(number, "ého")


def decimal(whole: str, decimals: str) -> str | None:
    """3,5 tři celé pět, 0,05 nula celá nula pět; up to two decimals are said as one number."""
    rest, number = decimals.lstrip("0"), int(whole)
    if len(decimals) > 2 or not rest:
        return None
    point = "celá" if number < 2 else "celé" if number < 5 else "celých"
    return " ".join([counted(number, "f"), point, *["nula"] * (len(decimals) - len(rest)), count(int(rest))])


def compound(number: int) -> str:
    """pětiletý, dvacetipětiletý: an integer below a hundred before an adjective."""
    if number > 20 and number % 10:
        return f"{compound(number - number % 10)}{compound(number % 10)}"
    own = {0: "nula", 1: "jedno", 2: "dvou", 3: "tří", 4: "čtyř", 9: "devíti"}
    return own[number] if number in own else f"{count(number)}i"


def _ordinal_before(match: re.Match) -> str:
    """5. kapitola, 5. místo, 5. den, v 5. kapitole; adjectives tell their case."""
    endings = {"ého": "ého", "ém": "ém", "a": "á", "o": "é", "í": "é", "u": "ou"}
    before = match.string[: match.start()].split()
    if before and before[-1].lower() in ("v", "ve", "na", "po", "o", "při"):
        endings = {"u": "ém", "místě": "ém", "městě": "ém", "ě": "é", "e": "é", "í": "ém"}
    ending = next((ending for last, ending in endings.items() if match[2].endswith(last)), "")
    return inflected(int(match[1]), ending) if ending else ordinal(int(match[1]))


_SCALES = {
    "tis": noun("tisíc", "tisíce", "tisíc", "tisíce", gender="m"),
    "mil": noun("milion", "miliony", "milionů", "milionu", gender="m"),
}
_SCALES |= {"mld": noun("miliarda", "miliardy", "miliard", "miliardy", gender="f")}
_FEMININE = (
    "sestry|ženy|koruny|hodiny|minuty|vteřiny|sekundy|knihy|dcery|holky|kočky|ryby|školy|strany|osoby|noci|děti|ulice|lžíce|libry|tuny|třídy|"
    "části|věci|nohy|ruce|oči|uši|skupiny|možnosti|otázky|hry|země|kapitoly|firmy|branky|verze"
)


def _day_of(match: re.Match) -> str | None:
    """8. 5."""
    day, month = int(match[1]), int(match[2])
    return f"{genitive(day)} {_MONTHS.split()[month - 1]}" if 0 < day < 32 and 0 < month < 13 else None


_MONTHS = "ledna února března dubna května června července srpna září října listopadu prosince"
_KINGS = "karel václav ferdinand rudolf josef leopold ludvík jindřich fridrich vilém pius benedikt jan pavel přemysl otakar"

CZECH = Language(
    code="cs",
    name="Czech",
    char_limit=186,
    letters=LATIN + "áäčďéěíľňóöřšťúůüýž",
    abbreviations={
        "p": "pan",
        "pí": "paní",
        "sl": "slečna",
        "dr": "doktor",
        "mudr": "doktor",
        "judr": "doktor",
        "phdr": "doktor",
        "prof": "profesor",
        "doc": "docent",
        "ing": "inženýr",
        "bc": "bakalář",
        "mgr": "magistr",
        "sv": "svatý",
        "st": "starší",
        "ml": "mladší",
        "gen": "generál",
        "např": "například",
        "atd": "a tak dále",
        "apod": "a podobně",
        "aj": "a jiné",
        "tj": "to je",
        "tzn": "to znamená",
        "tzv": "takzvaný",
        "mj": "mimo jiné",
        "cca": "cirka",
        "popř": "popřípadě",
        "resp": "respektive",
        "event": "eventuálně",
        "max": "maximálně",
        "min": "minimálně",
        "str": "strana",
        "s": "strana",
        "ul": "ulice",
        "nám": "náměstí",
        "č": "číslo",
        "tel": "telefon",
        "srov": "srovnej",
        "viz": "viz",
        "kap": "kapitola",
        "obr": "obrázek",
        "tab": "tabulka",
        "př. n. l": "před naším letopočtem",
        "n. l": "našeho letopočtu",
    },
    abbreviations_bare={"mil": "milionů", "mld": "miliard", "tis": "tisíc"},
    cardinal=count,
    counted=counted,
    decimal=decimal,
    point="celá",
    scales={"milion": "milion", "miliony": "miliony", "milionů": "milionů", "miliarda": "miliarda", "miliardy": "miliardy"}
    | {"miliard": "miliard", "tisíc": "tisíc"},
    fractions={2: noun("polovina", "poloviny", "polovin", gender="f"), 3: noun("třetina", "třetiny", "třetin", gender="f")}
    | {4: noun("čtvrtina", "čtvrtiny", "čtvrtin", gender="f"), 5: noun("pětina", "pětiny", "pětin", gender="f")}
    | {6: noun("šestina", "šestiny", "šestin", gender="f"), 8: noun("osmina", "osminy", "osmin", gender="f")}
    | {10: noun("desetina", "desetiny", "desetin", gender="f")},
    readings={
        r"(?<!\w)([SČ])\.(?= ?[A-ZÁČĎÉÍŇÓŘŠŤÚŽ][\w-])": lambda match: match[1],  # initials, not strana and číslo
        r"(?<![\w.,:/+-])(\d{1,2})-?((?:let[ýáéíoou]|denní|členn|procentn|metrov|minutov|hodinov|kilometrov|patrov|stupňov)\w*)(?!\w)": (
            lambda match: f"{compound(int(match[1]))}{match[2]}"
        ),
        r"(?<![\w.,:/+-])(\d{1,6})(?:,(\d+))? ?(tis|mil|mld)\b\.?( [Kk]č\b)?": scale_reader(counted, decimal, czech, _SCALES, "korun"),
        r"(?<![\w.,:/+-])1(?= [a-záčďéěíňóřšťúůýž]+[bcčdďfghjklmnňprřsštťvzž]\b)": lambda match: "jeden",
        r"(?<![\w.,:/+-])1(?= [a-záčďéěíňóřšťúůýž]{2,}[oeí]\b)": lambda match: "jedno",
        rf"(?<![\w.,:/+-])2(?= (?:{_FEMININE}|[a-záčďéěíňóřšťúůýž]{{3,}}a)\b)": lambda match: "dvě",
        r"(?<![\w.,:/+-])(\d{1,2})\.([0-5]\d)(?= ?hod)": lambda match: f"{match[1]}:{match[2]}",
        r"(?<=\b[Vv] )1:00(?![\d:])": lambda match: "jednu hodinu",
        r"(?<![\w.,:/+-])(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})(?!\w)": lambda match: ".".join(match.groups()),
        r"(?<![\w.,:/+-])(\d{1,2})\. ?(\d{1,2})\.(?! ?\d)": _day_of,
        r"(?<![\w.,:/+-])(\d{1,3})\.(?= letech(?!\w))": lambda match: re.sub(r"ý\b", "ých", ordinal(int(match[1]))),
        r"(?<![\w.,:/+-])(\d{1,3})\.(?= léta(?!\w))": lambda match: inflected(int(match[1]), "á"),
        rf"(?<![\w.,:/+-])(\d{{1,3}})\.(?= (?!(?:{'|'.join(_MONTHS.split())})\b)([a-záčďéěíňóřšťúůýž]+))": _ordinal_before,
        r"(?<![\w.,:/+-])(\d{1,3}):(\d)(?![\d:]|,\d)": lambda match: f"{count(int(match[1]))} ku {count(int(match[2]))}",
    },
    digits_after=("kód", "pin", "psč"),
    version_after=("verze", "verzi"),
    plural=czech,
    range_word="až",
    roman=dict.fromkeys(_KINGS.split(), ordinal) | dict.fromkeys(("kapitola", "díl", "část"), "{cardinal}"),
    roman_before={r"\.(?= (?:století|světov|ročník|třídy))": ordinal},
    symbols={
        "&": "a",
        "%": "procent",
        "@": "zavináč",
        "+": "plus",
        "=": "rovná se",
        "minus": "minus",
        "°": "stupňů",
        "#": "číslo",
        "hashtag": "hashtag",
        "×": "krát",
        "÷": "děleno",
        "§": "paragraf",
    },
    percent=noun("procento", "procenta", "procent", "procenta", gender="n"),
    address={".": "tečka", "@": "zavináč", "/": "lomítko", "-": "pomlčka", "_": "podtržítko", ":": "dvojtečka", "?": "otazník"}
    | {"=": "rovná se", "&": "a", "#": "křížek", "%": "procento", "+": "plus", "~": "vlnovka"},
    currencies=nouns(
        dict.fromkeys(("$", "us$", "usd"), "dolar|dolary|dolarů|dolaru")
        | {"chf": "frank|franky|franků|franku", "¥": "jen|jeny|jenů|jenu"}
        | {"₽": "rubl|rubly|rublů|rublu", "¢": "cent|centy|centů|centu"},
        "m",
    )
    | nouns(
        dict.fromkeys(("kč", "czk"), "koruna|koruny|korun|koruny")
        | dict.fromkeys(("£", "gbp"), "libra|libry|liber|libry")
        | {"₹": "rupie|rupie|rupií|rupie"},
        "f",
    )
    | nouns(dict.fromkeys(("€", "eur"), "euro|eura|eur|eura"), "n"),
    subunits=nouns(
        dict.fromkeys(("$", "us$", "usd", "€", "eur"), "cent|centy|centů|centu")
        | dict.fromkeys(("kč", "czk"), "haléř|haléře|haléřů|haléře"),
        "m",
    )
    | nouns(dict.fromkeys(("£", "gbp"), "pence"), "f"),
    amount_joint=" ",
    units=nouns(
        {"mm": "milimetr|milimetry|milimetrů|milimetru", "cm": "centimetr|centimetry|centimetrů|centimetru"}
        | {"m": "metr|metry|metrů|metru", "km": "kilometr|kilometry|kilometrů|kilometru"}
        | {"m²": "metr čtvereční|metry čtvereční|metrů čtverečních|metru čtverečního"}
        | {"km²": "kilometr čtvereční|kilometry čtvereční|kilometrů čtverečních|kilometru čtverečního"}
        | {"m³": "metr krychlový|metry krychlové|metrů krychlových|metru krychlového", "ha": "hektar|hektary|hektarů|hektaru"}
        | {"km/h": "kilometr v hodině|kilometry v hodině|kilometrů v hodině|kilometru v hodině"}
        | {"m/s": "metr za sekundu|metry za sekundu|metrů za sekundu|metru za sekundu", "mg": "miligram|miligramy|miligramů|miligramu"}
        | {"g": "gram|gramy|gramů|gramu", "dkg": "deko|deka|deka|deka", "kg": "kilogram|kilogramy|kilogramů|kilogramu"}
        | {"ml": "mililitr|mililitry|mililitrů|mililitru", "l": "litr|litry|litrů|litru"}
        | {"°c": "stupeň celsia|stupně celsia|stupňů celsia|stupně celsia", "°": "stupeň|stupně|stupňů|stupně"}
        | {"kb": "kilobajt|kilobajty|kilobajtů|kilobajtu", "mb": "megabajt|megabajty|megabajtů|megabajtu"}
        | {"gb": "gigabajt|gigabajty|gigabajtů|gigabajtu", "tb": "terabajt|terabajty|terabajtů|terabajtu"}
        | {"hz": "hertz|hertzy|hertzů|hertzu", "mhz": "megahertz|megahertzy|megahertzů|megahertzu"}
        | {
            "ghz": "gigahertz|gigahertzy|gigahertzů|gigahertzu",
            "w": "watt|watty|wattů|wattu",
            "kw": "kilowatt|kilowatty|kilowattů|kilowattu",
        },
        "m",
    )
    | nouns(
        {"t": "tuna|tuny|tun|tuny", "h": "hodina|hodiny|hodin|hodiny", "hod": "hodina|hodiny|hodin|hodiny"}
        | {
            "min": "minuta|minuty|minut|minuty",
            "sek": "sekunda|sekundy|sekund|sekundy",
            "kwh": "kilowatthodina|kilowatthodiny|kilowatthodin",
        },
        "f",
    ),
    calendars=months(_MONTHS),
    day_month="{day} {month}",
    day=genitive,
    time=("{hour} {hours}", "{hour} {minute}", "{hour} {minute} {second}"),
    time_marks={"hod": "", "hod.": "", "h": "", "hodin": "", "hodiny": ""},
    zero_minute="nula",
    hour=noun("hodina", "hodiny", "hodin", gender="f"),
)
