"""Japanese. Numbers become kanji; how a counter changes them (一本, 二人) is the reading of the kanji, and the model's to learn."""

import re

from myxtts.text.languages.record import HAN, LATIN, Language, months, never, nouns

_DIGITS = "零一二三四五六七八九"
_LARGE = ((10**8, "億"), (10**4, "万"))


def count(number: int) -> str:
    """Thousands of ten thousands have their one: 一千万; a thousand alone has not. num2words says 千万."""
    for scale, name in _LARGE:
        if number >= scale:
            times, rest = divmod(number, scale)
            return f"{'一' if 1000 <= times < 2000 else ''}{count(times)}{name}{count(rest) if rest else ''}"
    said = ""
    for scale, name in ((1000, "千"), (100, "百"), (10, "十")):
        times, number = divmod(number, scale)
        if times:
            said += f"{_DIGITS[times] if times > 1 else ''}{name}"
    return said + (_DIGITS[number] if number or not said else "")


def telephone(match: re.Match) -> str:
    """Zero is zero, not rei."""
    return "".join("ゼロ" if digit == "0" else _DIGITS[int(digit)] for digit in match.group() if digit.isdigit())


def fraction(match: re.Match) -> str | None:
    """3/4 四分の三; 11/25 is the 25th of November."""
    first, second = int(match[1]), int(match[2])
    if 0 < first <= 12 < second <= 31:
        return f"{count(first)}月{count(second)}日"
    return f"{count(second)}分の{count(first)}" if 0 < first < second else None


JAPANESE = Language(
    code="ja",
    name="Japanese",
    char_limit=71,
    letters=LATIN + "々ーヶヵゝゞヽヾ",
    ranges=(*HAN, (0x3041, 0x3096), (0x30A1, 0x30FA)),
    punctuation="。、；：！？'-",
    sentence_end="。！？",
    spaced=False,
    letter_forms={"〜": "ー"},
    cardinal=count,
    point="点",
    decimal_comma=False,
    scales={"万": "万", "百万": "百万", "千万": "千万", "億": "億", "兆": "兆"},
    readings={
        # a wide comma between numbers divides them, but three digits after it are thousands (１，２３４)
        r"(?<=\d)，(?=\d)(?!\d{3}(?!\d))|[、。，](?=[-−]?\d)(?<!\d，)": lambda match: f"{match.group()} ",
        r"(?<![\d.,:/-])(?:\+81[ -]?)?0?\d{1,4}-\d{1,4}-\d{4}(?![\d-])": telephone,
        r"(?<![\d.,:/-])(\d{1,3})/(\d{1,4})(?![\d/]|[.,]\d)": fraction,
        r"(?<=[年月日時分円人歳回])[-–—](?=\d)": lambda match: "から",
        r"(?<=[ぁ-ヿ一-鿿])[-−](?=\d)": lambda match: "マイナス",
        r"(?<=[\d年月日時分円人歳回])[~〜～]|[~〜～](?=\d)": lambda match: "から",
    },
    plural=never,
    range_word="から",
    score_word="対",
    symbols={
        "&": "アンド",
        "%": "パーセント",
        "@": "アット",
        "+": "プラス",
        "=": "イコール",
        "minus": "マイナス",
        "°": "度",
        "#": "ナンバー",
        "hashtag": "ハッシュタグ",
        "×": "かける",
        "÷": "割る",
        "〒": "郵便番号",
    },
    address={".": "ドット", "@": "アット", "/": "スラッシュ", "-": "ハイフン", "_": "アンダーバー", ":": "コロン", "?": "クエスチョン"}
    | {"=": "イコール", "&": "アンド", "#": "シャープ", "%": "パーセント", "+": "プラス", "~": "チルダ"},
    currencies=nouns(
        {"$": "ドル", "us$": "ドル", "usd": "ドル", "€": "ユーロ", "eur": "ユーロ", "£": "ポンド", "gbp": "ポンド", "¥": "円", "￥": "円"}
        | {"jpy": "円", "₩": "ウォン", "₽": "ルーブル", "₹": "ルピー", "¢": "セント"},
    ),
    subunits=nouns(dict.fromkeys(("$", "us$", "usd", "€", "eur"), "セント") | dict.fromkeys(("£", "gbp"), "ペンス")),
    amount_joint="",
    units=nouns(
        {
            "mm": "ミリメートル",
            "cm": "センチメートル",
            "m": "メートル",
            "km": "キロメートル",
            "m²": "平方メートル",
            "km²": "平方キロメートル",
        }
        | {"m³": "立方メートル", "ha": "ヘクタール", "km/h": "キロメートル毎時", "m/s": "メートル毎秒", "mg": "ミリグラム", "g": "グラム"}
        | {
            "kg": "キログラム",
            "t": "トン",
            "ml": "ミリリットル",
            "l": "リットル",
            "°c": "度",
            "°f": "華氏度",
            "°": "度",
            "kb": "キロバイト",
        }
        | {"mb": "メガバイト", "gb": "ギガバイト", "tb": "テラバイト", "hz": "ヘルツ", "khz": "キロヘルツ", "mhz": "メガヘルツ"}
        | {"ghz": "ギガヘルツ", "w": "ワット", "kw": "キロワット", "kwh": "キロワット時", "v": "ボルト"},
    ),
    calendars=months("一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月"),
    date_order="ymd",
    date="{year}年{month}{day}日",
    time=("{hour}時", "{hour}時{minute}分", "{hour}時{minute}分{second}秒"),
)
