"""Visits to the page: opening it, filling it, and reading it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import requests
from playwright.sync_api import Browser, Page, TimeoutError, ViewportSize, expect

from support.running_service import Service

PASSWORD = "a password for the tests"
SECONDS = 120.0  # deadline of each wait: for what hangs, not for what is slow
PAGES = ("", "compare", "models")  # their paths

# True when the script has ended and nothing fades in any more. A spinner's animation has no end and does not count.
SETTLED = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  const running = document.getAnimations().filter(animation =>
    animation.playState === 'running' && animation.effect.getComputedTiming().endTime !== Infinity);
  return app?.dataset.testScriptState === 'notRunning' && running.length === 0;
}"""

Visit = Callable[..., Page]


def visiting(chromium: Browser, url: str) -> Iterator[Visit]:
    """Visits to a page at any URL. An error in the browser fails the test."""
    expect.set_options(timeout=1000 * SECONDS)
    contexts = []
    errors: list[str] = []

    def open_page(path: str = "", scheme: str = "light", size: tuple[int, int] = (1280, 900)) -> Page:
        viewport = ViewportSize(width=size[0], height=size[1])
        context = chromium.new_context(
            viewport=viewport, color_scheme="dark" if scheme == "dark" else "light", accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * SECONDS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{url}/{path}")
        try:
            page.get_by_role("heading", level=1).wait_for()
        except TimeoutError as error:
            raise AssertionError(f"the page has no heading; its text is {page.inner_text('body')!r}") from error
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors


def filled(page: Page) -> Page:
    """The page with content: the sample's boxes, or the models' charts."""
    if page.url.endswith("/models"):
        page.get_by_role("heading", name="Registered").wait_for()
    else:
        page.get_by_role("button", name="Try the sample picture").click()
        page.locator("table.rows").last.wait_for()
        page.locator("[data-testid=stImage] img").first.wait_for()
    page.wait_for_timeout(1500)  # elements that are drawn after the text
    page.wait_for_function(SETTLED)
    return page


def upload(page: Page, *files: tuple[str, bytes]) -> None:
    """Upload files, as (name, bytes)."""
    payloads = [{"name": name, "mimeType": "image/jpeg", "buffer": data} for name, data in files]
    page.locator("input[type=file]").first.set_input_files(payloads)  # type: ignore[arg-type]


def rows_of(page: Page, caption: str) -> list[list[str]]:
    """The cells of a table's body."""
    table = page.locator("table.rows", has=page.locator("caption", has_text=caption)).first
    table.wait_for()
    rows: list[list[str]] = table.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return rows


def requests_to(service: Service, model: str) -> int:
    """The number of requests for a model, from the service's metrics."""
    text = requests.get(f"{service.metrics_url}/metrics", timeout=10).text
    lines = [line for line in text.splitlines() if line.startswith("ts_inference_requests_total{")]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if f'model_name="{model}"' in line)
