"""Chinese, as spoken on the mainland: 两 for quantities, years digit by digit, 幺 in telephone numbers."""

import re

from myxtts.text.languages.record import HAN, Language, months, never, noun, nouns

_DIGITS = "零一二三四五六七八九"
_SCALES = ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十"))


def count(number: int) -> str:
    """num2words has no Chinese. 二 is 两 before hundreds, thousands and their like."""
    return re.sub(r"(?:^|(?<=[百千万亿零]))二(?=[百千万亿])", "两", _count(number))


def _count(number: int) -> str:
    if number < 10:
        return _DIGITS[number]
    if number < 20:
        return "十" + (_DIGITS[number % 10] if number % 10 else "")
    scale, name = next((scale, name) for scale, name in _SCALES if number >= scale)
    rest = number % scale
    if not rest:
        return _count(number // scale) + name
    tail = _count(rest)
    if scale >= 100 and 10 <= rest < 20:
        tail = "一" + tail  # 一百一十, not 一百十
    gap = "零" if rest < scale // 10 else ""
    return f"{_count(number // scale)}{name}{gap}{tail}"


def counted(number: int, gender: str) -> str:
    """Before a measure word or unit two is 两."""
    return "两" if number == 2 else count(number)


def digits(written: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in written if digit.isdigit())


def year(number: int) -> str:
    """2026 二零二六"""
    return digits(str(number))


def telephone(match: re.Match) -> str:
    """One is yao, so that it is not heard as seven."""
    return digits(match.group()).replace("一", "幺")


def fraction(match: re.Match) -> str | None:
    """3/4 四分之三"""
    top, bottom = int(match[1]), int(match[2])
    return f"{count(bottom)}分之{count(top)}" if 0 < top < bottom else None


_MEASURES = (
    "个|只|位|本|张|条|辆|名|人|次|天|周|小时|分钟|秒|岁|倍|块|元|公里|公斤|千克|克|斤|米|厘米|毫米|吨|升|毫升|种|双|对|口|头|匹|家|间|座|"
    "杯|瓶|碗|支|把|台|部|首|场|层|页|棵|朵|颗|件|套|幅|枚|根|片|门|道|篇|段|句|亩|年(?!级|代)|平方|立方|万|千|百万|亿|多|点"
)
_START = r"(?<![\w.,:/+-])"

CHINESE = Language(
    code="zh-cn",
    name="Chinese",
    char_limit=82,
    ranges=HAN,
    punctuation="。，、；：！？'-",
    sentence_end="。！？",
    spaced=False,
    abbreviations={"mr": "先生", "dr": "博士"},
    cardinal=count,
    counted=counted,
    point="点",
    decimal_comma=False,
    scales={"万": "万", "十万": "十万", "百万": "百万", "千万": "千万", "亿": "亿", "万亿": "万亿"},
    readings={
        # a wide comma between numbers divides them, but three digits after it are thousands (１，２３４)
        r"(?<=\d)，(?=\d)(?!\d{3}(?!\d))|[、。，](?=[-−]?\d)(?<!\d，)": lambda match: f"{match.group()} ",
        r"(?<![\d.,:/-])(?:\+86[ -]?)?1[3-9]\d(?:[ -]?\d{4}){2}(?![\d-])": telephone,
        r"(?<![\d.,:/-])0\d{2,3}-\d{7,8}(?![\d-])": telephone,
        r"(?<=密码|编号|号码|邮编|代码)(\d{4,})(?!\d|[.,]\d)": lambda match: digits(match[1]),
        r"(?<![\d.,:/-])([12]\d{3})[-–—~～]([12]\d{3})(?=年)": lambda match: f"{digits(match[1])}到{digits(match[2])}",
        r"(?<![\d.,:/-])([12]\d{3}|[089]\d)(?=年)": lambda match: digits(match[1]),
        r"(?<![\d.,:/-])(\d{1,3})/(\d{1,4})(?![\d/]|[.,]\d)": fraction,
        r"(?<![\d.,:/-])(\d):(\d)(?![\d:])": lambda match: f"{count(int(match[1]))}比{count(int(match[2]))}",
        r"(?<![A-Za-z\d.,:/])[-−](?=\d{1,3}(?:\.\d+)? ?(?:°|摄氏度|度))": lambda match: "零下",
        r"(?<=[年月日号点分时元个岁C°度])[-–—~～](?=[-−]?\d)": lambda match: "到",
        r"(?<=[\d%])[~～](?=[-−]?\d)": lambda match: "到",
        r"(?<=[一-鿿])[-−](?=\d)": lambda match: "负",
        rf"(?<![A-Za-z\d.,:/第-])2(?=几?(?:{_MEASURES}))": lambda match: "两",
    },
    plural=never,
    range_word="到",
    symbols={
        "&": "和",
        "%": "百分之",
        "@": "艾特",
        "+": "加",
        "=": "等于",
        "minus": "负",
        "°": "度",
        "#": "号",
        "hashtag": "话题",
        "×": "乘",
        "÷": "除以",
        "~": "到",
    },
    percent_first=True,
    address={".": "点", "@": "艾特", "/": "斜杠", "-": "横杠", "_": "下划线", ":": "冒号", "?": "问号"}
    | {"=": "等于", "&": "和", "#": "井号", "%": "百分号", "+": "加", "~": "波浪号"},
    currencies=nouns(
        {
            "$": "美元",
            "us$": "美元",
            "usd": "美元",
            "€": "欧元",
            "eur": "欧元",
            "£": "英镑",
            "gbp": "英镑",
            "¥": "元",
            "￥": "元",
            "rmb": "元",
        }
        | {"cny": "元", "hk$": "港元", "nt$": "新台币", "₩": "韩元", "₽": "卢布", "₹": "卢比", "¢": "美分"},
        "两",
    ),
    units=nouns(
        {"mm": "毫米", "cm": "厘米", "m": "米", "km": "公里", "m²": "平方米", "km²": "平方公里", "m³": "立方米", "ha": "公顷"}
        | {"mg": "毫克", "g": "克", "kg": "公斤", "t": "吨", "ml": "毫升", "l": "升", "s": "秒", "min": "分钟", "h": "小时"}
        | {"hz": "赫兹", "khz": "千赫", "mhz": "兆赫", "w": "瓦", "kw": "千瓦", "kwh": "千瓦时", "v": "伏"},
        "两",
    )
    | nouns({"km/h": "公里每小时", "m/s": "米每秒", "°c": "摄氏度", "°f": "华氏度", "°": "度"}),
    calendars=months("一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月"),
    date_order="ymd",
    date="{year}年{month}{day}日",
    year=year,
    time=("{hour}点", "{hour}点{minute}分", "{hour}点{minute}分{second}秒"),
    zero_minute="零",
    hour=noun("点", gender="两"),
)
