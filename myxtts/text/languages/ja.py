"""Japanese."""

from myxtts.text.languages.record import HAN, LATIN, Language, never, noun

JAPANESE = Language(
    code="ja",
    name="Japanese",
    char_limit=71,
    letters=LATIN + "々ー",
    ranges=(*HAN, (0x3041, 0x3096), (0x30A1, 0x30FA)),
    punctuation="。、；：！？'-",
    sentence_end="。！？",
    spaced=False,
    num2words="ja",
    point="点",
    decimal_comma=False,
    plural=never,
    symbols={
        "&": "と",
        "%": "パーセント",
        "@": "アット",
        "+": "足す",
        "=": "イコール",
        "minus": "マイナス",
        "°": "度",
        "#": "番号",
    },
    currencies={
        "$": noun("ドル"),
        "€": noun("ユーロ"),
        "£": noun("ポンド"),
        "¥": noun("円"),
    },
    time=("{hour}時", "{hour}時{minute}分", "{hour}時{minute}分 {second}"),
)
