"""Which folder may import which, as ARCHITECTURE.md says."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = ("handler", "scripts", "ui")

# Each package of the project, and the other packages of the project that it may import.
PACKAGES: Mapping[str, set[str]] = {
    "detection": set(),
    "worker_metrics": {"detection"},
    "yolov5_handler": {"detection", "worker_metrics"},
    "service": set(),
    "results": {"service"},
    "page": {"results", "service"},
    "views": {"page", "results", "service"},
    "app": {"page", "service"},
    "demo_model": set(),
    "archiver": {"detection", "demo_model"},
    "checkpoint_factory": {"demo_model"},
    "server": {"archiver", "demo_model", "detection", "results", "service"},
    "planning": {"server"},
    "benchmarks": {"archiver", "checkpoint_factory", "demo_model", "detection", "server", "service"},
}
DETECTION_LIBRARIES = {"numpy", "cv2", "PIL", "simplejpeg", "openvino", "torch"}
NETWORK = {"requests", "httpx", "urllib3", "http", "socket", "ssl", "urllib", "streamlit"}
# The modules of the page that are tested, or used by threads, without Streamlit.
WITHOUT_STREAMLIT = ("jobs", "messages", "password", "settings", "swap_job", "url_download")
NEVER_SERVED = ("archiver", "demo_model", "benchmarks", "checkpoint_factory")


def module_name(path: Path) -> str:
    """`ui/service/client.py` -> `service.client`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts[1:]).removesuffix(".__init__")


SOURCES = {
    module_name(path): path
    for root in SOURCE_ROOTS
    for path in sorted((ROOT / root).rglob("*.py"))
    if path.name != "sitecustomize.py"
}


def imports(path: Path, module: str) -> Iterator[str]:
    """Dotted names of all that a file imports, anywhere in it; `package.module` for `from package import module`."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in SOURCES else base


def top_level(path: Path, module: str) -> set[str]:
    return {name.split(".")[0] for name in imports(path, module)}


def modules_of(package: str) -> dict[str, Path]:
    return {name: path for name, path in SOURCES.items() if name.split(".")[0] == package}


def test_every_package_has_a_rule() -> None:
    assert {name.split(".")[0] for name in SOURCES} == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_its_rule_allows(package: str) -> None:
    for name, path in modules_of(package).items():
        ours = top_level(path, name) & set(PACKAGES)
        assert ours <= PACKAGES[package] | {package}, f"{path} imports {ours}"


def test_the_rules_have_no_circle() -> None:
    TopologicalSorter(PACKAGES).prepare()


def test_no_module_is_in_a_circle_of_imports() -> None:
    graph = {name: set(imports(path, name)) & set(SOURCES) - {name} for name, path in SOURCES.items()}
    TopologicalSorter(graph).prepare()


def room(module: str) -> str:
    """The folder of a module below its package; a module beside such folders stands for itself."""
    parts = module.split(".")
    return module if len(parts) <= 2 else ".".join(parts[:2])


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_imports_upward(package: str) -> None:
    graph: dict[str, set[str]] = {}
    for name, path in modules_of(package).items():
        inside = {room(each) for each in imports(path, name) if each in SOURCES and each.split(".")[0] == package}
        graph.setdefault(room(name), set()).update(inside - {room(name)})
    TopologicalSorter(graph).prepare()


def test_a_circle_would_be_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith("detection")])
def test_detection_imports_its_libraries_and_nothing_of_torchserve(name: str) -> None:
    outside = top_level(SOURCES[name], name) - set(sys.stdlib_module_names) - {"detection"}
    assert outside <= DETECTION_LIBRARIES
    if name in ("detection.errors", "detection.options"):
        assert "detection" not in top_level(SOURCES[name], name)


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith("service")])
def test_the_client_library_imports_requests_and_the_standard_library_only(name: str) -> None:
    assert top_level(SOURCES[name], name) - set(sys.stdlib_module_names) - {"service"} <= {"requests"}


def reached_from(name: str) -> set[str]:
    """The module and all modules of the project that it imports, directly or not."""
    reached, left = set[str](), [name]
    while left:
        module = left.pop()
        if module in SOURCES and module not in reached:
            reached.add(module)
            left += imports(SOURCES[module], module)
    return reached


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith("results")])
def test_results_use_neither_streamlit_nor_the_network(name: str) -> None:
    modules = [module for module in reached_from(name) if module.startswith("results")]
    assert name in modules
    for module in modules:
        assert not top_level(SOURCES[module], module) & NETWORK, f"{name} reaches {module}"


@pytest.mark.parametrize("name", WITHOUT_STREAMLIT)
def test_what_works_without_streamlit_does_not_import_it(name: str) -> None:
    modules = reached_from(f"page.{name}")
    assert f"page.{name}" in modules
    for module in modules:
        assert "streamlit" not in top_level(SOURCES[module], module), f"{name} reaches {module}"


def test_only_the_page_imports_streamlit() -> None:
    users = {name.split(".")[0] for name, path in SOURCES.items() if "streamlit" in top_level(path, name)}
    assert users <= {"page", "views", "app"}


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_outside_the_tests_imports_them(name: str) -> None:
    assert not top_level(SOURCES[name], name) & {"support", "tests", "conftest", "pytest"}


@pytest.mark.parametrize("name", SOURCES)
def test_no_process_that_serves_imports_torchvision_or_ultralytics(name: str) -> None:
    found = top_level(SOURCES[name], name)
    assert "torchvision" not in found
    if name.split(".")[0] not in NEVER_SERVED:
        assert "ultralytics" not in found
    if name.split(".")[0] in ("page", "views", "app", "results", "service"):
        assert not found & {"torch", "openvino"}
