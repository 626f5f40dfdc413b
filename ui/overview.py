"""Models, versions and workers as tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Literal

from choices import WORDS
from models import Card, Model, State, Version, Worker
from tables import table, text

NONE = "-"
Colour = Literal["green", "orange", "gray", "red"]
COLOURS: dict[State, Colour] = {"ready": "green", "starting": "orange", "unloaded": "gray", "failed": "red"}
STYLE = """<style>
.wide {overflow-x: auto;} .wide table {min-width: 40rem;} .wide td {overflow-wrap: normal; white-space: nowrap;}
.wide {margin-bottom: 0.75rem;}
</style>"""


def versions(model: Model, cards: dict[str, Card]) -> str:
    """A model's versions; `cards` are those of its versions that are ready."""
    heads = ["Version", "State", "Workers", "Waiting", "Batch", "Precision", "Engine", "Size", "Archive"]
    rows = [_version(model, version, cards.get(version.version)) for version in model.versions]
    return _wide(f"Versions of {model.name}", table("Versions", heads, rows, numbers=(2, 3, 4, 7)))


def workers(model: Model) -> str:
    """The workers of all of a model's versions."""
    heads = ["Worker", "Version", "State", "Process", "Memory", "Device", "Since"]
    rows = [_worker(version, worker) for version in model.versions for worker in version.workers]
    if not rows:
        return ""
    return _wide(f"Workers of {model.name}", table("Workers", heads, rows, numbers=(3, 4)))


def _version(model: Model, version: Version, card: Card | None) -> Sequence[str]:
    name = escape(version.version) + (" <strong>default</strong>" if version.version == model.default_version else "")
    batch = f"{version.batch_size}, up to {version.max_batch_delay} ms"
    return [
        name,
        WORDS[version.state],
        f"{version.ready_workers} of {version.min_workers}",
        f"{version.queued} of {version.queue_capacity}",
        batch,
        text(card.precision) if card and card.precision else NONE,
        text(card.engine) if card and card.engine else NONE,
        f"{card.image_size} px" if card and card.precision else NONE,
        text(version.archive),
    ]


def _worker(version: Version, worker: Worker) -> Sequence[str]:
    return [
        text(worker.id),
        text(version.version),
        "ready" if worker.is_ready else "starting or stopping",
        str(worker.pid or NONE),
        f"{worker.memory_bytes / 1e6:.0f} MB" if worker.memory_bytes else "not measured yet",
        "GPU" if worker.gpu else "CPU",
        text(_clock(worker.start_time)),
    ]


def _clock(moment: str) -> str:
    """`2026-11-22T22:10:48.641Z` as people read it."""
    try:
        return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return moment


def _wide(label: str, content: str) -> str:
    """A table that is scrolled sideways where the window is narrow, with the keyboard too."""
    return f'{STYLE}<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>'
