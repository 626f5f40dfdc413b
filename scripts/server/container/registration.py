"""The registered versions, saved for the next start.

TorchServe forgets at its end what operators changed: registered versions, default versions, numbers of workers. The
container therefore saves them in a file, with the models that it was started for. If other models are requested later,
the file is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from service.errors import ServiceError
from service.operator import Operator
from service.records import Model


@dataclass(frozen=True)
class Registration:
    """A version of a model. `archive` is a file of the model store, `workers` the number that it should have."""

    model: str
    version: str
    archive: str
    workers: int
    is_default: bool


def registrations(models: Sequence[Model]) -> tuple[Registration, ...]:
    """The registrations of TorchServe's models, each model's default version first."""
    return tuple(
        Registration(
            model.name,
            version.version,
            version.archive,
            0 if version.state == "failed" else version.min_workers,
            version.version == model.default_version,
        )
        for model in models
        # TorchServe makes the version that it loads first the default.
        for version in sorted(model.versions, key=lambda version: version.version != model.default_version)
    )


def save(path: Path, requested: Sequence[str], registered: Sequence[Registration]) -> None:
    """Write the registrations and the requested models. The file is replaced as a whole."""
    content = {"wanted": list(requested), "registered": [asdict(registration) for registration in registered]}
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content, indent=1))
    temporary.replace(path)


def load(path: Path, requested: Sequence[str]) -> tuple[Registration, ...]:
    """The saved registrations. Empty if other models are requested now, or the file is missing or damaged."""
    try:
        content = json.loads(path.read_text())
        if content["wanted"] != list(requested):
            return ()
        return tuple(Registration(**entry) for entry in content["registered"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def restore(operator: Operator, saved: Sequence[Registration]) -> list[str]:
    """Give each loaded version its saved number of workers, and each model its saved default version.

    Returns the failures. Raises ServiceError if the models cannot be listed.
    """
    failures = []
    loaded = {(model.name, version.version): version for model in operator.models() for version in model.versions}
    for registration in saved:
        version = loaded.get((registration.model, registration.version))
        if version is None:
            continue  # its archive was removed or replaced
        try:
            if version.min_workers != registration.workers:
                operator.scale(registration.model, registration.version, registration.workers)
            if registration.is_default:
                operator.set_default(registration.model, registration.version)
        except ServiceError as error:
            failures.append(f"{registration.model} {registration.version}: {error}")
    return failures
