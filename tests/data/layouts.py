"""Small corpora of real speech, each in exactly the layout that its name says: six clips of two speakers."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

REAL_SPEECH = Path(__file__).resolve().parents[3] / "shared" / "data" / "real_speech"


@dataclass(frozen=True)
class Clip:
    id: str
    speaker: str
    text: str
    wave: np.ndarray
    rate: int


def clips() -> list[Clip]:
    """Of the shared corpus where it lies beside the repository, else chirps with words."""
    if not (REAL_SPEECH / "metadata.csv").is_file():
        time = np.arange(30000) / 24000
        words = ["one two", "three four", "five six", "seven eight", "nine ten", "one four"]
        waves = [0.4 * np.sin(2 * np.pi * (300 + 50 * n + 90 * time) * time) * (1 + np.sin(14 * time)) / 2 for n in range(6)]
        return [Clip(f"clip_{n}", "annbob"[3 * (n // 3) :][:3], words[n].capitalize() + ".", waves[n], 24000) for n in range(6)]
    rows = list(csv.DictReader((REAL_SPEECH / "metadata.csv").open(encoding="utf-8"), delimiter="|", quoting=csv.QUOTE_NONE))
    by_speaker: dict[str, list[Clip]] = {}
    for row in rows:
        speaker = by_speaker.setdefault(row["speaker"], [])
        if (
            row["text"].isascii() and 1.0 < float(row["seconds"]) < 2.0 and len(speaker) < 3 and '"' not in row["text"]
        ):  # whatever language, it is read as English
            wave, rate = soundfile.read(REAL_SPEECH / row["audio_file"], dtype="float32")
            speaker.append(Clip(Path(row["audio_file"]).stem, row["speaker"], row["text"], wave, rate))
    return [clip for speaker in [found for found in by_speaker.values() if len(found) == 3][:2] for clip in speaker]


def put(path: Path, clip: Clip) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, clip.wave, clip.rate)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def metadata(corpus: Path, data: list[Clip]) -> None:
    lines = [f"{clip.id}|{clip.text}|{clip.text.lower()}|{clip.speaker}|en\n" for clip in data]
    text(corpus / "metadata_train.csv", "".join(lines[1:]))
    text(corpus / "metadata_eval.csv", lines[0])
    for clip in data:
        put(corpus / "wavs" / f"{clip.id}.wav", clip)


def ljspeech(corpus: Path, data: list[Clip]) -> None:
    text(corpus / "metadata.csv", "".join(f"{clip.id}|{clip.text}|{clip.text}\n" for clip in data))
    for clip in data:
        put(corpus / "wavs" / f"{clip.id}.wav", clip)


def coqui(corpus: Path, data: list[Clip]) -> None:
    lines = [f"wavs/{clip.id}.wav|{clip.text}|{clip.speaker}\n" for clip in data]
    text(corpus / "metadata.csv", "audio_file|text|speaker_name\n" + "".join(lines))
    for clip in data:
        put(corpus / "wavs" / f"{clip.id}.wav", clip)


def piper(corpus: Path, data: list[Clip]) -> None:
    text(corpus / "metadata.csv", "".join(f"{clip.id}|{clip.speaker}|{clip.text}\n" for clip in data))
    for clip in data:
        put(corpus / "wav" / f"{clip.id}.wav", clip)


def vctk(corpus: Path, data: list[Clip]) -> None:
    speakers = {clip.speaker: f"p{225 + index}" for index, clip in enumerate(data[::3])}
    text(corpus / "speaker-info.txt", "ID  AGE  GENDER  ACCENTS  REGION COMMENTS \np225  23  F    English    Southern  England\n")
    for number, clip in enumerate(data, 1):
        speaker = speakers[clip.speaker]
        name = f"{speaker}/{speaker}_{number:03}"
        text(corpus / "txt" / f"{name}.txt", f"{clip.text}\n")
        for microphone in ("mic1", "mic2"):
            put(corpus / "wav48_silence_trimmed" / f"{name}_{microphone}.flac", clip)


def libritts(corpus: Path, data: list[Clip]) -> None:
    for number, clip in enumerate(data):
        speaker = {data[0].speaker: "1034"}.get(clip.speaker, "84")
        subset = "dev-clean" if number == 2 else "train-clean-100"
        stem = corpus / subset / speaker / "121119" / f"{speaker}_121119_{number:06}_000000"
        put(stem.with_suffix(".wav"), clip)
        text(stem.with_suffix(".normalized.txt"), clip.text.lower())
        text(stem.with_suffix(".original.txt"), clip.text)


def common_voice(corpus: Path, data: list[Clip]) -> None:
    columns = ["client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes", "age", "gender"]
    columns += ["accents", "variant", "locale", "segment"]
    for name, part in (("train", data[:4]), ("dev", data[4:5]), ("test", data[5:]), ("validated", data)):
        lines = ["\t".join(columns)]
        for clip in part:
            client = clip.speaker.encode().hex().ljust(128, "0")
            file = f"common_voice_en_{clip.id}.mp3"
            lines.append("\t".join([client, file, "0f", clip.text, "", "2", "0", "thirties", "female_feminine", "", "", "en", ""]))
            put(corpus / "clips" / file, clip)
        text(corpus / f"{name}.tsv", "\n".join(lines) + "\n")


def jsonl(corpus: Path, data: list[Clip]) -> None:
    """NeMo's manifests."""
    for name, part in (("train", data[:5]), ("dev", data[5:])):
        rows = [{"audio_filepath": f"audio/{clip.id}.wav", "duration": 1.0, "text": clip.text, "speaker": clip.speaker} for clip in part]
        text(corpus / f"{name}_manifest.json", "".join(json.dumps(row) + "\n" for row in rows))
        for clip in part:
            put(corpus / "audio" / f"{clip.id}.wav", clip)


def folder(corpus: Path, data: list[Clip]) -> None:
    for clip in data:
        put(corpus / clip.speaker / f"{clip.id}.wav", clip)
        text(corpus / clip.speaker / f"{clip.id}.txt", clip.text)


def comma(corpus: Path, data: list[Clip]) -> None:
    corpus.mkdir(parents=True)
    with (corpus / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["recording", "who", "what is said"])
        for clip in data:
            writer.writerow([f"sounds/{clip.id}.ogg", clip.speaker, clip.text])
            put(corpus / "sounds" / f"{clip.id}.ogg", clip)


WRITERS = {
    "metadata": metadata,
    "ljspeech": ljspeech,
    "coqui": coqui,
    "piper": piper,
    "vctk": vctk,
    "libritts": libritts,
    "common_voice": common_voice,
    "jsonl": jsonl,
    "csv": comma,
    "folder": folder,
}
SETTINGS = {"csv": {"columns": {"audio": "recording", "speaker": "who", "text": "what is said"}}}
