"""Fixtures: the real service with its page, and a Chromium that opens it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from support.browser.visits import PASSWORD, Visit, visiting
from support.running_service import ROOT, Service, command, environment_for, running

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without these flags Chromium requests updates and more from its vendor. As root it needs --no-sandbox.
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium: the one that the variable CHROMIUM names, or the first on PATH."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not path:
        pytest.skip("there is no Chromium: install one (Debian: apt install chromium) or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with its page and two models of the same weights; one has a smaller image size and misses objects."""
    environment = environment_for(tmp_path_factory.mktemp("site"), UI_OPERATOR_PASSWORD=PASSWORD)
    shapes = str(ROOT / "scripts" / "demo_model" / "shapes.pt")
    arguments = (shapes, "--name", "shapes-small", "--image-size", "160", "--model-store", environment["MODEL_STORE"])
    archived = command("archive", *arguments, environment=environment)
    assert archived.returncode == 0, archived.stdout + archived.stderr
    with running(["shapes", "shapes-small"], environment, page=True) as started:
        assert "NOT SERVED" not in started.output, started.output
        yield started


@pytest.fixture
def visit(chromium: Browser, site: Service) -> Iterator[Visit]:
    """Opens a page of the site as a new visitor: visit("compare", scheme="dark", size=(390, 844))."""
    yield from visiting(chromium, site.ui_url)
