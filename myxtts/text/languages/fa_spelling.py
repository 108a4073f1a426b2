"""Persian spelling: half-spaces (ZWNJ) where they belong and nowhere else, and abbreviations that brackets or numbers tell.

Only what is sure without a dictionary: a word that may also be another one (می wine, تر wet, ای O!) is joined where its neighbours
leave no doubt. Ezafe is not written but where the spelling has it (خانه‌ی); the model learns it from speech.
"""

import re

from myxtts.text.languages.record import ZWNJ

_LETTER = r"[^\W\d_]"
_PAST = (
    "رفت|گفت|گرفت|ساخت|نوشت|داشت|گذاشت|انداخت|پرداخت|یافت|ریخت|شناخت|سوخت|گشت|فروخت|آموخت|پذیرفت|گذشت|برداشت|نشست|دانست|توانست|خواست|"
    "شکست|بست|کرد|شد|دید|داد|آمد|زد|خورد|برد|ماند|رسید|کشید|خواند|پرسید|خندید|دوید|فهمید"
)
_PRESENT = (
    "کن|شو|رو|دان|خواه|توان|گوی|بین|ده|خور|زن|گیر|رس|باش|ساز|مان|دار|گذار|پرداز|نویس|خوان|پرس|خند|دو|فهم|شناس|یاب|انداز|آور|بر|کش|گرد|نشین|"
    "پذیر|آموز|فروش|خر|پوش|ترس|گذر|شنو|بخش|ریز|سوز|پر|چرخ|لرز|رقص|خواب"
)
# as they are spoken and written in dialogue; میشی is a colour, میمونی a monkey, میان is between
_SPOKEN = (
    "(?:تون|دون|کن|زن|بین|گیر|ذار|خور|فهم|شین)(?:م|ی|ه|یم|ین|ن)|(?:گ|ر|د)(?:م|ی|ه|یم|ین|ن)|(?:ش|مون)(?:م|ه|یم|ین|ن)|"
    "خوا(?:م|ی|د|یم|ین|ن)|(?:تون|دون)ست(?:م|ی|یم|ین|ن)?"
)
_PREFIX = "(?:بر|در|باز|وا|فرو|فرا)?"
_VERB = rf"(?:{_PAST})(?:م|ی|یم|ید|ند)?|(?:{_PRESENT})(?:م|ی|د|یم|ید|ند)"
# words for numbers and signs that look like verbs after می, the month
_NO_VERB = "(?:ی?ک|دو|سو|چهار|پنج|شش|هفت|هشت|نه|ده|بیست|سی|چهل|شصت|هفتاد|هشتاد|نود|صد|هزار|درصد|پوند)م?|دویست|\\w+صدم?|\\w+دهم"
# after می and a space: a known form of a verb, or a word that ends like one (می لعل is wine)
_SPACED_VERB = re.compile(
    rf"(?<!\w)({_PREFIX}ن?می) (?!(?:{_NO_VERB})(?!\w))(?=(?:{_VERB}|{_SPOKEN}|گویی|آیی|آید|آییم|آیند|آیم|\w\w+(?:م|د|ند|ست))(?!\w))"
)
# written as one word: those forms only that are no other word (میدان, میل, میز are)
_JOINED_VERB = re.compile(
    rf"(?<!\w)({_PREFIX}ن?می)((?:شو|گرد|رو|کن|خواه|گوی|ده|گیر|باش|زن|بین|آی|رس|تو?ان|ساز|گذار|خور)(?:م|د|یم|ید|ند)|"
    r"(?:شد|کرد|رفت|گفت|داد|زد|دید|گرفت|خواست|توانست|داشت|خورد|آمد|رسید)(?:م|یم|ید|ند)?|دانم|داند|دانیم|دانید|دانند|"
    rf"{_SPOKEN})(?!\w)"
)
_PLURAL = re.compile(
    rf"(?<={_LETTER})(?<!\bو)(?<!\bکه)(?<!\bیا)(?<!\bبه)(?<!\bاز)(?<!\bبا) "
    r"(?=(?:ها|های|هایی|هایم|هایت|هایش|هایمان|هایتان|هایشان|هاست|هام|هات|هاش|هامون|هاتون|هاشون|ترین|ترین‌ها|ترین‌های)(?!\w))"
)
_ADJECTIVES = (
    "بزرگ|کوچک|مهم|بیش|کم|پایین|بالا|قوی|ضعیف|سریع|زیبا|خوب|بلند|کوتاه|سخت|آسان|جدی|دقیق|قدیمی|جوان|پیر|جدید|گران|ارزان|نزدیک|دور|بد|عمیق|"
    "سنگین|سبک|روشن|تاریک|پیش|راحت|شدید|وسیع|گسترده|مناسب|معروف|ساده|پیچیده|قشنگ|باهوش|عجیب|کامل|بیشتر|گرم|سرد|آهسته|آرام|تند|کند|زود|دیر"
)
_COMPARATIVE = re.compile(
    rf"(?<!\w)((?:{_ADJECTIVES})) (تر)(?=(?: |$|[.,،؛:!؟?]|ی(?!\w)|ها(?:ی|یی|یش|یشان|ست)?(?!\w)))|(?<={_LETTER}) (تر)(?= از(?!\w))"
)
# ه that is a vowel: not after ا, و or ی, and not in a short word (که, به, نه) or همه
_PARTICIPLE = re.compile(r"(?<!\w)((?!همه )\w+[^\W\d_اویآ]ه) (?=(?:ام|ای|اند|ایم|اید|اش|ات|شان|تان|مان)(?!\w))")
# plurals written as one word, where the letters would join (شهرها is right as it is); not تنها, اشتباها, گاها
_JOINED_PLURAL = re.compile(
    r"(?<!\w)(?!(?:انت|منت|اشت|اژد|بی‌انت)ها)(\w{2,}[^\W\d_ادذرزژو]|آن|ده)((?:ها|های|هایی|هایم|هایت|هایش|هایمان|هایتان|هایشان))(?!\w)"
)
_EZAFE = re.compile(r"(?<=ه) (?=ی(?!\w))")
_HONOURS = {
    "ص": "صلی الله علیه و آله",
    "ع": "علیه السلام",
    "س": "سلام الله علیها",
    "عج": "عجل الله تعالی فرجه",
    "ره": "رحمت الله علیه",
    "رض": "رضی الله عنه",
    "قدس": "قدس سره",
}
_HONOUR = re.compile(rf"(?<={_LETTER}) ?\(\s?({'|'.join(_HONOURS)})\s?\)(?: ?(?={_LETTER}))?")
_BEFORE_NUMBER = {"ص": "صفحه", "صص": "صفحات", "ج": "جلد", "ش": "شماره", "پ": "پلاک", "ف": "فصل"}
_COUNTED = re.compile(rf"(?<![\w.])({'|'.join(sorted(_BEFORE_NUMBER, key=len, reverse=True))})(?:\. ?| )(?=\d)")
_AFTER_YEAR = {"م": "میلادی", "ش": "شمسی", "ق": "قمری"}
_ERA = re.compile(r"(?<!\d)(?:(1[5-9]\d\d|20\d\d) ?(م)|(\d{3,4}) ?(ش|ق))(?![\w.]\w|\w)\.?")
_RANGE = re.compile(r"(?<=\d) ?ـ+ ?(?=\d)")
_DASH = re.compile(r"(?<=\s)ـ+(?=\s)")
_AND_SO_ON = re.compile(r"(?:(?<!\w)و|&) ?(?:\.(?: ?\.)+(?! ?\.)|…)(?=\s*(?:$|[.,،؛:!؟?)»\]\n]))")


def spell_persian(text: str) -> str:
    """Abbreviations that brackets or numbers tell, in a text with Persian letters, without vowel signs, with ASCII digits."""
    if "(" in text:
        text = _HONOUR.sub(lambda match: f" {_HONOURS[match[1]]} ", text)
    text = _COUNTED.sub(lambda match: f"{_BEFORE_NUMBER[match[1]]} ", text)
    text = _ERA.sub(lambda match: f"{match[1] or match[3]} {_AFTER_YEAR[match[2] or match[4]]}", text)
    text = _RANGE.sub("-", _DASH.sub("—", text))
    return _AND_SO_ON.sub(" و غیره", text)


def join_affixes(text: str) -> str:
    """Normalised text -> the same with half-spaces between a stem and its affixes."""
    if "می" in text:
        text = _SPACED_VERB.sub(rf"\1{ZWNJ}", text)
        text = _JOINED_VERB.sub(rf"\1{ZWNJ}\2", text)
    text = _JOINED_PLURAL.sub(rf"\1{ZWNJ}\2", _PLURAL.sub(ZWNJ, text))
    if " تر" in text:
        text = _COMPARATIVE.sub(lambda match: f"{match[1] or ''}{ZWNJ}{match[2] or match[3]}", text)
    text = _PARTICIPLE.sub(rf"\1{ZWNJ}", text)
    return _EZAFE.sub(ZWNJ, text)
