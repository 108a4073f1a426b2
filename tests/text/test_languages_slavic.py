"""Polish, Russian and Czech as their readers say them.

Left: cases. A cardinal is read in the nominative ("около 5 домов" as пять), an ordinal follows the ending of the word after it or the
preposition before it where these tell; between two numbers of a Polish or Russian range nothing is said, for "do" and "до" need a genitive.
"""

import unicodedata

import pytest

from myxtts.text.normalize import normalize, unknown_characters

POLISH = [
    ("25.11.2026 r. o 10:30.", "dwudziestego piątego listopada dwa tysiące dwudziestego szóstego roku o dziesiątej trzydzieści."),
    ("25 listopada 2026", "dwudziestego piątego listopada dwa tysiące dwudziestego szóstego roku"),
    ("1 maja 1945 r. w Polsce", "pierwszego maja tysiąc dziewięćset czterdziestego piątego roku w polsce"),
    ("o godz. 14:00", "o godzinie czternastej"),
    ("od 8:00 do 16:30", "od ósmej do szesnastej trzydzieści"),
    ("9:05", "dziewiąta zero pięć"),
    ("w 1989 roku", "w tysiąc dziewięćset osiemdziesiątym dziewiątym roku"),
    ("w 1989 r. i z 2001 r.", "w tysiąc dziewięćset osiemdziesiątym dziewiątym roku i z dwa tysiące pierwszego roku"),
    ("rok 2000", "rok dwutysięczny"),
    ("5,50 zł", "pięć złotych pięćdziesiąt groszy"),
    ("1 zł, 2 zł, 5 zł, 22 zł", "jeden złoty, dwa złote, pięć złotych, dwadzieścia dwa złote"),
    ("1,5 zł", "jeden przecinek pięć złotego"),
    ("$1, $2, $5", "jeden dolar, dwa dolary, pięć dolarów"),
    ("0,99 €", "dziewięćdziesiąt dziewięć centów"),
    ("5 mln zł", "pięć milionów złotych"),
    ("2 m, 5 km, 1,5 km", "dwa metry, pięć kilometrów, jeden przecinek pięć kilometra"),
    ("2 h, 1 t, 22 t", "dwie godziny, jedna tona, dwadzieścia dwie tony"),
    ("100 km/h", "sto kilometrów na godzinę"),
    ("15 °C, −3 °C", "piętnaście stopni celsjusza, minus trzy stopnie celsjusza"),
    ("40%", "czterdzieści procent"),
    ("5. klasa, 3. miejsce, 21. dzień", "piąta klasa, trzecie miejsce, dwudziesty pierwszy dzień"),
    ("w 2. klasie, na 5. piętrze", "w drugiej klasie, na piątym piętrze"),
    ("lata 80., w latach 60. XX wieku", "lata osiemdziesiąte, w latach sześćdziesiątych dwudziestego wieku"),
    ("w XX wieku, XIX wiek, z XV wieku", "w dwudziestym wieku, dziewiętnasty wiek, z piętnastego wieku"),
    ("II wojna światowa", "druga wojna światowa"),
    ("Jan Paweł II", "jan paweł drugi"),
    ("Zygmunt III był królem", "zygmunt trzeci był królem"),
    ("3,14 i 3,05", "trzy przecinek czternaście i trzy przecinek zero pięć"),
    ("1.234.567", "milion dwieście trzydzieści cztery tysiące pięćset sześćdziesiąt siedem"),
    ("1/2, 2/3, 3/4", "jedna druga, dwie trzecie, trzy czwarte"),
    ("10-12 osób", "dziesięć dwanaście osób"),
    ("+48 600 123 456", "plus cztery osiem sześć zero zero jeden dwa trzy cztery pięć sześć"),
    ("np. tu, m.in. tam, itd.", "na przykład tu, między innymi tam, i tak dalej."),
    ("dr Nowak, św. Jan, inż. Kot", "doktor nowak, święty jan, inżynier kot"),
    ("ul. Długa 5, nr 7, str. 9", "ulica długa pięć, numer siedem, strona dziewięć"),
    ("Mam 2 koty i 5 psów.", "mam dwa koty i pięć psów."),
    ("5. dnia, z 16. wieku", "piątego dnia, z szesnastego wieku"),
    ("P. Nowak & M. Kot", "pani nowak i pan kot"),
    ("1 książka, 1 dziecko, 2 osoby, 22 kobiety", "jedna książka, jedno dziecko, dwie osoby, dwadzieścia dwie kobiety"),
    ("1,5 mln zł, 2 tys. ludzi", "jeden przecinek pięć miliona złotych, dwa tysiące ludzi"),
]
RUSSIAN = [
    ("25.11.2026 в 10:30.", "двадцать пятого ноября две тысячи двадцать шестого года в десять тридцать."),
    ("25 ноября 2026 года", "двадцать пятого ноября две тысячи двадцать шестого года"),
    ("1 мая 1945 г. в Москве", "первого мая тысяча девятьсот сорок пятого года в москве"),
    ("3 окт. 2020", "третьего октября две тысячи двадцатого года"),
    ("в 7:00, в 1:00", "в семь часов, в один час"),
    ("9:05", "девять ноль пять"),
    ("в 1961 году, с 2000 года", "в тысяча девятьсот шестьдесят первом году, с двухтысячного года"),
    ("в 1989 г., 1990 год", "в тысяча девятьсот восемьдесят девятом году, тысяча девятьсот девяностый год"),
    ("1941-1945 гг.", "тысяча девятьсот сорок первый тысяча девятьсот сорок пятый годы"),
    ("90-е годы, в 80-х", "девяностые годы, в восьмидесятых"),
    ("5,50 ₽", "пять рублей пятьдесят копеек"),
    ("1 руб., 2 руб., 5 руб.", "один рубль, два рубля, пять рублей."),
    ("5 руб. 50 коп.", "пять рублей пятьдесят копеек."),
    ("$1, $2, $5", "один доллар, два доллара, пять долларов"),
    ("0,99 €", "девяносто девять центов"),
    ("5 млн руб.", "пять миллионов рублей."),
    ("2 м, 5 км, 1,5 км", "два метра, пять километров, одна целая пять десятых километра"),
    ("2 т, 1 мин, 22 кг", "две тонны, одна минута, двадцать два килограмма"),
    ("100 км/ч", "сто километров в час"),
    ("15 °C, −3 °C", "пятнадцать градусов цельсия, минус три градуса цельсия"),
    ("1%, 2%, 5%, 3,5%", "один процент, два процента, пять процентов, три целых пять десятых процента"),
    ("1-й, 2-я, 3-е место, 6-го числа", "первый, вторая, третье место, шестого числа"),
    ("2-х, 3-х, 5-му", "двух, трёх, пятому"),
    ("XIX век, в XX веке, конец XVIII века", "девятнадцатый век, в двадцатом веке, конец восемнадцатого века"),
    ("в XIX в. жили", "в девятнадцатом веке жили"),
    ("Пётр I, Екатерина II, Людовик XIV", "пётр первый, екатерина вторая, людовик четырнадцатый"),
    ("2 кошки, 2 кота, 12 книг", "две кошки, два кота, двенадцать книг"),
    ("1 книга, 1 дом, 21 день", "одна книга, один дом, двадцать один день"),
    ("3,14 и 0,005", "три целых четырнадцать сотых и ноль целых пять тысячных"),
    ("1 234 567", "один миллион двести тридцать четыре тысячи пятьсот шестьдесят семь"),
    ("1/2, 2/3, 3/4", "одна вторая, две третьих, три четвёртых"),
    ("10-12 дней", "десять двенадцать дней"),
    ("+7 912 345-67-89", "плюс семь девять один два три четыре пять шесть семь восемь девять"),
    ("т. е. скоро, и т. д.", "то есть скоро, и так далее."),
    ("г-н Петров, г-жа Белова, д-р Кох", "господин петров, госпожа белова, доктор кох"),
    ("ул. Мира, д. 5, кв. 7", "улица мира, дом пять, квартира семь"),
    ("стр. 5, № 7, рис. 2", "страница пять, номер семь, рисунок два"),
    ("MLflow и Ёж", "mlflow и ёж"),
    ("1,5 млн человек, 2 тыс. руб., 21 млн", "одна целая пять десятых миллиона человек, две тысячи рублей, двадцать один миллион"),
    (
        "Температура −5 °C, скорость 60 км/ч, 2-й этаж, 1/3 населения.",
        "температура минус пять градусов цельсия, скорость шестьдесят километров в час, второй этаж, одна третья населения.",
    ),
]
CZECH = [
    ("25. 11. 2026 v 10:30.", "dvacátého pátého listopadu dva tisíce dvacet šest v deset třicet."),
    ("25.11.2026", "dvacátého pátého listopadu dva tisíce dvacet šest"),
    ("25. listopadu 2026", "dvacátého pátého listopadu dva tisíce dvacet šest"),
    ("1. května 1945", "prvního května tisíc devět set čtyřicet pět"),
    ("8. 5. skončila válka", "osmého května skončila válka"),
    ("v 7:00 hod. ráno", "v sedm hodin ráno"),
    ("v 1:00, ve 2:00", "v jednu hodinu, ve dvě hodiny"),
    ("9:05", "devět nula pět"),
    ("5,50 Kč", "pět korun padesát haléřů"),
    ("1 Kč, 2 Kč, 5 Kč, 22 Kč", "jedna koruna, dvě koruny, pět korun, dvacet dva korun"),
    ("1,5 Kč", "jedna celá pět koruny"),
    ("$1, 2 €, 5 €", "jeden dolar, dvě eura, pět eur"),
    ("5 mil. Kč", "pět milionů korun"),
    ("2 m, 5 km, 1,5 km", "dva metry, pět kilometrů, jedna celá pět kilometru"),
    ("1 t, 2 h, 5 min", "jedna tuna, dvě hodiny, pět minut"),
    ("100 km/h", "sto kilometrů v hodině"),
    ("15 °C, −3 °C", "patnáct stupňů celsia, minus tři stupně celsia"),
    ("1 %, 2 %, 5 %, 1,5 %", "jedno procento, dvě procenta, pět procent, jedna celá pět procenta"),
    ("5. kapitola, 3. místo, 21. den", "pátá kapitola, třetí místo, dvacátý první den"),
    ("v 5. kapitole, na 3. místě", "v páté kapitole, na třetím místě"),
    ("v 19. století, v 90. letech", "v devatenáctém století, v devadesátých letech"),
    ("101. den", "stý první den"),
    ("Karel IV. byl císař.", "karel čtvrtý byl císař."),
    ("Mám 5. Pak jdu.", "mám pět. pak jdu."),
    ("3,14, 3,05, 0,5, 5,2", "tři celé čtrnáct, tři celé nula pět, nula celá pět, pět celých dva"),
    ("200, 300, 500, 999", "dvě stě, tři sta, pět set, devět set devadesát devět"),
    ("1 234 567", "milion dvě stě třicet čtyři tisíce pět set šedesát sedm"),
    ("1/2, 2/3, 3/4", "jedna polovina, dvě třetiny, tři čtvrtiny"),
    ("10-12", "deset až dvanáct"),
    ("2:1", "dva ku jedna"),
    ("+420 601 123 456", "plus čtyři dva nula šest nula jedna jedna dva tři čtyři pět šest"),
    ("např. to, tj. ono, atd.", "například to, to je ono, a tak dále."),
    ("p. Novák, Ing. Malá, MUDr. Bílý", "pan novák, inženýr malá, doktor bílý"),
    ("str. 5, č. 7, ul. Nová", "strana pět, číslo sedm, ulice nová"),
    ("roku 1989", "roku tisíc devět set osmdesát devět"),
    ("Příliš žluťoučký KŮŇ", "příliš žluťoučký kůň"),
    ("já & ty", "já a ty"),
    ("1 den, 1 kniha, 1 město, 2 sestry, 2 auta", "jeden den, jedna kniha, jedno město, dvě sestry, dvě auta"),
]
TABLES = {"pl": POLISH, "ru": RUSSIAN, "cs": CZECH}


@pytest.mark.parametrize(("code", "text", "expected"), [(code, *row) for code, rows in TABLES.items() for row in rows])
def test_reading(code, text, expected):
    result = normalize(text, code)
    assert result == unicodedata.normalize("NFC", expected)
    assert normalize(result, code) == result and not unknown_characters(result, code)


def test_there_are_many_examples():
    assert all(len(rows) >= 20 for rows in TABLES.values())
