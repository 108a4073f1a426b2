"""Hungarian, Turkish, Arabic and Hindi as their readers say them.

Left: Arabic case endings that are not written, and the gender of a number before a plural noun that is not of a list; the vowels of
Turkish suffixes after an apostrophe are taken as written; half hours of Hindi are idiomatic (साढ़े दस) before बजे alone.
"""

import unicodedata

import pytest

from myxtts.text.normalize import normalize, unknown_characters

HUNGARIAN = [
    ("2026. november 25-én 10:30-kor", "kétezer-huszonhat november huszonötödikén tíz óra harminckor"),
    ("2026.11.25.", "kétezer-huszonhat november huszonötödike"),
    ("1848. március 15.", "ezernyolcszáznegyvennyolc március tizenötödike."),
    ("május 1-jén, 2-án", "május elsején, másodikán"),
    ("a 25-i ülés", "a huszonötödikei ülés"),
    ("március 15. és április 4.", "március tizenötödike és április negyedike."),
    ("14:00-kor, 7:00", "tizennégy órakor, hét óra"),
    ("5,50 €", "öt euró ötven cent"),
    ("500 Ft, 2 Ft", "ötszáz forint, két forint"),
    ("$1 és $2", "egy dollár és két dollár"),
    ("2 millió forint", "két millió forint"),
    ("2 kutya, 12 kutya, 5 macska", "két kutya, tizenkét kutya, öt macska"),
    ("2 és 3", "kettő és három"),
    ("12 000, 22 000", "tizenkétezer, huszonkétezer"),
    ("3. fejezet, 1. teszt", "harmadik fejezet, első teszt"),
    ("a 19. század, a XX. század", "a tizenkilencedik század, a huszadik század"),
    ("IV. Béla", "negyedik béla"),
    ("Van 5. Aztán ment.", "van öt. aztán ment."),
    ("2adik, 3-adik", "második, harmadik"),
    ("3,5 km, 2,25 m", "három egész öt tized kilométer, két egész huszonöt század méter"),
    ("2 kg, 1 t", "két kiló, egy tonna"),
    ("100 km/h", "száz kilométer per óra"),
    ("15 °C, −3 °C", "tizenöt celsius-fok, mínusz három celsius-fok"),
    ("40%, 5%-os", "negyven százalék, öt százalékos"),
    ("5-öt, 10-kor, 3-ból", "ötöt, tízkor, háromból"),
    ("1/2, 2/3, 3/4", "fél, kétharmad, háromnegyed"),
    ("10-12", "tíz tizenkettő"),
    ("06 1 123 4567", "nulla hat egy egy kettő három négy öt hat hét"),
    ("Dr. Szabó, ifj. Nagy, özv. Kisné", "doktor szabó, ifjabb nagy, özvegy kisné"),
    ("pl. ez, kb. 5, stb.", "például ez, körülbelül öt, satöbbi."),
    ("Petőfi u. 5, 3. em.", "petőfi utca öt, harmadik emelet."),
    ("te & én", "te és én"),
    ("Árvíztűrő TÜKÖRFÚRÓGÉP", "árvíztűrő tükörfúrógép"),
    (
        "A 21. században 1,5 millió ember él itt; 3-4 óra; 10%-kal több.",
        "a huszonegyedik században egy egész öt tized millió ember él itt; három négy óra; tíz százalékkal több.",
    ),
]
TURKISH = [
    ("25.11.2026 saat 10:30'da", "yirmi beş kasım iki bin yirmi altı saat on otuzda"),
    ("29 Ekim 1923'te", "yirmi dokuz ekim bin dokuz yüz yirmi üçte"),
    ("7:00, 9:05", "yedi, dokuz sıfır beş"),
    ("14:00'te", "on dörtte"),
    ("5,50 ₺", "beş lira elli kuruş"),
    ("1 TL, 20 TL'den", "bir lira, yirmi liradan"),
    ("$5, 0,99 €", "beş dolar, doksan dokuz sent"),
    ("5 milyon dolar", "beş milyon dolar"),
    ("%14, %3,5", "yüzde on dört, yüzde üç virgül beş"),
    ("%14'ü", "yüzde on dördü"),
    ("5. kat, 21. gün", "beşinci kat, yirmi birinci gün"),
    ("19. yüzyıl, XIX. yüzyıl", "on dokuzuncu yüzyıl, on dokuzuncu yüzyıl"),
    ("2inci, 3'üncü, 9uncu", "ikinci, üçüncü, dokuzuncu"),
    ("21, 123, 1994", "yirmi bir, yüz yirmi üç, bin dokuz yüz doksan dört"),
    ("1.234.567", "bir milyon iki yüz otuz dört bin beş yüz altmış yedi"),
    ("100, 1000, 21.000", "yüz, bin, yirmi bir bin"),
    ("2,5 litre, 3,14, 3,05", "iki virgül beş litre, üç virgül on dört, üç virgül sıfır beş"),
    ("3 km, 2 kg", "üç kilometre, iki kilo"),
    ("100 km/sa", "saatte yüz kilometre"),
    ("25 °C, −5", "yirmi beş santigrat derece, eksi beş"),
    ("1/2, 3/4, 2/3", "bir bölü iki, dörtte üç, üçte iki"),
    ("10-12 yaş", "on on iki yaş"),
    ("5'te, 4'ü, 10'dan", "beşte, dördü, ondan"),
    ("II. Abdülhamid", "ikinci abdülhamid"),
    ("Dr. Ayşe, Prof. Ali, Av. Can", "doktor ayşe, profesör ali, avukat can"),
    ("vb. şeyler, vs.", "ve benzeri şeyler, vesaire."),
    ("No. 5, tel. 0212 123 45 67", "numara beş, telefon sıfır iki bir iki bir iki üç dört beş altı yedi"),
    ("M.Ö. 44 yılı", "milattan önce kırk dört yılı"),
    ("IŞIK İyi, İstanbul'da", "ışık iyi, istanbul'da"),
    ("sen & ben", "sen ve ben"),
    ("Atatürk Cad. 7, bkz. s. 9", "atatürk caddesi yedi, bakınız sayfa dokuz"),
    (
        "20. yüzyılda %50'si, 1990'larda 3 kişiden 1'i; 2. kat, no: 7.",
        "yirminci yüzyılda yüzde ellisi, bin dokuz yüz doksanlarda üç kişiden biri; ikinci kat, no: yedi.",
    ),
    ("2024'te 85 milyon kişi; saat 09:00'da, 3. katta.", "iki bin yirmi dörtte seksen beş milyon kişi; saat dokuzda, üçüncü katta."),
]
ARABIC = [
    ("في 25 نوفمبر 2026", "في الخامس والعشرين من نوفمبر عام ألفين وستة وعشرين"),
    ("25/11/2026", "الخامس والعشرين من نوفمبر عام ألفين وستة وعشرين"),
    ("في 3 من تشرين الثاني", "في الثالث من تشرين الثاني"),
    ("الساعة 10:30", "الساعة العاشرة وثلاثون دقيقة"),
    ("الساعة 7:00 ص", "الساعة السابعة صباحا"),
    ("الساعة 9:05 م", "الساعة التاسعة وخمس دقائق مساء"),
    ("الساعة 14:15", "الساعة الرابعة عشرة وخمس عشرة دقيقة"),
    ("في عام 1990", "في عام ألف وتسعمائة وتسعين"),
    ("سنة 2026", "سنة ألفين وستة وعشرين"),
    ("1$، 2$، 5$، 15$، 100$", "دولار واحد، دولاران، خمسة دولارات، خمسة عشر دولارا، مائة دولار"),
    ("3.50 $", "ثلاثة دولارات وخمسون سنتا"),
    ("0.99€", "تسعة وتسعون سنتا"),
    ("5 ملايين دولار", "خمسة ملايين دولار"),
    ("1 كم، 2 كم، 5 كم، 12 كم", "كيلومتر واحد، كيلومتران، خمسة كيلومترات، اثنا عشر كيلومترا"),
    ("3.5 كغ", "ثلاثة فاصلة خمسة كيلوغرام"),
    ("100 كم/س", "مائة كيلومتر في الساعة"),
    ("35 °م، 1 °م", "خمس وثلاثون درجة مئوية، درجة مئوية واحدة"),
    ("10%، 3.5%", "عشرة بالمائة، ثلاثة فاصلة خمسة بالمائة"),
    ("19 سنة، 5 سنوات", "تسع عشرة سنة، خمس سنوات"),
    ("11، 12، 13، 18", "أحد عشر، اثنا عشر، ثلاثة عشر، ثمانية عشر"),
    ("21، 22، 99", "واحد وعشرون، اثنان وعشرون، تسعة وتسعون"),
    ("100، 101، 200، 999", "مائة، مائة وواحد، مائتان، تسعمائة وتسعة وتسعون"),
    ("1000، 2000، 3000، 11000", "ألف، ألفان، ثلاثة آلاف، أحد عشر ألفا"),
    ("2500000", "مليونان وخمسمائة ألف"),
    ("1/2، 2/3، 3/4", "نصف، ثلثان، ثلاثة أرباع"),
    ("10-12", "عشرة إلى اثنا عشر"),
    ("-5", "ناقص خمسة"),
    ("٣ كتب و ٤٥ قلما", "ثلاثة كتب وخمسة وأربعون قلما"),
    ("د. أحمد، ص. 5", "دكتور أحمد، صفحة خمسة"),
    ("كتاب & قلم", "كتاب وقلم"),
    ("كِتابٌ، مُدَرِّسَةٌ", "كتاب، مدرسة"),
    ("لغة Python", "لغة python"),
    ("القرن 21 فيه 7 مليارات نسمة و 195 دولة.", "القرن الحادي والعشرين فيه سبعة مليارات نسمة ومائة وخمس وتسعون دولة."),
    (
        "وصل 3 رجال و 3 نساء، المسافة 150 كم، الساعة 11:30.",
        "وصل ثلاثة رجال وثلاث نساء، المسافة مائة وخمسون كيلومترا، الساعة الحادية عشرة وثلاثون دقيقة.",
    ),
]
HINDI = [
    ("25 नवंबर 2026", "पच्चीस नवंबर दो हज़ार छब्बीस"),
    ("15/08/1947", "पंद्रह अगस्त उन्नीस सौ सैंतालीस"),
    ("1 जनवरी, 2 फरवरी", "एक जनवरी, दो फ़रवरी"),
    ("10:30 बजे", "साढ़े दस बजे"),
    ("1:30 बजे, 2:30 बजे", "डेढ़ बजे, ढाई बजे"),
    ("10:15 बजे, 9:45 बजे", "सवा दस बजे, पौने दस बजे"),
    ("10:00 बजे, 9:05 बजे", "दस बजे, नौ बजकर पाँच मिनट"),
    ("14:20", "चौदह बजकर बीस मिनट"),
    ("1947 में, 2026 में", "उन्नीस सौ सैंतालीस में, दो हज़ार छब्बीस में"),
    ("₹5.50", "पाँच रुपये पचास पैसे"),
    ("₹1, ₹500", "एक रुपया, पाँच सौ रुपये"),
    ("100 रु. में", "एक सौ रुपये में"),
    ("₹5 करोड़", "पाँच करोड़ रुपये"),
    ("$5, 1 €", "पाँच डॉलर, एक यूरो"),
    ("14%, 3.5%", "चौदह प्रतिशत, तीन दशमलव पाँच प्रतिशत"),
    ("1,23,456 रुपये", "एक लाख तेईस हज़ार चार सौ छप्पन रुपये"),
    ("1,234", "एक हज़ार दो सौ चौंतीस"),
    ("150000, 10000000", "एक लाख पचास हज़ार, एक करोड़"),
    ("25, 39, 79, 99", "पच्चीस, उनतालीस, उनासी, निन्यानवे"),
    ("5वाँ, 5वीं, 21वें", "पाँचवाँ, पाँचवीं, इक्कीसवें"),
    ("1ला, 2री, 3रे, 6ठा", "पहला, दूसरी, तीसरे, छठा"),
    ("3.14, 0.05", "तीन दशमलव एक चार, शून्य दशमलव शून्य पाँच"),
    ("1/2, 3/4", "एक बटा दो, तीन बटा चार"),
    ("10-12 साल", "दस से बारह साल"),
    ("-5", "माइनस पाँच"),
    ("5 km, 12 किमी", "पाँच किलोमीटर, बारह किलोमीटर"),
    ("2 kg, 500 g", "दो किलोग्राम, पाँच सौ ग्राम"),
    ("25 °C", "पच्चीस डिग्री सेल्सियस"),
    ("डॉ. शर्मा, प्रो. राव", "डॉक्टर शर्मा, प्रोफ़ेसर राव"),
    ("१२३ किताबें", "एक सौ तेईस किताबें"),
    ("मैं & तुम", "मैं और तुम"),
    ("हिंदी। ठीक है?", "हिंदी। ठीक है?"),
    ("WiFi और App", "wifi और app"),
    (
        "15 अगस्त 1947 को सुबह 8:30 बजे 2.5 kg सेब ₹120.50 में मिले।",
        "पंद्रह अगस्त उन्नीस सौ सैंतालीस को सुबह साढ़े आठ बजे दो दशमलव पाँच किलोग्राम सेब एक सौ बीस रुपये पचास पैसे में मिले।",
    ),
    ("21वीं सदी में 1.4 अरब लोग हैं।", "इक्कीसवीं सदी में एक दशमलव चार अरब लोग हैं।"),
]
TABLES = {"hu": HUNGARIAN, "tr": TURKISH, "ar": ARABIC, "hi": HINDI}


@pytest.mark.parametrize(("code", "text", "expected"), [(code, *row) for code, rows in TABLES.items() for row in rows])
def test_reading(code, text, expected):
    result = normalize(text, code)
    assert result == unicodedata.normalize("NFC", expected)
    assert normalize(result, code) == result and not unknown_characters(result, code)


def test_there_are_many_examples():
    assert all(len(rows) >= 20 for rows in TABLES.values())
