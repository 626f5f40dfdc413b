"""The page Models: what it shows, the operator's password, and the changes."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Browser, Page, TimeoutError, expect

from support.browser.visits import Visit, visiting
from support.processes import processes_of
from support.running_service import Service, running
from support.swap_load import load_on, stocked_environment, versions

SWAP_MS = 60_000.0


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for these tests only: they change it."""
    with running(
        ["shapes"], stocked_environment(tmp_path_factory.mktemp("operated"), WORKERS_PER_MODEL="1"), page=True
    ) as started:
        yield started


@pytest.fixture
def enter(chromium: Browser, operated: Service) -> Iterator[Visit]:
    yield from visiting(chromium, operated.ui_url)


@pytest.fixture
def page(enter: Visit) -> Page:
    """The page Models of an operator."""
    page = enter("models")
    unlock(page, "secret")
    expect(page.get_by_role("tab", name="Workers")).to_be_visible()
    return page


def unlock(page: Page, password: str) -> None:
    page.get_by_label("Operator password").fill(password)
    page.get_by_role("button", name="Unlock").click()


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option in the visible list of this name.

    When the models change, the page is rerun, which closes an open list. Then it is opened again, as a user would do.
    """
    choice = page.get_by_role("option", name=option)
    for _ in range(5):
        page.get_by_role("combobox", name=label).locator("visible=true").click()
        try:
            choice.click(timeout=4000)
            return
        except TimeoutError:
            page.keyboard.press("Escape")
    choice.click()


def default(service: Service) -> str:
    return service.client.describe_model("shapes").default_version


def test_a_wrong_password_changes_nothing(enter: Visit, operated: Service) -> None:
    page, before, pids = enter("models"), versions(operated), operated.worker_pids("shapes")
    unlock(page, "open")
    expect(page.get_by_text("The password was not accepted")).to_be_visible()
    expect(page.get_by_role("tab")).to_have_count(0)
    for name in ("Scale", "Swap", "Register", "Unregister", "Change the server"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    assert (versions(operated), operated.worker_pids("shapes")) == (before, pids)
    # Another visitor with the right password waits too: eight seconds after the fourth wrong one.
    other = enter("models")
    for pause, delay in ((1500, 2), (2500, 4), (4500, 8)):
        page.wait_for_timeout(pause)
        unlock(page, "open")
        expect(page.get_by_text(f"try again in {delay} s")).to_be_visible()
    unlock(other, "secret")
    expect(other.get_by_text("the next one is accepted")).to_be_visible()
    other.wait_for_timeout(8000)
    unlock(other, "secret")
    expect(other.get_by_role("tab", name="Workers")).to_be_visible()


def test_after_locking_there_are_no_actions(page: Page) -> None:
    page.get_by_role("button", name="Lock", exact=True).click()
    expect(page.get_by_label("Operator password")).to_be_visible()
    expect(page.get_by_role("tab")).to_have_count(0)


def test_the_served_models_are_shown(enter: Visit, operated: Service) -> None:
    (worker,) = operated.client.describe_model("shapes").default.workers
    page = enter("models")
    expect(page.get_by_text(f"Version {default(operated)}, ready, default")).to_be_visible()
    for name, value in (("Workers ready", "1 of 1"), ("Precision", "fp32"), ("Classes", "6"), ("Process", worker.pid)):
        fact = page.locator("dl > div", has=page.locator("dt", has_text=name)).locator("dd")
        expect(fact.first).to_have_text(str(value))


def test_charts_follow_the_load(enter: Visit, operated: Service) -> None:
    page = enter("models")
    with load_on(operated) as load:
        expect(page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")).to_have_count(3)
        page.wait_for_timeout(5000)
    for title in ("Requests per second", "Time in the server", "Of which in the queue"):
        expect(page.get_by_text(title, exact=True)).to_be_visible()
    assert load.failures == []


def test_workers_are_scaled_up_and_down(page: Page, operated: Service) -> None:
    version = default(operated)
    for count, ready in (("2", 2), ("1", 1)):
        field = page.get_by_role("spinbutton", name="Workers").locator("visible=true")
        field.fill(count)
        field.press("Enter")
        page.get_by_role("button", name="Scale").click()
        noun = "worker" if ready == 1 else "workers"
        expect(page.get_by_text(f"shapes {version} has {count} {noun}.")).to_be_visible(timeout=SWAP_MS)
        assert versions(operated) == {version: ("ready", ready)}
        expect(page.get_by_text(f"{ready} of {ready}", exact=True)).to_be_visible()


def test_a_version_is_unloaded_and_loaded(page: Page, operated: Service) -> None:
    version = default(operated)
    page.get_by_role("button", name="Unload").click()
    expect(page.get_by_text(f"Version {version}, not loaded, default")).to_be_visible()
    assert versions(operated) == {version: ("unloaded", 0)}
    page.get_by_role("button", name="Load", exact=True).click()
    expect(page.get_by_text(f"Version {version}, ready, default")).to_be_visible(timeout=SWAP_MS)
    assert versions(operated) == {version: ("ready", 1)}


def test_a_hot_swap_under_load_fails_no_request(page: Page, operated: Service) -> None:
    before = default(operated)
    archive, after = ("shapes-2.0.mar", "2.0") if before == "1.0" else ("shapes.mar", "1.0")
    page.get_by_role("tab", name="Hot swap").click()
    choose(page, "Archive", archive)
    with load_on(operated) as load:
        page.get_by_role("button", name="Swap").click()
        expect(page.get_by_text(f"Swapped shapes for {archive}.")).to_be_visible(timeout=SWAP_MS)
        for step in ("Register", "Try a picture", "Set default", "Drain", "Remove"):
            expect(page.get_by_text(re.compile(f"{step}: "))).to_be_visible()
    assert load.failures == []
    assert set(load.versions) == {before, after}
    assert versions(operated) == {after: ("ready", 1)}
    expect(page.get_by_text(f"Version {after}, ready, default")).to_be_visible()


def test_a_swap_to_a_broken_archive_is_rolled_back(page: Page, operated: Service) -> None:
    before = versions(operated)
    page.get_by_role("tab", name="Hot swap").click()
    choose(page, "Archive", "broken.mar")
    with load_on(operated) as load:
        page.get_by_role("button", name="Swap").click()
        expect(page.get_by_text("Nothing has changed")).to_be_visible(timeout=SWAP_MS)
    assert load.failures == []
    assert versions(operated) == before


def test_a_version_is_registered_and_unregistered_after_confirmation(page: Page, operated: Service) -> None:
    before = versions(operated)
    page.get_by_role("tab", name="Register").click()
    choose(page, "Archive", "shapes-3.0.mar")
    page.get_by_role("button", name="Register", exact=True).locator("visible=true").click()
    expect(page.get_by_text("shapes-3.0.mar is registered.")).to_be_visible(timeout=SWAP_MS)
    assert versions(operated) == {**before, "3.0": ("ready", 1)}
    page.get_by_role("tab", name="Default and removal").click()
    choose(page, "Version", "shapes 3.0")
    page.get_by_role("button", name="Unregister", exact=True).click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "3.0" in versions(operated)
    page.get_by_role("button", name="Unregister", exact=True).click()
    page.get_by_role("button", name="Yes, unregister").click()
    expect(page.get_by_text("shapes 3.0 is unregistered.")).to_be_visible()
    assert versions(operated) == before


def test_a_dead_worker_and_its_restart_are_shown_without_a_reload(enter: Visit, operated: Service) -> None:
    page, version = enter("models"), default(operated)
    expect(page.get_by_text(f"Version {version}, ready, default")).to_be_visible()
    (pid,) = operated.worker_pids("shapes")
    starting = page.get_by_text(f"Version {version}, starting, default")
    deadline = time.monotonic() + 60
    while not starting.is_visible():  # a new worker may be ready before the next update of the page: it is killed too
        assert time.monotonic() < deadline, "the page never showed that the worker had died"
        for process in processes_of(operated.environment):
            with contextlib.suppress(psutil.NoSuchProcess):
                if any("model_service_worker" in argument for argument in process.cmdline()):
                    process.kill()
        page.wait_for_timeout(200)
    expect(page.get_by_text(f"Version {version}, ready, default")).to_be_visible()
    expect(page.get_by_text(str(pid), exact=True)).to_have_count(0)
