"""Korean: native numbers before the counters that take them, Sino-Korean ones elsewhere."""

import re

from myxtts.text.languages.record import Language, months, never, noun, nouns, words

count = words("ko")
_NATIVE = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_MONTHS = "일월 이월 삼월 사월 오월 유월 칠월 팔월 구월 시월 십일월 십이월"
_SINO = "공일이삼사오육칠팔구"


def native(number: int) -> str:
    """1 to 99 before a counter: 세, 스무, 스물한; others are Sino-Korean."""
    if not 0 < number < 100:
        return count(number)
    return "스무" if number == 20 else _NATIVE_TENS[number // 10] + _NATIVE[number % 10]


def counted(number: int, gender: str) -> str:
    """Hours up to twelve are native: 열 시, but 십사 시."""
    return native(number) if gender == "hour" and number <= 12 else count(number)


def _native(match: re.Match) -> str:
    return native(int(match[1]))


def _hour(match: re.Match) -> str:
    return counted(int(match[1]), "hour")


def ordinal(match: re.Match) -> str:
    """1번째 첫 번째"""
    number = int(match[1])
    return f"{'첫' if number == 1 else native(number)} {match[2]}"


def telephone(match: re.Match) -> str:
    """Zero is 공; groups are kept apart."""
    return " ".join("".join(_SINO[int(digit)] for digit in group) for group in re.findall(r"\d+", match.group()))


def fraction(match: re.Match) -> str | None:
    """3/4 사분의 삼"""
    top, bottom = int(match[1]), int(match[2])
    return f"{count(bottom)}분의 {count(top)}" if 0 < top < bottom else None


def _month(match: re.Match) -> str | None:
    return _MONTHS.split()[int(match[1]) - 1] if 0 < int(match[1]) < 13 else None


_PARTICLES = "에서|에|을|를|은|는|의|으로|로|와|과|까지|부터|보다|이다|입니다"
_PARTICLE = re.compile(rf"(?:(?<=미터|그램|리터|센트|달러|와트|유로)|(?<=바이트|헤르츠)) (?=(?:{_PARTICLES})(?!\w))")


def join_particle(text: str) -> str:
    """십에서 십이, 오 킬로그램에: a particle is written together with the word before it."""
    return _PARTICLE.sub("", text.replace(" 에서 ", "에서 ")) if " " in text else text


_COUNTERS = (
    "개(?!월|국|년|소|사|교|항)|명|살|마리|권(?!위|력|리)|잔(?!액)|병(?!원|사)|장(?!관|군|소)|송이|그루|켤레|벌|채(?!널)|자루|사람|달(?!러)|가지|군데|곳|"
    "쌍|그릇|줄|방울|시간|배(?!우|터|럴)|척|통(?!신|계)|끼|차례|모금|포기|다발|바퀴|걸음|마디"
)
_START = r"(?<![\d.,:/-])(\d{1,2}) ?"

KOREAN = Language(
    code="ko",
    name="Korean",
    char_limit=95,
    ranges=(
        (0xAC00, 0xD7A3),
        (0x3131, 0x318E),
    ),
    joining=join_particle,
    num2words="ko",
    counted=counted,
    point="점",
    decimal_comma=False,
    scales={"만": "만", "십만": "십만", "백만": "백만", "천만": "천만", "억": "억", "조": "조", "천": "천"},
    readings={
        r"(?<![\d.,:/-])(?:\+82[ -]?)?0?\d{1,3}-\d{3,4}-\d{4}(?![\d-])": telephone,
        r"(?<![\d.,:/-])(\d{1,3})/(\d{1,4})(?![\d/]|[.,]\d)": fraction,
        r"제 ?(\d{1,4})(?![\d.,]\d)": lambda match: f"제{count(int(match[1]))}",
        rf"(?<![\d.,:/-])(\d{{1,12}})({_PARTICLES})(?!\w)": lambda match: f"{count(int(match[1]))}{match[2]}",
        _START + "(번째|째)": ordinal,
        _START + "월(?!요)": _month,
        r"(?<![\d.,:/-])(\d{1,4})([천백십]?[만억조]|천)": lambda match: f"{count(int(match[1]))}{match[2]}",
        r"(?<![\d.,:/-])(\d{1,4})(년대|년|일)(?![^\W\d_]*권)": lambda match: f"{count(int(match[1]))}{match[2]}",
        _START + "(?=시(?!간|즌|리즈|장|대))": _hour,
        _START + "(?=번(?! ?출구|선|호|버스|타자|지|홈))": _native,
        r"(?<![\d.,:/-])(\d?[1-9]) ?(?=대(?!학|로|표|비|장| ?\d))": _native,
        _START + f"(?={_COUNTERS})": _native,
    },
    plural=never,
    range_word="에서",
    score_word="대",
    symbols={
        "&": "그리고",
        "%": "퍼센트",
        "@": "골뱅이",
        "+": "더하기",
        "=": "는",
        "minus": "마이너스",
        "°": "도",
        "#": "번호",
        "hashtag": "해시태그",
        "×": "곱하기",
        "÷": "나누기",
    },
    address={".": "점", "@": "골뱅이", "/": "슬래시", "-": "하이픈", "_": "밑줄", ":": "콜론", "?": "물음표"}
    | {"=": "는", "&": "앤드", "#": "샵", "%": "퍼센트", "+": "플러스", "~": "물결표"},
    currencies=nouns(
        {"$": "달러", "us$": "달러", "usd": "달러", "€": "유로", "eur": "유로", "£": "파운드", "gbp": "파운드", "₩": "원", "￦": "원"}
        | {"krw": "원", "¥": "엔", "元": "위안", "円": "엔", "₽": "루블", "₹": "루피", "¢": "센트"},
    ),
    subunits=nouns(dict.fromkeys(("$", "us$", "usd", "€", "eur"), "센트") | dict.fromkeys(("£", "gbp"), "펜스")),
    amount_joint=" ",
    units=nouns(
        {"mm": "밀리미터", "cm": "센티미터", "m": "미터", "km": "킬로미터", "m²": "제곱미터", "㎡": "제곱미터", "km²": "제곱킬로미터"}
        | {"m³": "세제곱미터", "ha": "헥타르", "km/h": "킬로미터 퍼 아워", "m/s": "미터 퍼 세컨드", "mg": "밀리그램", "g": "그램"}
        | {"kg": "킬로그램", "t": "톤", "ml": "밀리리터", "l": "리터", "°c": "도", "°f": "화씨", "°": "도", "kb": "킬로바이트"}
        | {"mb": "메가바이트", "gb": "기가바이트", "tb": "테라바이트", "hz": "헤르츠", "khz": "킬로헤르츠", "mhz": "메가헤르츠"}
        | {"ghz": "기가헤르츠", "w": "와트", "kw": "킬로와트", "kwh": "킬로와트시", "v": "볼트"},
    ),
    calendars=months(_MONTHS),
    date_order="ymd",
    date="{year}년 {month} {day}일",
    time=("{hour} 시", "{hour} 시 {minute} 분", "{hour} 시 {minute} 분 {second} 초"),
    hour=noun("시", gender="hour"),
)
