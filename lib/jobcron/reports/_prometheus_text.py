"""Read and write files in Prometheus' text format, for node_exporter's textfile collector.

A run adds to the counters in its file: they are kept nowhere else. If the file is lost, or was written by
another version, they start again at 0, as Prometheus allows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from jobcron._version import __version__
from jobcron.settings.directories import read_own, write_whole

Labels = tuple[tuple[str, str], ...]

Samples = dict[tuple[str, Labels], float]
"""Values, by the sample's name and labels."""

# why: decisions 2026-11-24, counters for Prometheus live in the file
HEADER = f"# jobcron {__version__}\n"

MAX_BYTES = 4 * 1024 * 1024

_PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
_LINE = re.compile(r"(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+)")
_LABEL = re.compile(r'(?P<name>\w+)="(?P<value>(?:[^"\\]|\\.)*)"(?:,|$)')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
_MEANINGS = {escaped: plain for plain, escaped in _ESCAPES.items()}
_SPECIAL = re.compile(r'[\\"\n]')
_ESCAPED = re.compile(r'\\[\\"n]')


class Family(NamedTuple):
    """A metric: its name, its type ("counter", "gauge", "histogram" or "summary"), and its help text."""

    name: str
    kind: str
    text: str

    @property
    def parts(self) -> list[str]:
        """The names of its samples."""
        return [self.name + ending for ending in _PARTS.get(self.kind, ("",))]


def exposition(families: Iterable[Family], samples: Samples) -> str:
    """Return the content of a file."""
    lines = [HEADER]
    for family in families:
        found = [key for key in samples if key[0] in family.parts]
        if found:
            lines.append(f"# HELP {family.name} {family.text}\n# TYPE {family.name} {family.kind}\n")
            found.sort(key=lambda key: _order(family, *key))
            lines += [_line(*key, samples[key]) for key in found]
    return "".join(lines)


def _order(family: Family, name: str, labels: Labels) -> tuple[list[tuple[str, str]], int, float]:
    """Return a sort key: the samples of one histogram together, its buckets in the order of their bounds."""
    others = [label for label in labels if label[0] != "le"]
    return others, family.parts.index(name), float(dict(labels).get("le", 0))


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{_SPECIAL.sub(lambda found: _ESCAPES[found[0]], text)}"' for key, text in labels)
    number = str(int(value)) if value.is_integer() else repr(value)
    return f"{name}{{{shown}}} {number}\n"


def parse(text: str) -> Samples:
    """Return the samples of a file that `exposition` made; empty if another version made it.

    Raises:
        ValueError: the text is not such a file.
    """
    if text and not text.startswith("# jobcron "):
        raise ValueError("its first line is not one of jobcron's")
    if not text.startswith(HEADER):
        return {}
    samples: Samples = {}
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        value = float(match["value"]) if match else math.nan
        if match is None or not math.isfinite(value):
            raise ValueError(f"a line cannot be read: {line[:100]!r}")
        labels = tuple((label["name"], _unescaped(label["value"])) for label in _LABEL.finditer(match["labels"]))
        samples[match["name"], labels] = value
    return samples


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _MEANINGS[found[0]], text)


def read(path: str) -> str:
    """Return the content of one of our files; empty if there is none, or if it is another user's.

    Raises:
        OSError: it cannot be read, or is a link.
        ValueError: it is too long, or not text.
    """
    try:
        found = read_own(path, MAX_BYTES + 1)
    except FileNotFoundError:
        return ""
    content = found[0] if found else b""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES} bytes")
    return content.decode()


def write(path: str, text: str) -> None:
    """Write a whole file or nothing; everybody may read it.

    It is not synced: a crash of the machine costs the figures of the last run at most.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, text.encode(), is_synced=False, mode=0o644)
