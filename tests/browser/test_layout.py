from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page

from support.browser.visits import PAGES, Visit, filled
from support.pictures import crowded
from support.running_service import Service

DESKTOP, PHONE = (1280, 900), (390, 844)
MAX_BYTES = 200_000  # of a screenshot

# Elements that cut off their own text because it is wider or higher than they are.
CUT = """() => [...document.querySelectorAll('body *')].filter(element => {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  const style = getComputedStyle(element);
  const cuts = ['hidden', 'clip'].includes(style.overflowX) || ['hidden', 'clip'].includes(style.overflowY);
  const box = element.getBoundingClientRect();
  return own && cuts && box.width > 2 && box.height > 2 && style.visibility === 'visible'
    && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 4);
}).map(element => element.outerHTML.slice(0, 160))"""

# Controls and texts that extend beyond the left or right side of the window.
OUTSIDE = """() => [...document.querySelectorAll(
  '[data-testid=stMain] :is(button, input, label, p, h1, h2, h3, td, th, img, svg, pre)')].filter(element => {
  const box = element.getBoundingClientRect();
  return box.width > 2 && box.height > 2 && element.checkVisibility({visibilityProperty: true, opacityProperty: true})
    && !element.closest('pre') && (box.left < -1 || box.right > innerWidth + 1);
}).map(element => element.outerHTML.slice(0, 160))"""

# Pairs of controls that overlap by more than two pixels, unless one contains the other.
OVERLAPPING = """() => {
  const controls = [...document.querySelectorAll(
    '[data-testid=stMain] :is(button, [role=combobox], [role=slider], textarea, input[type=text], input[type=number])')]
    .filter(element => element.checkVisibility({visibilityProperty: true, opacityProperty: true}));
  const parts = '[role=combobox], [data-testid=stNumberInput], [data-baseweb=select], [data-testid=stMultiSelect]';
  const widget = element => element.closest('[data-testid=stElementContainer]');
  const found = [];
  controls.forEach((first, index) => controls.slice(index + 1).forEach(second => {
    if (first.contains(second) || second.contains(first)) return;
    if (first.closest(parts) && widget(first) === widget(second)) return;
    const a = first.getBoundingClientRect(), b = second.getBoundingClientRect();
    const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (width > 2 && height > 2) found.push(first.outerHTML.slice(0, 120) + ' and ' + second.outerHTML.slice(0, 120));
  }));
  return found;
}"""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_cut_off_overlaps_or_is_outside(visit: Visit, path: str, size: tuple[int, int]) -> None:
    page = filled(visit(path, size=size))
    for fault in (CUT, OUTSIDE, OVERLAPPING):
        assert page.evaluate(fault) == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_a_screenshot_has_a_usual_size(
    visit: Visit, site: Service, path: str, scheme: str, size: tuple[int, int], tmp_path: Path
) -> None:
    """With SCREENSHOTS set to a folder they are written there. docs/screenshots has those of the README."""
    page = filled(visit(path, scheme=scheme, size=(size[0], 1150 if size == DESKTOP else 1500)))
    if path == "models" and "SCREENSHOTS" in os.environ:
        for _ in range(20):  # requests for the charts
            site.client.detect("shapes", crowded())
            page.wait_for_timeout(500)
    name = f"{path or 'detect'}-{scheme}-{'desktop' if size == DESKTOP else 'phone'}"
    shot = screenshot(page, Path(os.environ.get("SCREENSHOTS", tmp_path)) / f"{name}.png")
    assert 10_000 < shot.stat().st_size < MAX_BYTES


def screenshot(page: Page, path: Path) -> Path:
    """A screenshot, scaled down until its file is small enough."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as opened:
        shot = opened.convert("RGB")
    shot.save(path, optimize=True)
    while path.stat().st_size >= MAX_BYTES:
        shot = shot.resize((shot.width * 4 // 5, shot.height * 4 // 5), Image.Resampling.LANCZOS)
        shot.save(path, optimize=True)
    return path
