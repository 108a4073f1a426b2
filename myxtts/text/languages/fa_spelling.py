"""Persian spelling: half-spaces where they belong and nowhere else."""

import re

from myxtts.text.languages.record import ZWNJ

_RUNS = re.compile(f"{ZWNJ}+")
_LOOSE = re.compile(rf"(?<![^\W\d_]){ZWNJ}|{ZWNJ}(?![^\W\d_])")
_VERB = re.compile(r"(?<!\w)(ن?می) (?=\w\w+(?:م|د|ند|ست)(?!\w))")
_SUFFIX = re.compile(r"(?<=[^\W\d_]) (?=(?:ها|های|هایی|هایم|هایت|هایش|هایمان|هایتان|هایشان|ترین)(?!\w))")
_EZAFE = re.compile(r"(?<=ه) (?=ی(?!\w))")


def spell_persian(text: str) -> str:
    text = _LOOSE.sub("", _RUNS.sub(ZWNJ, text))
    text = _VERB.sub(rf"\1{ZWNJ}", text)
    return _EZAFE.sub(ZWNJ, _SUFFIX.sub(ZWNJ, text))
