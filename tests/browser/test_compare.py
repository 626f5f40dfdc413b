from __future__ import annotations

import re

from playwright.sync_api import expect

from results.matching import match
from support.browser.visits import Visit, rows_of, upload
from support.pictures import crowded
from support.running_service import Service


def test_two_models_are_compared_by_their_answers(visit: Visit, site: Service) -> None:
    data = crowded()
    answers = [site.client.detect(model, data).detections for model in ("shapes", "shapes-small")]
    matches = match(answers)
    others = [each for each in matches if not each.found_by_all]
    by_all = len(matches) - len(others)
    page = visit("compare")
    upload(page, ("crowded.jpg", data))
    expect(page.get_by_role("heading", name="Differences")).to_be_visible()
    expect(page.get_by_text(re.compile(rf"^{by_all} objects? found by all, {len(others)} not by all"))).to_be_visible()
    expect(page.locator("[data-testid=stImage] img")).to_have_count(2)
    for answer in answers:
        noun = "object" if len(answer) == 1 else "objects"
        expect(page.get_by_text(re.compile(rf"^{len(answer)} {noun} .*on the server")).first).to_be_visible()
    if others:
        rows = rows_of(page, "Not found by all")
        assert [row[0] for row in rows] == [each.class_name for each in others]
        assert sum(row.count("missed") for row in rows) == len(others)


def test_only_differences_can_be_drawn(visit: Visit, site: Service) -> None:
    data = crowded()
    answers = [site.client.detect(model, data).detections for model in ("shapes", "shapes-small")]
    alone = sum(each.finders == (0,) for each in match(answers))
    page = visit("compare")
    upload(page, ("crowded.jpg", data))
    page.locator("[data-testid=stImage] img").first.wait_for()
    page.get_by_text("Only differences").click()
    noun = "box" if alone == 1 else "boxes"
    expect(page.locator(f"img[alt^='crowded.jpg with {alone} {noun}']").first).to_be_visible()
