"""Readings of news, books and subtitles that a review by readers of each language found wrong, as they say them."""

import time

import pytest

from myxtts.text.languages import LANGUAGES
from myxtts.text.normalize import normalize, split_sentences

READINGS = [
    # letters with stops between them are letters, whatever abbreviations they look like
    ("en", "The U.S. economy and J.R.R. Tolkien.", "the u s economy and j r r tolkien."),
    ("en", "It is in the U.S.", "it is in the u s."),
    ("en", "at 5 a.m. in D.C., e.g. there", "at five a m in d c, for example there"),
    ("fr", "Le T.G.V. part.", "le t g v part."),
    ("fr", "P. Picasso, p. 25", "p picasso, page vingt-cinq"),
    ("ru", "А. С. Пушкин, Пушкин А.С. и С. Лавров", "а с пушкин, пушкин а с и с лавров"),
    ("ru", "г. Москва, в г. Москве, с. 25, в с. Горки", "город москва, в городе москве, страница двадцать пять, в селе горки"),
    ("pl", "W. Szymborska i S. Lem, s. 25, XX w.", "w szymborska i s lem, strona dwadzieścia pięć, dwudziestego wieku."),
    ("cs", "s. 25 a S. Novák", "strana dvacet pět a s novák"),
    # numbers beside signs
    ("en", "5% 10%, 5 %, %5", "five percent ten percent, five percent, five percent"),
    ("ko", "5%~10%", "오 퍼센트 십 퍼센트"),
    ("en", "5G, 5 g, 4:3 and 1914—1918", "five g, five grams, four to three and nineteen fourteen to nineteen eighteen"),
    ("de", "5G im Netz", "fünf g im netz"),
    ("zh-cn", "用5G手机，风力3-4级，气温-5℃～10℃", "用五g手机，风力三到四级，气温零下五摄氏度到十摄氏度"),
    ("zh-cn", "1939—1945年", "一九三九到一九四五年"),
    ("it", "2:1", "due uno"),
    # English
    ("en", "221 Baker St. in London, St. Mary's", "two hundred and twenty-one baker street in london, saint mary's"),
    ("en", "He lives on Baker St.", "he lives on baker street."),
    ("en", "No. 5, pp. 10-12, vol. 2, fig. 3", "number five, pages ten to twelve, volume two, figure three"),
    ("en", "He said no. I agree.", "he said no. i agree."),
    ("en", "the '90s, the 80s, 6'2\", 900 sq. ft.", "the nineties, the eighties, six foot two, nine hundred square feet"),
    ("en", "Sen. Warren in Sept., Gov. Newsom", "senator warren in september, governor newsom"),
    ("en", "the 2000s and the 2010s", "the two thousands and the twenty tens"),
    ("en", "in 25 min. and 5 ft. 4 in. tall", "in twenty-five minutes and five feet four inches tall"),
    ("en", "a $5-million house, a Ph.D., in N.Y.C now", "a five-million-dollar house, a p h d, in n y c now"),
    # others
    (
        "de",
        "vom 1.–5. Mai, im XX. Jahrhundert, der II. Weltkrieg",
        "vom ersten bis fünften mai, im zwanzigsten jahrhundert, der zweite weltkrieg",
    ),
    ("fr", "J.-C. Van Damme et M.-C. Dupont, en 52 av. J.-C.", "j c van damme et m c dupont, en cinquante-deux avant jésus-christ."),
    ("es", "Isabel II y Felipe II", "isabel segunda y felipe segundo"),
    ("de", "S. 12, in den 80ern, Müller & Co. KG", "seite zwölf, in den achtzigern, müller und co kg"),
    ("fr", "Le Dr Petit à St-Denis, 24h/24", "le docteur petit à saint-denis, vingt-quatre heures sur vingt-quatre"),
    ("es", "En el s. XIX, a las 3:15 p.m.!", "en el siglo diecinueve, a las tres y quince p m!"),
    ("es", "Del s. XIX a s. 2026", "del siglo diecinueve a s. dos mil veintiséis"),
    ("nl", "A.A/.0", "a a nul"),
    ("ar", "a.و2026", "a. وألفان وستة وعشرون"),
    ("ja", "0…0٫", "零零。"),
    ("ru", "5-летний, 100-летие, 25-метровый, 5 лет", "пятилетний, столетие, двадцатипятиметровый, пять лет"),
    ("ru", "2-комнатная, 1-этажный", "двухкомнатная, одноэтажный"),
    ("ru", "с 5 по 10 мая, по 3 июня", "с пятого по десятое мая, по третье июня"),
    ("ru", "к 2030 году, т. 2", "к две тысячи тридцатому году, том два"),
    ("ru", "с 1941 по 1945 год", "с тысяча девятьсот сорок первого по тысяча девятьсот сорок пятый год"),
    ("pl", "5-letni, 24-godzinny, 16-letni, 2-osobowy", "pięcioletni, dwudziestoczterogodzinny, szesnastoletni, dwuosobowy"),
    ("cs", "5letý, 25letá, 9letý, 20 let", "pětiletý, dvacetipětiletá, devítiletý, dvacet let"),
    ("tr", "2. Dünya Savaşı, saat 5. Sonra", "ikinci dünya savaşı, saat beş. sonra"),
    ("ar", "أ.د. محمد و5 سيارات، سنة 1445 هـ", "أستاذ دكتور محمد وخمس سيارات، سنة ألف وأربعمائة وخمسة وأربعين هجرية"),
    ("ar", "2023م", "ألفان وثلاثة وعشرون ميلادية"),
    ("hi", "-5, नं. 5, 9876543210", "माइनस पाँच, नंबर पाँच, नौ आठ सात छह पाँच चार तीन दो एक शून्य"),
    ("de", "1. Bundesliga, der 1. FC Köln", "erste bundesliga, der erste fc köln"),
    (
        "ru",
        "в 1941–1945 гг., в 2020-2021 годах",
        "в тысяча девятьсот сорок первом тысяча девятьсот сорок пятом годах, в две тысячи двадцатом две тысячи двадцать первом годах",
    ),
    ("ru", "100%-ный, XIX–XX вв.", "стопроцентный, девятнадцатого двадцатого веков"),
    ("zh-cn", "10:00~18:00，10%~20%", "十点到十八点，百分之十到百分之二十"),
    ("ar", "30 م، الساعة 9 م", "ثلاثون مترا، الساعة تسعة مساء"),
    ("hi", "एम.ए., बी.जे.पी., यू.पी.ए. सरकार", "एम ए, बी जे पी, यू पी ए सरकार"),
    ("hi", "₹1.5 लाख करोड़, 5 मि.मी., 2 कि.मी. दूर", "एक दशमलव पाँच लाख करोड़ रुपये, पाँच मिलीमीटर, दो किलोमीटर दूर"),
    ("fa", "جوان ترها و بزرگ ترهای ما", "جوان‌ترها و بزرگ‌ترهای ما"),
    # Persian dialogue
    ("fa", "میتونی بیای؟ نمیدونم چی میشه، میگه میخواد بره.", "می‌تونی بیای؟ نمی‌دونم چی می‌شه، می‌گه می‌خواد بره."),
    ("fa", "می تونی، نمی شه، می گه", "می‌تونی، نمی‌شه، می‌گه"),
    ("fa", "میز و میان و میمون و میشی و میدان و میگو و میگرن و میل", "میز و میان و میمون و میشی و میدان و میگو و میگرن و میل"),
    ("fa", "ریخت و ها! چه خوش! می ناب، می لعل", "ریخت و ها! چه خوش! می ناب، می لعل"),
    ("fa", "آنها و آن ها، دهها نفر، تنها", "آن‌ها و آن‌ها، ده‌ها نفر، تنها"),
]


@pytest.mark.parametrize(("code", "text", "spoken"), READINGS)
def test_reading(code, text, spoken):
    assert normalize(text, code) == spoken
    assert normalize(spoken, code) == spoken


@pytest.mark.parametrize(
    ("code", "sentences"),
    [
        ("ru", ["А. С. Пушкин жил в г. Москве.", "Он умер."]),
        ("en", ["The house on Baker St. is old.", "See No. 5.", "He said no.", "I agree."]),
        ("pl", ["W. Szymborska pisała.", "S. Lem też."]),
    ],
)
def test_sentences(code, sentences):
    assert split_sentences(" ".join(sentences), code) == sentences


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("unit", ["1", "123,", "123.", "1h", ".", " ", "\u200c", '"', "a"])
def test_a_hundred_thousand_characters_of_one_kind(code, unit):
    """Grouped digits took minutes before their groups were bounded."""
    start = time.process_time()
    text = unit * (100_000 // len(unit))
    normalize(text, code), split_sentences(text, code)
    assert time.process_time() - start < 30
