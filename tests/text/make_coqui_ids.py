"""Writes fixtures/coqui_ids.json: what the reference implementation makes of the sentences of coqui_corpus.py.

Run with the Python of an environment that has coqui-tts, pypinyin, cutlet and unidic-lite, from the repository's root:

    python tests/text/make_coqui_ids.py ../shared/data/xtts_vocab.json

A sentence at which the reference fails with an exception has null for its cleaned text and ids.
"""

import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path

from coqui_corpus import WORDS, corpus

FIXTURE = Path(__file__).parent / "fixtures" / "coqui_ids.json"
PACKAGES = ("coqui-tts", "num2words", "pypinyin", "cutlet", "fugashi", "unidic-lite", "tokenizers")


def with_all_languages(vocabulary: str) -> str:
    """The JSON of a vocabulary, with tags for those of the 17 languages that it lacks (the published test vocabulary lacks three)."""
    content = json.loads(vocabulary)
    known = content["model"]["vocab"]
    for tag in (f"[{language}]" for language in sorted(WORDS)):
        if tag not in known:
            known[tag] = max(known.values()) + 1
            content["added_tokens"].append(content["added_tokens"][0] | {"id": known[tag], "content": tag})
    return json.dumps(content, ensure_ascii=False)


def main(vocabulary: Path) -> None:
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(with_all_languages(vocabulary.read_text(encoding="utf-8")))
        file.flush()
        tokenizer = VoiceBpeTokenizer(file.name)
    rows = []
    for text, language in corpus():
        try:
            cleaned = tokenizer.preprocess_text(text, language.split("-")[0])
            ids = tokenizer.encode(text, language)
        except Exception as error:
            print(f"{language}: {error!r} for {text!r}")
            cleaned, ids = None, None
        rows.append({"language": language, "text": text, "cleaned": cleaned, "ids": ids})
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    FIXTURE.parent.mkdir(exist_ok=True)
    FIXTURE.write_text(f'{{"versions": {json.dumps(versions)},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(rows)} sentences, {sum(row['ids'] is None for row in rows)} refused")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
