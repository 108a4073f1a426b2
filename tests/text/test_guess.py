"""The language of a corpus by the letters of its texts."""

import pytest

from myxtts.config import DataError
from myxtts.text.guess import guess_among, guess_language

TEXTS = [
    ("این کتاب را بخوانید و پنجره را ببندید.", "fa"),
    ("سلام دنیا. این کتاب من است. ما به خانه می‌رویم.", "fa"),  # no letter that Arabic lacks
    ("اين كتاب را بخوانيد و گل بچينيد", "fa"),  # typed with an Arabic keyboard
    ("می‌خواهم Windows 11 را نصب کنم، چون laptop من قدیمی است", "fa"),
    ("هذا الكتاب على الطاولة والباب مفتوح", "ar"),
    ("أكلنا البيتزا (پيتزا) في المطعم مع الأصدقاء ثم ذهبنا إلى البيت على الأقدام", "ar"),  # a letter of Persian
    ("كُتُبٌ جَدِيدَةٌ فِي الْمَكْتَبَةِ عَلَى الطَّاوِلَةِ", "ar"),
    ("یہ کتاب میز پر ہے اور دروازہ کھلا ہے", None),  # Urdu
    ("ئەم کتێبە لەسەر مێزەکەیە و دەرگاکە کراوەیە", None),  # Kurdish
    ("Эта книга лежит на столе, а сын читает", "ru"),
    ("Ця книга лежить на столі", None),  # Ukrainian
    ("През две хиляди двадесет и шеста година книгата е на масата", None),  # Bulgarian
    ("Оваа книга е на масата и вратата е отворена", None),  # Macedonian
    ("Гэтая кніга ляжыць на стале, а сын чытае", None),  # Belarusian
    ("यह किताब मेज़ पर है और दरवाज़ा खुला है", "hi"),
    ("हे पुस्तक टेबलावर आहे आणि दार उघडे आहे", None),  # Marathi
    ("यो किताब टेबलमा छ र ढोका खुला छ", None),  # Nepali
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
    assert guess_language(text.split(". ")) == code


def test_a_slip_is_not_looked_at():
    russian = ["Эта книга лежит на столе, а сын читает"] * 200
    assert guess_language([*russian, "і"]) == "ru" and guess_language([*russian, "і" * 40]) is None


def test_among_the_languages_of_a_model():
    assert guess_among("anything", ["de"]) == "de"
    assert guess_among("این کتاب را به من بده که خوب است", ["en", "fa"]) == "fa"
    pytest.importorskip("py3langid")
    for text, code in (
        ("The house stands on the hill and nobody lives there.", "en"),
        ("Das Haus steht auf dem Hügel, und niemand wohnt dort.", "de"),
        ("La maison est sur la colline et personne n'y habite.", "fr"),
    ):
        assert guess_among(text, ["en", "de", "fr", "zh-cn"]) == code


def test_among_languages_without_the_package_who_asks_is_told(monkeypatch):
    monkeypatch.setattr("myxtts.text.guess._identifier", lambda: None)
    with pytest.raises(DataError, match="which of en, de it is: name the language"):
        guess_among("hello", ["en", "de"])
