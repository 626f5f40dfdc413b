"""The service that most end-to-end tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Service, environment_for, running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the embedded model, and with the real ones whose checkpoints are at hand."""
    folders = [Path(folder) for folder in os.environ.get("YOLOV5_WEIGHTS_DIR", "").split(os.pathsep) if folder]
    real = [name for name in ("yolov5n", "waste-2class") if any((folder / f"{name}.pt").is_file() for folder in folders)]
    with running(["shapes", *real], environment_for(tmp_path_factory.mktemp("service"))) as started:
        yield started


@pytest.fixture(scope="session")
def yolov5n(service: Service) -> Service:
    """The service, if it has real COCO weights."""
    if "yolov5n" not in service.models:
        pytest.skip("yolov5n.pt is not in YOLOV5_WEIGHTS_DIR")
    return service
