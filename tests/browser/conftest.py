"""The real service with its page, and a Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from running import ROOT, Service, command, environment_for, running

PASSWORD = "a password for the tests"
PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Chromium asks its makers' servers for updates and more unless told not to; as root it needs --no-sandbox.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
         "--use-fake-ui-for-media-stream"]  # fmt: skip
SECONDS = 30.0  # a slow machine's patience

Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium: that of CHROMIUM, or the first one found on PATH."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PLACES)), None)
    if not path:
        pytest.skip("there is no Chromium: install one (Debian: apt install chromium) or point CHROMIUM to it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with its page and two models of the same shapes, of which one sees them smaller and misses some."""
    environment = environment_for(tmp_path_factory.mktemp("site"), UI_OPERATOR_PASSWORD=PASSWORD)
    shapes = str(ROOT / "scripts" / "shapes" / "shapes.pt")
    archived = command("archive", shapes, "--name", "shapes-small", "--image-size", "160", environment=environment)
    assert archived.returncode == 0, archived.stdout + archived.stderr
    with running(["shapes", "shapes-small"], environment, page=True) as started:
        yield started


@pytest.fixture
def visit(chromium: Browser, site: Service) -> Iterator[Visit]:
    """Opens a page of the site as a new visitor: visit("compare", scheme="dark", size=(390, 844))."""
    yield from visiting(chromium, site.ui_url)


def visiting(chromium: Browser, url: str) -> Iterator[Visit]:
    """Visits of a page at any address. What the browser calls an error fails the test."""
    contexts = []
    faults: list[str] = []

    def open_page(path: str = "", scheme: str = "light", size: tuple[int, int] = (1280, 900)) -> Page:
        viewport = ViewportSize(width=size[0], height=size[1])
        context = chromium.new_context(
            viewport=viewport, color_scheme="dark" if scheme == "dark" else "light", accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * SECONDS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{url}/{path}")
        page.get_by_role("heading", level=1).wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def upload(page: Page, *files: tuple[str, bytes]) -> None:
    """Give files to the page, as (name, bytes)."""
    payloads = [{"name": name, "mimeType": "image/jpeg", "buffer": data} for name, data in files]
    page.locator("input[type=file]").first.set_input_files(payloads)  # type: ignore[arg-type]


def rows_of(page: Page, caption: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    table = page.locator("table.rows", has=page.locator("caption", has_text=caption)).first
    table.wait_for()
    rows: list[list[str]] = table.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return rows


def requests_to(service: Service, model: str) -> int:
    """How many requests the service has had for a model, by its own metrics."""
    import requests

    text = requests.get(f"{service.metrics_url}/metrics", timeout=10).text
    lines = [line for line in text.splitlines() if line.startswith("ts_inference_requests_total{")]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if f'model_name="{model}"' in line)


def saved(folder: Path, name: str, page: Page) -> Path:
    """A screenshot of what is seen."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    return path
