"""Numbers, dates, amounts and telephone numbers in Chinese words, as the cleaners of the reference implementation say them.

Its rules are applied one after the other. Each finds all its matches first and then replaces, for each of them, the first
place where the matched text stands, even inside another number ("125, 5个" -> "十二五, 五个"): models made with it know no other.
"""

import re
import string
from collections.abc import Callable

_DIGITS = "零一二三四五六七八九"
_UNITS = {1: "十", 2: "百", 3: "千", 4: "万"} | {8 + 4 * step: unit for step, unit in enumerate("亿兆京垓秭穰沟涧正载")}
_LARGE_UNITS = "".join(unit for unit in _UNITS.values() if unit != "十")
_MONEY = "(?:千万|百万|[亿万千百元块角毛分])"
_COUNTED = (
    "(?:[千微][克米]|[丈世丘丝两个丸代令件伏位冬出刀分刻勺匹升单卮厘双叠口只合名周啖回场块坡堂堆墙壳壶夏夜天头季客家寸对寻尺尾层山岁岭常幢年座张忽"
    "户手扎打担挑捆撮支斗斛斤日旬时春曲更月本条杯板枝根桶棵毫江泡溪炮煲片瓶盆盏盒盘石砣碗碟秋秒程窠笼管箩箱篮簋粒纪线罐网罗群脚腔袋袭课贯贴跳身"
    "辆辈道里针钟钧钱钵铢铺锅锱阙队阵面页顶颗首])"
)
_WIDE_MARKS = "！＂＃＄％＆＇（）＊＋，－／：；＜＝＞？＠［＼］＾＿｀｛｜｝～｟｠｡｢｣､"
_OTHER_MARKS = "·–—‘’‛“”„‟…‧、。〃〈〉《》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿﹏"
_MARKS = str.maketrans(dict.fromkeys(string.punctuation + _WIDE_MARKS + _OTHER_MARKS, ","))


def spell_chinese(text: str) -> str:
    """Chinese text with its numbers in words; every punctuation mark and ASCII sign becomes a comma."""
    text = f"^{text}$".replace("％", "%")  # with a neighbour for a number at either end, as the telephone rules want
    for pattern, spoken in _RULES:
        for match in list(pattern.finditer(text)):
            text = text.replace(match["it"], spoken(match["it"]), 1)
    return text.lstrip("^").rstrip("$").translate(_MARKS)


def chinese_number(written: str) -> str:
    """A number as written (digits, at most one point) in words: 2015 -> 两千零一十五, 12.5 -> 十二点五. All zeros ("00") say nothing."""
    whole, _, fraction = written.partition(".")
    words = _with_units(whole) if len(whole) > 1 else _digits(whole)
    words = re.sub(f"(?:^|(?<=[{_LARGE_UNITS}]))二(?=[{_LARGE_UNITS}])", "两", words)
    if fraction:
        words += f"点{_digits(fraction)}"
    if words.startswith("点"):
        return f"零{words}"
    return words[1:] if words.startswith("一十") else words


def _digits(written: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in written)


def _with_units(digits: str) -> str:
    """Recursive: what stands before the largest unit, the unit, the rest. A single digit after zeros is said with one zero."""
    significant = digits.lstrip("0")
    if len(significant) < 2:
        return "零" * (len(significant) < len(digits) and significant != "") + _digits(significant)
    power = max(power for power in _UNITS if power < len(significant))
    return _with_units(digits[:-power]) + _UNITS[power] + _with_units(significant[-power:])


def _date(written: str) -> str:
    """2024年5月3日: the year digit by digit, month and day as numbers."""
    year, mark, rest = written.rpartition("年")
    return _digits(year) + mark + _numbers(rest)


def _numbers(written: str) -> str:
    return re.sub(r"\d+(?:\.\d+)?", lambda match: chinese_number(match.group()), written)


def _telephone(written: str) -> str:
    return _digits(re.sub(r"[\s+-]", "", written))


def _fraction(written: str) -> str:
    numerator, denominator = written.split("/")
    return f"{chinese_number(denominator)}分之{chinese_number(numerator)}"


def _percentage(written: str) -> str:
    return f"百分之{chinese_number(written[:-1])}"


def _between_letters(written: str) -> str:
    """P2P and B2B keep their digit."""
    return written.replace("二", "2")


_RULES: tuple[tuple[re.Pattern, Callable[[str], str]], ...] = (
    (re.compile(r"\D+(?P<it>(?:(?:[089]\d|(?:19|20)\d\d)年)?(?:\d{1,2}月(?:\d{1,2}[日号])?)?)"), _date),
    (re.compile(rf"\D+(?P<it>\d+(?:\.\d+)?[多余几]?{_MONEY}(?:\d{_MONEY}?)?)"), _numbers),
    (re.compile(r"\D(?P<it>(?:\+?86 ?)?1(?:[38]\d|5[0-35-9]|7[678]|9[89])\d{8})\D"), _telephone),
    (re.compile(r"\D(?P<it>(?:0(?:10|2[1-3]|[3-9]\d\d)-?)?[1-9]\d{6,7})\D"), _telephone),
    (re.compile(r"(?P<it>\d+/\d+)"), _fraction),
    (re.compile(r"(?P<it>\d+(?:\.\d+)?%)"), _percentage),
    (re.compile(rf"(?P<it>\d+(?:\.\d+)?)[多余几]?{_COUNTED}"), chinese_number),
    (re.compile(r"(?P<it>\d{4,32})"), _digits),
    (re.compile(r"(?P<it>\d+(?:\.\d+)?)"), chinese_number),
    (re.compile(r"(?P<it>[a-zA-Z]+二[a-zA-Z]+)"), _between_letters),
)
