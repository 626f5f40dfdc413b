"""Models, versions and workers as lists of facts in HTML, which wrap to any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Literal

from page.model_options import STATE_LABELS
from service.records import Model, ModelCard, State, Version, Worker

UNKNOWN = "not known"
Colour = Literal["green", "orange", "gray", "red"]
STATE_COLOURS: Mapping[State, Colour] = {"ready": "green", "starting": "orange", "unloaded": "gray", "failed": "red"}
STYLE = """<style>
.entry {border-top: 1px solid rgba(128, 140, 160, 0.3); padding: 0.6rem 0 0.2rem;}
.entry h5 {margin: 0; padding: 0 0 0.4rem; font-size: 1rem; font-weight: 600;}
.entry dl {display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 0.4rem 1rem;
  margin: 0; padding: 0; font-size: 0.9rem; font-variant-numeric: tabular-nums;}
.entry dl > div {margin: 0; padding: 0;}
.entry dt {margin: 0; font-weight: 400; opacity: 0.8;}
.entry dd {margin: 0; padding: 0; overflow-wrap: anywhere;}
</style>"""
Facts = Sequence[tuple[str, object]]


def facts_of(model: Model, cards: Mapping[str, ModelCard]) -> str:
    """A model's versions, each with its workers. `cards`: the metadata by version, as far as they are known."""
    entries = []
    for version in model.versions:
        is_default = version.version == model.default_version
        entries.append(_version(version, is_default, cards.get(version.version)))
        entries += [_worker(worker) for worker in version.workers]
    return STYLE + "".join(entries)


def _version(version: Version, is_default: bool, card: ModelCard | None) -> str:
    title = f"Version {version.version}, {STATE_LABELS[version.state]}" + (", default" if is_default else "")
    known = card if card and card.precision else None
    facts: Facts = (
        ("Workers ready", f"{version.ready_workers} of {version.min_workers}"),
        ("Requests waiting", f"{version.queued}, at most {version.queue_capacity}"),
        ("Batch size", f"{version.batch_size}, waits {version.max_batch_delay} ms"),
        ("Precision", known.precision if known else UNKNOWN),
        ("Engine", known.engine if known else UNKNOWN),
        ("Image size", f"{known.image_size} px" if known else UNKNOWN),
        ("Classes", len(known.classes) if known else UNKNOWN),
        ("Archive", version.archive),
    )
    return _entry(title, facts)


def _worker(worker: Worker) -> str:
    state = "ready" if worker.is_ready else "starting or stopping"
    facts: Facts = (
        ("State", state),
        ("Process", worker.pid or "none yet"),
        ("Memory", f"{worker.memory_bytes / 1e6:.0f} MB" if worker.memory_bytes else "not measured yet"),
        ("Device", "GPU" if worker.gpu else "CPU"),
        ("Since", _readable_time(worker.start_time)),
    )
    return _entry(f"Worker {worker.id}", facts)


def _entry(title: str, facts: Facts) -> str:
    content = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>" for name, value in facts)
    return f'<div class="entry"><h5>{escape(title)}</h5><dl>{content}</dl></div>'


def _readable_time(text: str) -> str:
    """`2026-11-22T22:10:48.641Z` as `2026-11-22 22:10:48 UTC`; other texts unchanged."""
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return text
