"""German and Dutch as their readers say them.

Left: German one before a noun (1 Hund: ein or eine is not told by the text), and the case of an ordinal without an article before it.
"""

import pytest
from readings import cases, check_reading, check_there_are_many

GERMAN = [
    ("Am 25.11.2026 um 10:30 Uhr.", "am fünfundzwanzigsten november zweitausendsechsundzwanzig um zehn uhr dreißig."),
    ("Der 25. November 2026", "der fünfundzwanzigste november zweitausendsechsundzwanzig"),
    ("am 1. Mai 1945", "am ersten mai neunzehnhundertfünfundvierzig"),
    ("den 3. Okt. 2020", "den dritten oktober zweitausendzwanzig"),
    ("am 25. 11. 2026", "am fünfundzwanzigsten november zweitausendsechsundzwanzig"),
    ("bis zum 25.11. fertig", "bis zum fünfundzwanzigsten elften fertig"),
    ("um 14 Uhr, um 1:00", "um vierzehn uhr, um ein uhr"),
    ("9:05 Uhr", "neun uhr fünf"),
    ("10:30:15 Uhr", "zehn uhr dreißig und fünfzehn sekunden"),
    ("die 4. Runde, im 19. Jahrhundert", "die vierte runde, im neunzehnten jahrhundert"),
    ("der 1. FC, am 2. Tag", "der erste fc, am zweiten tag"),
    ("Er wurde 5. Dann ging er.", "er wurde fünf. dann ging er."),
    ("5,50 €", "fünf euro und fünfzig cent"),
    ("1 €, 1 $, 21 £", "ein euro, ein dollar, einundzwanzig pfund"),
    ("0,99 €", "neunundneunzig cent"),
    ("5 Mio. €", "fünf millionen euro"),
    ("2,5 Mrd. Euro", "zwei komma fünf milliarden euro"),
    ("1.234,50 €", "eintausendzweihundertvierunddreißig euro und fünfzig cent"),
    ("1989 und 2026", "neunzehnhundertneunundachtzig und zweitausendsechsundzwanzig"),
    ("1500 Euro", "fünfzehnhundert euro"),
    ("1.500 Meter", "eintausendfünfhundert meter"),
    ("die 90er Jahre", "die neunziger jahre"),
    ("1 kg, 1 h, 2 h", "ein kilogramm, eine stunde, zwei stunden"),
    ("1,5 km", "eins komma fünf kilometer"),
    ("100 km/h", "einhundert stundenkilometer"),
    ("35 °C, −3 °C", "fünfunddreißig grad celsius, minus drei grad celsius"),
    ("1 %, 75 %", "ein prozent, fünfundsiebzig prozent"),
    ("3,14 und 3,05", "drei komma eins vier und drei komma null fünf"),
    ("1/2, 2/3, 3/4", "ein halb, zwei drittel, drei viertel"),
    ("Es endete 2:1.", "es endete zwei zu eins."),
    ("Seiten 10-12, 1990-2000", "seiten zehn bis zwölf, neunzehnhundertneunzig bis zweitausend"),
    ("030 1234567", "null drei null eins zwei drei vier fünf sechs sieben"),
    ("Ludwig XIV, Kapitel IV", "ludwig der vierzehnte, kapitel vier"),
    ("Friedrich II. war König.", "friedrich der zweite war könig."),
    ("z. B. hier, d. h. dort, usw.", "zum beispiel hier, das heißt dort, und so weiter."),
    ("Hr. Meier, Fr. Dr. Kunz, Prof. Graf", "herr meier, frau doktor kunz, professor graf"),
    ("ca. 5 m, evtl. 6 m, inkl. § 5", "circa fünf meter, eventuell sechs meter, inklusive paragraf fünf"),
    ("St. Gallen, Nr. 7, Abs. 2", "sankt gallen, nummer sieben, absatz zwei"),
    ("44 v. Chr. in Rom", "vierundvierzig vor christus in rom"),
    ("im 19. Jh., also früher", "im neunzehnten jahrhundert, also früher"),
    ("PIN 1234", "pin eins zwei drei vier"),
    ("„Straße“ – ÄÖÜ", "straße, äöü"),
    ("max@beispiel.com", "max at beispiel punkt com"),
    (
        "Der 2. Weltkrieg dauerte von 1939 bis 1945.",
        "der zweite weltkrieg dauerte von neunzehnhundertneununddreißig bis neunzehnhundertfünfundvierzig.",
    ),
    (
        "Sie wohnt im 3. Stock, Goethestr. 12, 10115 Berlin.",
        "sie wohnt im dritten stock, goethestraße zwölf, zehntausendeinhundertfünfzehn berlin.",
    ),
    (
        "Um 8.30 Uhr fährt der Zug ab Gleis 1, ca. 15 Min. später.",
        "um acht uhr dreißig fährt der zug ab gleis eins, circa fünfzehn minuten später.",
    ),
    (
        "In den 1920er Jahren kosteten 2 Brote 1 Mrd. Mark.",
        "in den neunzehnhundertzwanziger jahren kosteten zwei brote eine milliarde mark.",
    ),
    ("1 Hund, 1 Katze, 1 Zeitung, Kapitel 1 Ende", "ein hund, eine katze, eine zeitung, kapitel eins ende"),
    ("Prof. Dr. Weiß, geb. 1950, wohnt Hauptstr. 7.", "professor doktor weiß, geboren neunzehnhundertfünfzig, wohnt hauptstraße sieben."),
    ("1 Million €", "eine million euro"),
]
DUTCH = [
    ("Op 25-11-2026 om 10:30 uur.", "op vijfentwintig november tweeduizend zesentwintig om tien uur dertig."),
    ("1 mei 1945", "één mei negentienhonderdvijfenveertig"),
    ("25 nov. 2020", "vijfentwintig november tweeduizend twintig"),
    ("om 14:00 uur", "om veertien uur"),
    ("om 9:05", "om negen uur vijf"),
    ("€ 5,50", "vijf euro en vijftig cent"),
    ("€ 1,00 en $1", "één euro en één dollar"),
    ("€ 0,99", "negenennegentig cent"),
    ("5 miljoen euro", "vijf miljoen euro"),
    ("€ 2,5 mln", "twee komma vijf miljoen euro"),
    ("€ 5 miljoen", "vijf miljoen euro"),
    ("1984, 1568", "negentienhonderdvierentachtig, vijftienhonderdachtenzestig"),
    ("2026", "tweeduizend zesentwintig"),
    ("1500 mensen", "vijftienhonderd mensen"),
    ("101 en 1001", "honderdeen en duizend één"),
    ("12.345", "twaalfduizend driehonderdvijfenveertig"),
    ("21 en 22", "eenentwintig en tweeëntwintig"),
    ("3,5 km", "drie komma vijf kilometer"),
    ("1 u en 2 u", "één uur en twee uur"),
    ("100 km/u", "honderd kilometer per uur"),
    ("15 °C, 1 °C", "vijftien graden celsius, één graad celsius"),
    ("80%", "tachtig procent"),
    ("3,14 en 3,05", "drie komma veertien en drie komma nul vijf"),
    ("1/2, 2/3, 3/4", "één half, twee derde, drie kwart"),
    ("de 1ste, 2de, 3e en 20ste keer", "de eerste, tweede, derde en twintigste keer"),
    ("10-12", "tien tot twaalf"),
    ("020-1234567", "nul twee nul één twee drie vier vijf zes zeven"),
    ("Willem II, hoofdstuk IV", "willem de tweede, hoofdstuk vier"),
    ("dhr. Jansen, mevr. de Vries", "de heer jansen, mevrouw de vries"),
    ("d.w.z. dit, o.a. dat, enz.", "dat wil zeggen dit, onder andere dat, enzovoort."),
    ("blz. 5, nr. 3, ca. 4", "bladzijde vijf, nummer drie, circa vier"),
    ("bijv. hier, t.o.v. daar", "bijvoorbeeld hier, ten opzichte van daar"),
    ("50 v.Chr. begon het", "vijftig voor christus begon het"),
    ("jij & ik", "jij en ik"),
    ("Coöperatie, geïnd, één", "coöperatie, geïnd, één"),
    ("−5", "min vijf"),
    (
        "In de 17e eeuw, rond 1650, leefden er 1,5 miljoen mensen.",
        "in de zeventiende eeuw, rond zestienhonderdvijftig, leefden er één komma vijf miljoen mensen.",
    ),
]
TABLES = {"de": GERMAN, "nl": DUTCH}


@pytest.mark.parametrize(("code", "text", "expected"), cases(TABLES))
def test_reading(code, text, expected):
    check_reading(code, text, expected)


def test_there_are_many_examples():
    check_there_are_many(TABLES)
