from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from support.browser.visits import SECONDS, visiting
from support.running_service import ROOT, environment_for, running


@pytest.fixture
def lone_page(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A page that keeps running without its service. Returns the environment of both."""
    environment = environment_for(tmp_path)
    port = environment["UI_PORT"]
    addresses = {
        f"{name}_URL": f"http://127.0.0.1:{environment[f'{name}_PORT']}"
        for name in ("INFERENCE", "MANAGEMENT", "METRICS")
    }
    key_file = str(Path(environment["RUN_DIR"]) / "key_file.json")
    page = subprocess.Popen(
        [sys.executable, "-m", "server.runtime.page", str(os.getpid())],
        cwd=ROOT, env={**environment, **addresses, "KEY_FILE": key_file}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).raise_for_status()
                break
            except requests.RequestException:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield environment
    finally:
        page.terminate()
        page.wait(10)


NO_ANSWER = re.compile("The server (does not answer|is not running yet)")


def test_an_open_page_continues_after_a_restart_of_its_server(chromium: Browser, lone_page: dict[str, str]) -> None:
    visits = visiting(chromium, f"http://127.0.0.1:{lone_page['UI_PORT']}")
    page = next(visits)()
    expect(page.get_by_text(NO_ANSWER).first).to_be_visible()
    page.evaluate("window.marker = 'not reloaded'")
    with running(["shapes"], lone_page):
        expect(page.get_by_text("Alive.")).to_be_visible(timeout=1000 * SECONDS)
        page.get_by_role("button", name="Try the sample picture").click()
        expect(page.locator("[data-testid=stImage] img")).to_be_visible()
    expect(page.get_by_text(NO_ANSWER).first).to_be_visible()
    expect(page.locator("[data-testid=stImage] img")).to_be_visible()  # its answers stay
    page.get_by_role("button", name="Detect", exact=True).click()
    expect(page.locator("[data-testid=stImage] img")).to_have_count(0)  # sent again, and not answered
    with running(["shapes"], lone_page):  # other tokens than before
        expect(page.get_by_text("Alive.")).to_be_visible()
        expect(page.get_by_text(NO_ANSWER)).to_have_count(0)
        expect(page.locator("[data-testid=stImage] img")).to_be_visible()  # sent again without a click
    assert page.evaluate("window.marker") == "not reloaded"
    next(visits, None)
