"""What is registered with TorchServe, remembered for its next start.

TorchServe forgets at its end what operators did: the versions that they registered, the defaults, the workers. What
it said last is kept in a file, with the models it was once started for: when others are wanted, that counts no more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from service.client import ServiceError
from service.operator import Operator
from service.records import Model


@dataclass(frozen=True)
class Registration:
    """A version of a model. `archive` is a file of the model store, `workers` how many it should have."""

    model: str
    version: str
    archive: str
    workers: int
    is_default: bool


def registrations(models: Sequence[Model]) -> tuple[Registration, ...]:
    """What TorchServe says of its models, as records."""
    return tuple(
        Registration(
            model.name,
            each.version,
            each.archive,
            0 if each.state == "failed" else each.min_workers,
            each.version == model.default_version,
        )
        for model in models
        # Of several versions TorchServe makes the first one that it loads the default.
        for each in sorted(model.versions, key=lambda version: version.version != model.default_version)
    )


def save(path: Path, wanted: Sequence[str], registered: Sequence[Registration]) -> None:
    """Write what is registered; the file is never half written."""
    content = {"wanted": list(wanted), "registered": [asdict(each) for each in registered]}
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content, indent=1))
    temporary.replace(path)


def load(path: Path, wanted: Sequence[str]) -> tuple[Registration, ...]:
    """What was registered last; nothing if other models are wanted now, or there is no such file or a damaged one."""
    try:
        content = json.loads(path.read_text())
        if content["wanted"] != list(wanted):
            return ()
        return tuple(Registration(**each) for each in content["registered"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def restore(operator: Operator, before: Sequence[Registration]) -> list[str]:
    """Give each version that was loaded again the workers that it had, and each model its default version.

    Returns what did not succeed. Raises ServiceError where nothing can be asked.
    """
    failures = []
    now = {(model.name, each.version): each for model in operator.models() for each in model.versions}
    for each in before:
        version = now.get((each.model, each.version))
        if version is None:
            continue  # its archive is gone or another one by now
        try:
            if version.min_workers != each.workers:
                operator.scale(each.model, each.version, each.workers)
            if each.is_default:
                operator.set_default(each.model, each.version)
        except ServiceError as error:
            failures.append(f"{each.model} {each.version}: {error}")
    return failures
