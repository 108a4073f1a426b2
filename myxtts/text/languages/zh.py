"""Chinese."""

from myxtts.text.languages.record import HAN, Language, never, noun

_DIGITS = "零一二三四五六七八九"


def count(number: int) -> str:
    """num2words has no Chinese."""
    if number < 10:
        return _DIGITS[number]
    if number < 20:
        return "十" + (_DIGITS[number % 10] if number % 10 else "")
    scale, name = next((s, n) for s, n in ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十")) if number >= s)
    rest = number % scale
    if not rest:
        return count(number // scale) + name
    tail = count(rest)
    if scale >= 100 and 10 <= rest < 20:
        tail = "一" + tail  # 一百一十, not 一百十
    gap = "零" if rest < scale // 10 else ""
    return f"{count(number // scale)}{name}{gap}{tail}"


CHINESE = Language(
    code="zh-cn",
    name="Chinese",
    char_limit=82,
    ranges=HAN,
    punctuation="。，、；：！？'-",
    sentence_end="。！？",
    spaced=False,
    cardinal=count,
    point="点",
    decimal_comma=False,
    plural=never,
    symbols={
        "&": "和",
        "%": "百分之",
        "@": "艾特",
        "+": "加",
        "=": "等于",
        "minus": "负",
        "°": "度",
        "#": "号",
    },
    percent_first=True,
    currencies={
        "$": noun("美元"),
        "€": noun("欧元"),
        "£": noun("英镑"),
        "¥": noun("元"),
    },
    time=("{hour}点", "{hour}点{minute}分", "{hour}点{minute}分 {second}"),
)
