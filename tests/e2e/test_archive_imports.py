"""A worker runs the handler of its archive, though the editable install puts handler/ on its path too."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from archiver.build import build_archive
from archiver.fingerprint import HANDLER_FOLDER, read_description
from archiver.options import ArchiveOptions
from archiver.pack import pack
from archiver.weights import EMBEDDED
from detection.options import Options
from support.running_service import environment_for, running

NAME = "changed"  # no checkpoint has this name, so the service serves the archive in the store as it is
CHANGES = {
    "yolov5_handler.py": ('TITLE = "YOLOv5 on TorchServe"', 'TITLE = "A changed handler"'),
    "detection/options.py": ('_option("number", 0.45,', '_option("number", 0.46,'),
    "worker_metrics.py": ("class WorkerMetrics:", 'print("changed worker metrics")\n\n\nclass WorkerMetrics:'),
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return environment_for(tmp_path)


@pytest.fixture
def archive(environment: dict[str, str], tmp_path: Path) -> Path:
    """An archive of the embedded model with a handler in which each top-level module is changed."""
    handler = tmp_path / "handler"
    shutil.copytree(HANDLER_FOLDER, handler, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in CHANGES.items():
        text = (handler / name).read_text()
        assert text.count(old) == 1
        (handler / name).write_text(text.replace(old, new))
    store = Path(environment["MODEL_STORE"])
    unchanged = build_archive(EMBEDDED, ArchiveOptions("shapes", tmp_path / "unchanged", image_size=320))
    with zipfile.ZipFile(unchanged) as opened:
        programs = [Path(opened.extract(name, tmp_path)) for name in ("model.xml", "model.bin")]
    description = read_description(unchanged)
    assert description
    return pack(programs, description, ArchiveOptions(NAME, store), handler)


def test_the_archive_s_modules_win_over_the_installed_ones(archive: Path, environment: dict[str, str]) -> None:
    with running([NAME], environment) as service:
        own = service.describe(NAME)["customizedMetadata"]
        assert own["title"] == "A changed handler"
        assert own["defaults"]["iou"] == 0.46 != Options().iou
        logs = "".join(path.read_text(errors="replace") for path in service.run.rglob("*.log"))
        assert "changed worker metrics" in logs
