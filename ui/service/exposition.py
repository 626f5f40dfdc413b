"""A reader of the Prometheus text format, as far as counters and gauges need it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"'
LABELS = rf"[ \t]*(?:{LABEL}[ \t]*,[ \t]*)*(?:{LABEL}[ \t]*)?"
SAMPLE = re.compile(
    rf"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:[ \t]*\{{(?P<labels>{LABELS})\}}[ \t]*|[ \t]+)"
    r"(?P<value>[^\s_]+)(?:[ \t]+(?P<timestamp>-?[0-9]+))?"
)
ESCAPE = re.compile(r'\\([\\n"])')


@dataclass(frozen=True)
class Sample:
    """One value of a metric. The timestamp of a line, which TorchServe does not write, is not kept."""

    name: str
    labels: Mapping[str, str]
    value: float


def read_samples(text: str) -> Iterator[Sample]:
    """The samples in a text, in its order; comments, which hold types and help, are skipped. Raises ValueError."""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            try:
                yield _sample(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None


def _sample(line: str) -> Sample:
    match = SAMPLE.fullmatch(line)
    if match is None:
        raise ValueError(f"{line[:80]!r}; expected a name, labels and a value")
    labels = {name: _unescaped(value) for name, value in re.findall(LABEL, match["labels"] or "")}
    return Sample(match["name"], labels, float(match["value"]))


def _unescaped(text: str) -> str:
    """A label's value without its escapes: a backslash, a quotation mark, or an n for a line break."""
    return ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text)
