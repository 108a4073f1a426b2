"""The language of a corpus by the letters of its texts."""

import pytest

from myxtts.text.guess import guess_language

TEXTS = [
    ("این کتاب را بخوانید و پنجره را ببندید.", "fa"),
    ("اين كتاب را بخوانيد و گل بچينيد", "fa"),  # typed with an Arabic keyboard
    ("می‌خواهم Windows 11 را نصب کنم، چون laptop من قدیمی است", "fa"),
    ("هذا الكتاب على الطاولة والباب مفتوح", "ar"),
    ("كُتُبٌ جَدِيدَةٌ فِي الْمَكْتَبَةِ", "ar"),
    ("یہ کتاب میز پر ہے اور دروازہ کھلا ہے", None),  # Urdu
    ("Эта книга лежит на столе", "ru"),
    ("Ця книга лежить на столі", None),  # Ukrainian
    ("यह किताब मेज़ पर है", "hi"),
    ("这本书在桌子上", "zh-cn"),
    ("東京都知事選挙立候補者一覧を見る", "ja"),
    ("コンピューター", "ja"),
    ("이 책은 책상 위에 있습니다", "ko"),
    ("The book lies on the table", None),
    ("Das Buch liegt auf dem Tisch, größer als möglich", None),
    ("12345 !?", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "code"), TEXTS)
def test_guess(text, code):
    assert guess_language([text]) == code


def test_a_slip_is_not_looked_at():
    russian = ["Эта книга лежит на столе"] * 200
    assert guess_language([*russian, "і"]) == "ru" and guess_language([*russian, "і" * 40]) is None
