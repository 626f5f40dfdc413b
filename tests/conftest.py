"""What all tests share: marks by folder, where the data is, and no silent skips where everything must run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from PIL import Image
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from support.running_service import Service, environment_for, running

pytest_plugins = [
    "support.browser.visitors",
    "support.stack.stacks",
]  # fixtures of tests/browser and tests/stack; a second conftest.py would be a second module of this name

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PILLOW_OPEN = Image.open


# Files that share a service run one after the other in one process, so that it is started once. Other files are groups
# of their own. The first groups take longest, so they start first.
GROUPS = {
    # Never at the same time: when Docker adds or removes a network, Chromium aborts what it is loading.
    "stack and browser": ("stack/test_*", "browser/test_*"),
    "service": tuple(
        f"e2e/test_{name}.py"
        for name in ("detect", "fuzz", "neighbours", "openapi", "parity", "shapes", "torchserve", "wire")
    ),
}
FOLDERS = ("stack", "browser", "e2e", "unit", "soak")


def group_of(file: str) -> str:
    """The group of a file, which is relative to tests/."""
    shared = (name for name, patterns in GROUPS.items() if any(fnmatch(file, pattern) for pattern in patterns))
    return next(shared, file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder, and start with the groups that take longest."""
    for item in items:
        item.add_marker(getattr(pytest.mark, item.path.relative_to(TESTS).parts[0]))
    items.sort(key=lambda item: _rank(item.path.relative_to(TESTS).as_posix()))


def _rank(file: str) -> int:
    group = group_of(file)
    return list(GROUPS).index(group) if group in GROUPS else len(GROUPS) + FOLDERS.index(file.split("/")[0])


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives whole groups of tests to the processes of pytest-xdist.

    Its own mark for groups has no effect with pytest 9.2: it writes to an attribute that pytest no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.split("::")[0].removeprefix("tests/"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """The scheduler of a run in several processes."""
    return GroupScheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that says what was skipped, and why."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    if reasons:
        text = "; ".join(f"{count} tests: {reason}" for reason, count in reasons.most_common())
        terminalreporter.write_line(f"Skipped {text}. CONTRIBUTING.md says how to run them.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With REQUIRE_ALL_TESTS set, a skipped test is a failed one: CI has everything that a test may need."""
    report = yield
    if report.skipped and os.environ.get("REQUIRE_ALL_TESTS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but REQUIRE_ALL_TESTS is set: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def pillow_as_it_is_where_we_serve() -> None:
    """ultralytics, which some tests build checkpoints with, replaces Pillow's `open`; what serves never imports it."""
    Image.open = PILLOW_OPEN


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores make small networks slower, not faster."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def folder_of(variable: str) -> Path:
    """The folder that an environment variable names; the test is skipped where it is not set."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set: it names a folder with test data that is not part of this project")
    return Path(value)


def weights(name: str) -> Path:
    """A real checkpoint of YOLOV5_WEIGHTS_DIR; the test is skipped where there is none of that name."""
    path = folder_of("YOLOV5_WEIGHTS_DIR") / f"{name}.pt"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in YOLOV5_WEIGHTS_DIR")
    return path


@pytest.fixture(scope="session")
def coco() -> Path:
    """The folder with bus.jpg, zidane.jpg, train2017/ and val2017/."""
    return folder_of("COCO_DIR")


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder with the reference's answers."""
    return folder_of("GOLDEN_DIR")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the embedded model, and with the real ones whose checkpoints are at hand."""
    folders = [Path(folder) for folder in os.environ.get("YOLOV5_WEIGHTS_DIR", "").split(os.pathsep) if folder]
    names = ("yolov5n", "waste-2class")
    real = [name for name in names if any((folder / f"{name}.pt").is_file() for folder in folders)]
    with running(["shapes", *real], environment_for(tmp_path_factory.mktemp("service"))) as started:
        yield started


@pytest.fixture(scope="session")
def yolov5n(service: Service) -> Service:
    """The service, if it has real COCO weights."""
    if "yolov5n" not in service.models:
        pytest.skip("yolov5n.pt is not in YOLOV5_WEIGHTS_DIR")
    return service
