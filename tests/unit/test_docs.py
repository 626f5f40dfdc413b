"""The documentation against the repository: lengths, readers, links, paths, variables, test names, old names."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from detection.options import NAMES, OPTIONS

ROOT = Path(__file__).parents[2]


def repository_files() -> list[str]:
    """Files that git tracks or would add, relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


FILES = repository_files()
PAGES = [name for name in FILES if name.endswith(".md")]
DOCS = [name for name in PAGES if re.fullmatch(r"docs/[^/]+\.md", name)]
TOP_FOLDERS = ("handler", "scripts", "ui", "tests", "deploy", "docs", "requirements")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize(("name", "most"), [("README.md", 130), ("ARCHITECTURE.md", 200)])
def test_a_document_stays_short(name: str, most: int) -> None:
    assert len(text_of(name).splitlines()) <= most


def test_the_expected_pages_exist() -> None:
    expected = {"api", "page", "models", "configuration", "operations", "performance", "guarantees", "capacity"}
    assert expected <= {Path(name).stem for name in DOCS}


@pytest.mark.parametrize("name", [*DOCS, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_a_page_begins_with_its_reader(name: str) -> None:
    title, blank, reader = text_of(name).splitlines()[:3]
    assert title.startswith("# ")
    assert not blank
    assert reader.startswith("For ")


def links(text: str) -> list[str]:
    outside_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", outside_code) + re.findall(r'src="([^"]+)"', outside_code)
    return [link.partition("#")[0] for link in found if not re.match(r"[a-z]+:|#", link)]


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_exists(name: str) -> None:
    missing = [link for link in links(text_of(name)) if not (ROOT / name).parent.joinpath(link).exists()]
    assert not missing


@pytest.mark.parametrize("name", DOCS)
def test_every_page_is_linked_from_the_readme(name: str) -> None:
    assert name in links(text_of("README.md"))


def repository_paths(text: str) -> set[str]:
    """Paths below the folders of the repository, wherever a text names them; patterns and variables end a path."""
    pattern = rf"(?<![\w/.$*-])((?:{'|'.join(TOP_FOLDERS)})/(?:[\w.-]+/)*[\w.-]*\w)(\*?)"
    return {path for path, star in re.findall(pattern, text) if not star}


@pytest.mark.parametrize("name", PAGES)
def test_every_path_of_the_repository_exists(name: str) -> None:
    places = (ROOT, (ROOT / name).parent)
    assert not [path for path in repository_paths(text_of(name)) if not any((at / path).exists() for at in places)]


@pytest.mark.parametrize("name", PAGES)
def test_every_python_file_that_is_named_exists(name: str) -> None:
    python = {Path(path).name for path in FILES if path.endswith(".py")}
    assert set(re.findall(r"(?<![\w/*-])(\w+\.py)\b", text_of(name))) <= python


# Variables that the code sets for its own child processes, or that belong to the shell and to other programs.
NOT_SETTINGS = {
    "BODY", "CONTENT_TYPE", "TOKEN", "WEIGHTS",  # of the benchmark's processes
    "JAVA_HOME", "LOG_LOCATION", "METRICS_LOCATION", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",  # of TorchServe
    "TS_CONFIG_FILE", "TS_DECODE_INPUT_REQUEST", "PYTHONPATH",
    "OPENVINO_TELEMETRY", "WANDB_MODE", "YOLO_AUTOINSTALL", "YOLO_CONFIG_DIR", "YOLO_OFFLINE",  # of libraries
    "PAGE_ADDRESS", "REGISTRY",  # of deploy/gcp/compose.gcp.yaml; up sets them
    "PATH", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID",
    "STANDIN_FOLDER", "STANDIN_MACHINE", "CONFIGURED_PROJECT",  # of the tests
    "DOCKER_CONFIG",
}  # fmt: skip
# Settings that Python and Streamlit read, not our code.
READ_BY_LIBRARIES = {"STREAMLIT_SERVER_ADDRESS", "TMPDIR"}
VARIABLE = r"[A-Z][A-Z0-9_]*[A-Z0-9]"


def variables_of_product_code(text: str) -> Iterator[str]:
    """Every constant with the form of a variable in a module that reads the environment, and all direct reads."""
    if "environ" not in text:
        return
    yield from re.findall(rf'(?:environ|variables)(?:\.get\(|\.setdefault\(|\[|, )\s*"({VARIABLE})"', text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "_" in node.value:
            yield from re.findall(rf"^{VARIABLE}$", node.value)
    # A reader of secrets reads the variable with this suffix, too.
    yield from (f"{name}_FILE" for name in re.findall(rf'secret\(\w+(?:\.\w+)?, "({VARIABLE})"', text))


def variables_of(name: str) -> set[str]:
    """The environment variables that one file of the repository reads."""
    text = text_of(name)
    if name.endswith(".py") and name.startswith("tests/"):
        return set(re.findall(rf'(?:os\.environ(?:\.get\(|\[)|folder_of\()\s*"({VARIABLE})"', text))
    if name.endswith(".py"):
        return set(variables_of_product_code(text))
    if re.search(r"(^|/)compose[\w.]*\.yaml$", name):
        return set(re.findall(rf"\$\{{({VARIABLE})", text))
    if name.endswith(".sh") or text.startswith("#!/usr/bin/env bash"):
        # A variable of the environment has a default; the others are set in the script.
        return set(re.findall(rf"\$\{{({VARIABLE}):?[-=]", text))
    return set()


def test_the_table_lists_exactly_the_variables_that_the_code_reads() -> None:
    read = set().union(*map(variables_of, FILES)) - NOT_SETTINGS | READ_BY_LIBRARIES
    rows = re.findall(rf"^\| `({VARIABLE})` \|", text_of("docs/configuration.md"), re.MULTILINE)
    assert rows == sorted(rows)
    assert len(rows) == len(set(rows))
    assert set(rows) == read


def test_variables_are_found_in_every_kind_of_file() -> None:
    assert "HEALTH_PORT" in set().union(*map(variables_of, FILES))
    assert {"UI_OPERATOR_PASSWORD_FILE", "INFERENCE_PORT"} <= variables_of("scripts/server/runtime/settings.py")
    assert "BIND_ADDRESS" in variables_of("compose.yaml")
    assert {"VENV", "PYTHON", "TORCH_INDEX_URL"} <= variables_of("scripts/environment.sh")
    assert "REQUIRE_ALL_TESTS" in variables_of("tests/conftest.py")
    assert "ZONE" in variables_of("deploy/gcp/settings.sh")


def test_the_example_of_compose_s_settings_is_documented() -> None:
    names = set(re.findall(rf"^#({VARIABLE})=", text_of(".env.example"), re.MULTILINE))
    assert names
    assert names <= variables_of("compose.yaml")


def documented_selections() -> list[tuple[str, str]]:
    """`scripts/test FOLDER -k EXPRESSION` in any page, as folder and expression."""
    found = set()
    for name in PAGES:
        for folder, quoted, plain in re.findall(
            r"scripts/test (\w+)(?: -s)? -k\s+(?:\"([^\"]+)\"|([\w.-]+))", text_of(name)
        ):
            found.add((folder, quoted or plain))
    return sorted(found)


def test_selections_are_found() -> None:
    assert len(documented_selections()) >= 20


@pytest.mark.parametrize(("folder", "expression"), documented_selections())
def test_every_documented_selection_names_tests(folder: str, expression: str) -> None:
    names = []
    for path in sorted((ROOT / "tests" / folder).glob("test_*.py")):
        names += [f"{path.name}::{test}" for test in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)]
    for keyword in expression.split(" or "):
        assert any(keyword.lower() in name.lower() for name in names), keyword


def test_the_api_page_lists_the_options_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", text_of("docs/api.md"), re.MULTILINE)
    documented = {name: (bounds, default) for name, bounds, default in rows}
    assert tuple(documented) == NAMES
    for option in OPTIONS:
        bounds, default = documented[option.name]
        assert option.bounds is None or bounds == f"{option.bounds[0]} to {option.bounds[1]}"
        if option.name not in ("classes", "image_size"):  # all classes; the image size of the model
            assert default == str(option.default).lower()


@pytest.mark.parametrize("name", PAGES)
def test_python_examples_use_names_and_arguments_that_exist(name: str) -> None:
    for block in re.findall(r"```python\n(.*?)```", text_of(name), re.DOTALL):
        imported: dict[str, object] = {}
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                imported |= {alias.name: getattr(module, alias.name) for alias in node.names}
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in imported:
                target = imported[node.func.id]
                assert callable(target)
                keywords = {str(keyword.arg): None for keyword in node.keywords}
                inspect.signature(target).bind_partial(*node.args, **keywords)


WORKFLOWS = [name for name in FILES if name.startswith(".github/workflows/")]


@pytest.mark.parametrize("name", [*WORKFLOWS, ".pre-commit-config.yaml"])
def test_ci_calls_scripts_of_the_project(name: str) -> None:
    assert isinstance(yaml.safe_load(text_of(name)), dict)
    called = set(re.findall(r"(?<![\w/])scripts/\w+", text_of(name)))
    assert called
    assert all((ROOT / script).is_file() for script in called)


def test_only_the_ci_of_this_checkout_looks_beside_it() -> None:
    here = str(Path(__file__).relative_to(ROOT))
    assert [name for name in FILES if name != here and re.search(r"\.\./shared\b", text_of(name))] == [".ci/run"]
