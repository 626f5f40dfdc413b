"""The running stack, shared by the tests that leave it unchanged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stack.stack import Stack, build, require_engine, stack_environment, up


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A healthy stack of compose.yaml with the embedded model, and yolov5n if its weights are available."""
    require_engine()
    folder = tmp_path_factory.mktemp("stack")
    has_weights = (Path(os.environ.get("YOLOV5_WEIGHTS_DIR", "")) / "yolov5n.pt").is_file()
    models = ("shapes", "yolov5n") if has_weights else ("shapes",)
    environment = stack_environment(folder, f"yolov5test{os.getpid()}", models)
    build(environment)
    with up(Stack(environment, folder, models)) as running:
        yield running
