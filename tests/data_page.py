"""The page about a prepared corpus, read as a browser reads it."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import soundfile
from processed_files import Processed

from myxtts.config.data import PrepareConfig
from myxtts.data.report import write_report

VOID = {"meta"}
FETCHED = ("src", "href", "srcset", "data", "action", "poster", "background", "xlink:href", "formaction")


class Page(HTMLParser):
    """A page as a browser reads it: sections by id with their text, tables, players, addresses. Fails where tags do not match."""

    def __init__(self, path: Path):
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.texts: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.items: dict[str, list[str]] = {}
        self.sounds: dict[str, list[tuple[int, bytes]]] = {}  # number of the list item, MP3
        self.svgs = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", self.html, re.DOTALL)]
        self._section = ""
        self.feed(self.html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.attributes |= set(attributes)
        self.addresses += [attributes[name] for name in FETCHED if name in attributes]
        if tag == "section":
            self._section = attributes["id"]
        if tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        if tag in ("td", "th"):
            self.rows[self._section][-1].append("")
        if tag == "li":
            self.items.setdefault(self._section, []).append("")
        if tag == "audio":
            kind, data = attributes["src"].split(",")
            assert kind == "data:audio/mpeg;base64"
            self.sounds.setdefault(self._section, []).append((len(self.items[self._section]) - 1, base64.b64decode(data)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= set(dict(attrs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts[self._section] = self.texts.get(self._section, "") + data
        if self.open and self.open[-1] != "style":
            if {"td", "th"} & set(self.open):
                self.rows[self._section][-1][-1] += data
            if "li" in self.open:
                self.items[self._section][-1] += data

    def row(self, section: str, head: str) -> list[str]:
        (found,) = [row[1:] for row in self.rows[section] if row and row[0] == head]
        return found


def report(processed: Processed, **settings) -> tuple[dict[str, float], Page]:
    processed.write()
    figures = write_report(processed.folder, processed.root, processed.out, PrepareConfig(**settings))
    return figures, Page(processed.out)


def hertz(mp3: bytes) -> float:
    """Where the spectrum of a sound is highest."""
    wave, rate = soundfile.read(io.BytesIO(mp3))
    return float(np.argmax(np.abs(np.fft.rfft(wave)))) * rate / len(wave)
