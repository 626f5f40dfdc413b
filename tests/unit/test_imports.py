"""Who may import whom, as ARCHITECTURE.md draws it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DETECTION = ROOT / "handler" / "detection"
LIBRARIES = {"numpy", "cv2", "PIL", "simplejpeg", "openvino", "torch"}

WITHOUT_STREAMLIT = (
    "asking", "client", "drain", "drawing", "exchange", "exports", "fetching", "filtering", "matching", "operation",
    "password", "prometheus", "settings", "simulation", "store", "swap", "tables", "words",
)  # fmt: skip


def imported(path: Path) -> set[str]:
    """Top-level names of what a file imports, anywhere in it; `.sibling` for its neighbours."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")[0]
            names.add(f".{module}" if node.level else module)
    return names - set(sys.stdlib_module_names)


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", files("handler/detection"), ids=lambda path: path.stem)
def test_detection_knows_its_libraries_and_nothing_of_torchserve(path: Path) -> None:
    outside = {name for name in imported(path) if not name.startswith(".")}
    assert outside <= LIBRARIES
    if path.stem in ("errors", "options"):
        assert not {name for name in imported(path) if name.startswith(".")}


def test_the_handler_knows_detection_only() -> None:
    assert imported(ROOT / "handler" / "yolov5_handler.py") == {"detection", "measures"}
    assert imported(ROOT / "handler" / "measures.py") == {"detection"}


@pytest.mark.parametrize("path", files("ui"), ids=lambda path: path.stem)
def test_the_page_shares_only_the_wire_with_the_rest(path: Path) -> None:
    ours = {"detection", "yolov5_handler"} | {path.name for path in (ROOT / "scripts").iterdir() if path.is_dir()}
    assert not imported(path) & (ours | {"torch", "ultralytics"})


@pytest.mark.parametrize("name", WITHOUT_STREAMLIT)
def test_what_is_behind_the_page_needs_no_streamlit(name: str) -> None:
    reached, left = set[str](), [name]
    while left:
        path = ROOT / "ui" / f"{left.pop()}.py"
        if path.stem not in reached and path.is_file():
            reached.add(path.stem)
            assert "streamlit" not in imported(path), f"{name} reaches {path.name}"
            left += imported(path)
    assert name in reached


@pytest.mark.parametrize("path", files("handler", "scripts", "ui"), ids=lambda path: path.stem)
def test_nothing_that_serves_imports_torchvision_or_ultralytics(path: Path) -> None:
    if path.parent.name in ("archiver", "shapes", "benchmarks"):
        assert "torchvision" not in imported(path)
        return
    assert not imported(path) & {"torchvision", "ultralytics"}
