"""Records of the registered models: versions, workers and queues, read from the management API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ready", "starting", "unloaded", "failed"]


@dataclass(frozen=True)
class Worker:
    """A process with a copy of the network. `memory_bytes` is TorchServe's last measurement, 0 before the first."""

    id: str
    pid: int | None
    status: str  # READY, or what TorchServe calls UNLOADING: starting, stopping or dead
    memory_bytes: int
    start_time: str
    gpu: bool

    @property
    def is_ready(self) -> bool:
        """Whether it accepts requests."""
        return self.status == "READY"


@dataclass(frozen=True)
class Version:
    """A registered version of a model. `max_batch_delay` is in milliseconds."""

    version: str
    archive: str
    min_workers: int
    max_workers: int
    batch_size: int
    max_batch_delay: int
    queued: int
    queue_capacity: int
    workers: tuple[Worker, ...]
    loaded_at_startup: bool

    @property
    def ready_workers(self) -> int:
        """The number of workers that accept requests."""
        return sum(worker.is_ready for worker in self.workers)

    @property
    def state(self) -> State:
        """`ready` if it has all its workers; `failed` if it should have workers and none runs or starts."""
        if self.min_workers == 0 and not self.workers:
            return "unloaded"
        if self.ready_workers >= max(1, self.min_workers):
            return "ready"
        if self.ready_workers == 0 and not self.workers:
            return "failed"
        return "starting"

    @property
    def is_ready(self) -> bool:
        """Whether it has all its workers, and one at least: `up`, the container and the page wait for this."""
        return self.state == "ready"


@dataclass(frozen=True)
class Model:
    """A registered model. Requests without a version go to the default version."""

    name: str
    versions: tuple[Version, ...]
    default_version: str

    @property
    def default(self) -> Version:
        """The default version."""
        return self.version(self.default_version)

    @property
    def state(self) -> State:
        """The default version's state."""
        return self.default.state

    @property
    def is_ready(self) -> bool:
        """Whether the default version is ready."""
        return self.default.is_ready

    def version(self, version: str) -> Version:
        """The version with this number. Raises KeyError."""
        for candidate in self.versions:
            if candidate.version == version:
                return candidate
        raise KeyError(f"{self.name} has no version {version}")


@dataclass(frozen=True)
class ModelCard:
    """The metadata of a model's archive. `defaults`: the values of options that a request leaves out."""

    title: str
    description: str
    model: str
    version: str
    variant: str
    classes: tuple[str, ...]
    defaults: dict[str, Any]
    image_size: int
    precision: str
    engine: str
    device: str
    licence: str


@dataclass(frozen=True)
class Health:
    """The result of /ping. `alive`: the server accepted the token and is healthy; `status`: its text, as Healthy."""

    alive: bool
    status: str


def read_model(name: str, default: Sequence[dict[str, Any]], entries: Sequence[dict[str, Any]]) -> Model:
    """A model, from the descriptions of its default version and of all its versions."""
    versions = sorted((_version(entry) for entry in entries), key=lambda version: version_key(version.version))
    return Model(name, tuple(versions), default[0]["modelVersion"])


def read_model_card(entry: dict[str, Any]) -> ModelCard | None:
    """The metadata in a description with customized metadata; None for an archive of another project."""
    metadata: Any = entry.get("customizedMetadata")
    try:
        return ModelCard(
            **{name: metadata[name] for name in ModelCard.__annotations__ if name != "classes"},
            classes=tuple(metadata["classes"]),
        )
    except (KeyError, TypeError):
        return None


def version_key(version: str) -> tuple[tuple[int, str], ...]:
    """A sort key that orders versions by number: 1.9 before 1.10."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in version.split("."))


def _version(entry: dict[str, Any]) -> Version:
    queue = entry.get("jobQueueStatus") or {}
    pending = int(queue.get("pendingRequests", 0))
    return Version(
        version=entry["modelVersion"],
        archive=entry["modelUrl"],
        min_workers=int(entry["minWorkers"]),
        max_workers=int(entry["maxWorkers"]),
        batch_size=int(entry["batchSize"]),
        max_batch_delay=int(entry["maxBatchDelay"]),
        queued=pending,
        queue_capacity=pending + int(queue.get("remainingCapacity", 0)),
        workers=tuple(_worker(worker) for worker in entry["workers"]),
        loaded_at_startup=bool(entry["loadedAtStartup"]),
    )


def _worker(entry: dict[str, Any]) -> Worker:
    pid = int(entry["pid"])
    return Worker(
        entry["id"],
        pid if pid > 0 else None,
        entry["status"],
        int(entry["memoryUsage"]),
        entry["startTime"],
        bool(entry["gpu"]),
    )
