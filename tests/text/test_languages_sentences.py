"""Full stops that end no sentence: ordinals, dates, Roman numerals, abbreviations of several parts, short months and currencies."""

import pytest

from myxtts.text.languages import LANGUAGES
from myxtts.text.normalize import split_sentences

# sentences as they are divided; their text is what is asked for
SENTENCES = {
    "en": ["Dr. Lee left on Nov. 3rd, i.e. late.", "It was 3.5.", "Go!"],
    "es": ["EE. UU. ganó.", "El Sr. Gil vive en la Av. Goya.", "¿Sí?", "¡No!", "El 3.er día."],
    "fr": ["M. Dupont part.", "Mme. Roy, p. ex., reste.", "C'est fini...", "Oui ?", "Non !"],
    "de": [
        "Am 25. November kam Dr. Kunz.",
        "Er wurde 5.",
        "Dann ging er, z. B. heim, am 5. Nov. 2020.",
        "Friedrich II. war da.",
        "Am 2. Tag.",
    ],
    "it": ["Il Sig. Rossi parte.", "Nel 44 a.C. morì.", "Ecco."],
    "pt": ["O Sr. Silva saiu.", "A Dra. Lima ficou, p. ex. hoje.", "Fim."],
    "nl": ["Dhr. Jansen komt, d.w.z. nu.", "Klaar."],
    "pl": ["W 1989 r. było dobrze.", "Dnia 5. maja.", "Było w XX w. i dalej.", "To 5. klasa.", "Mam 5.", "Idę."],
    "ru": ["В 1989 г. в Москве.", "Это т. е. всё.", "В XX в. жили.", "Цена 5 руб. за штуку.", "Мне 5.", "Ей 6."],
    "cs": ["Je 5. kapitola.", "Mám 5.", "Pak jdu.", "Dne 25. 11. 2026 přišel Ing. Novák.", "Karel IV. byl král."],
    "tr": ["5. kat burada.", "Kitap 5.", "Sonra gitti.", "19. yüzyıl.", "Dr. Ali geldi."],
    "hu": ["2026. november 25-én volt.", "Van 5.", "Aztán a 3. fejezet jött.", "A XX. század."],
    "ar": ["د. أحمد هنا.", "كيف؟", "نعم!"],
    "hi": ["वह आया।", "डॉ. राव गए।", "कब?"],
    "ko": ["안녕.", "3.5도입니다!", "네?"],
}


@pytest.mark.parametrize("code", SENTENCES)
def test_sentences(code):
    assert split_sentences(" ".join(SENTENCES[code]), code) == SENTENCES[code]


@pytest.mark.parametrize(
    ("code", "sentences"),
    [("zh-cn", ["你好。", "今天是3.5度！", "是吗？", "好"]), ("ja", ["はい。", "３．５度です！", "本当？", "ええ"])],
)
def test_sentences_without_spaces(code, sentences):
    assert split_sentences("".join(sentences), code) == sentences


def test_limits_are_those_of_xtts():
    limits = {"en": 250, "de": 253, "fr": 273, "es": 239, "it": 213, "pt": 203, "pl": 224, "zh-cn": 82, "ar": 166, "cs": 186, "ru": 182}
    limits |= {"nl": 251, "tr": 226, "ja": 71, "hu": 224, "ko": 95, "hi": 150}
    assert limits == {code: language.char_limit for code, language in LANGUAGES.items() if code != "fa"}
