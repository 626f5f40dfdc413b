from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest
from PIL import Image
from playwright.sync_api import Download, Page, expect

from results.drawing import colour_of
from support.browser.visits import Visit, requests_to, rows_of, upload
from support.pictures import crowded, encoded
from support.running_service import Service
from support.waiting import settled, wait_for


def shown_picture(page: Page) -> Image.Image:
    """The first picture on the page, as the browser received it."""
    source = page.locator("[data-testid=stImage] img").first.get_attribute("src")
    assert source
    return Image.open(io.BytesIO(page.request.get(urljoin(page.url, source)).body())).convert("RGB")


def variants(count: int) -> list[tuple[str, bytes]]:
    """Files with different bytes and the same picture: decoders ignore bytes after a JPEG's end."""
    data = crowded()
    return [(f"{number:03}.jpg", data + number.to_bytes(2, "big")) for number in range(count)]


def test_boxes_and_table_agree_with_a_direct_call(visit: Visit, site: Service) -> None:
    data = crowded()
    answer = site.client.detect("shapes", data)
    assert len(answer.detections) >= 4
    page = visit()
    upload(page, ("crowded.jpg", data))
    rows = rows_of(page, "Detections")
    assert rows == [
        [found.class_name, f"{found.confidence:.3f}", *(f"{side:.0f}" for side in found.xyxy)]
        for found in answer.detections
    ]
    expect(page.get_by_text(f"{len(answer.detections)} objects")).to_be_visible()
    picture = shown_picture(page)
    scale = picture.width / answer.size_wh[0]
    coloured = 0
    for found in answer.detections:
        x_min, y_min, x_max, y_max = (round(side * scale) for side in found.xyxy)
        edges = [
            (x_min + 1, (y_min + y_max) // 2),
            (x_max - 1, (y_min + y_max) // 2),
            ((x_min + x_max) // 2, y_max - 1),
        ]
        for x, y in edges:
            pixel = picture.getpixel((min(max(x, 0), picture.width - 1), min(max(y, 0), picture.height - 1)))
            assert isinstance(pixel, tuple)
            coloured += sum(abs(a - b) for a, b in zip(pixel, colour_of(found.class_id), strict=True)) < 90
    assert coloured >= 0.8 * 3 * len(answer.detections)  # another box or a label may cover an edge


def test_each_of_several_pictures_has_its_result(visit: Visit) -> None:
    page = visit()
    upload(page, *[(f"{seed}.jpg", encoded(seed)) for seed in range(4)], ("broken.jpg", crowded()[:2000]))
    expect(page.get_by_text(re.compile("^4 pictures, "))).to_be_visible()
    expect(page.get_by_text("broken.jpg").last).to_be_visible()
    expect(page.get_by_text("The server cannot read this picture")).to_be_visible()
    page.get_by_role("combobox", name="Picture").click()
    page.get_by_role("option", name=re.compile("^3.jpg")).click()
    expect(page.locator("img[alt^='3.jpg']")).to_be_visible()


def test_many_pictures_can_be_stopped_and_continued(visit: Visit, site: Service) -> None:
    page = visit()
    before = requests_to(site, "shapes")
    upload(page, *variants(200))
    page.get_by_role("button", name="Stop").click()
    stopped = page.get_by_text(re.compile(r"Stopped: \d+ of 200"))
    stopped.wait_for()
    not_sent = int(re.findall(r"Stopped: (\d+)", stopped.inner_text())[0])
    assert 0 < not_sent < 200
    sent = settled(lambda: requests_to(site, "shapes")) - before
    assert 0 <= sent - (200 - not_sent) <= 4  # those that were sent already at the click
    page.get_by_role("button", name="Detect", exact=True).click()
    expect(page.get_by_text(re.compile("^200 pictures, "))).to_be_visible()
    assert requests_to(site, "shapes") - before == 200  # none was sent twice


def test_the_confidence_slider_sends_a_request_only_below_the_model_s_threshold(visit: Visit, site: Service) -> None:
    data = crowded() + b"slider"
    confidences = [found.confidence for found in site.client.detect("shapes", data).detections]
    page = visit()
    upload(page, ("crowded.jpg", data))
    assert len(rows_of(page, "Detections")) == len(confidences)
    before = requests_to(site, "shapes")
    slider = page.get_by_role("slider", name="Confidence")
    slider.focus()
    for _ in range(60):  # 0.25 to 0.85
        page.keyboard.press("ArrowRight")
    remaining = sum(confidence > 0.85 for confidence in confidences)
    assert remaining < len(confidences)
    noun = "object" if remaining == 1 else "objects"
    expect(page.get_by_text(re.compile(f"^{remaining} {noun}"))).to_be_visible()
    assert requests_to(site, "shapes") == before
    for _ in range(65):
        page.keyboard.press("ArrowLeft")
    expect(slider).to_have_value("0.2")
    wait_for(lambda: requests_to(site, "shapes") > before)


def content(download: Download) -> bytes:
    return Path(download.path()).read_bytes()


def test_each_download_parses(visit: Visit, site: Service, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    data = crowded()
    answer = site.client.detect("shapes", data)
    page = visit()
    upload(page, ("crowded.jpg", data), ("other.jpg", encoded(3)))
    files = {}
    for name in ("Picture", "JSON", "CSV", "COCO", "YOLO", "All 2 pictures"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name, exact=True).click()
        files[name] = content(waiting.value)
    assert Image.open(io.BytesIO(files["Picture"])).format == "PNG"
    assert json.loads(files["JSON"])["detections"] == answer.document["detections"]
    assert len(list(csv.reader(io.StringIO(files["CSV"].decode("utf-8-sig"))))) == len(answer.detections) + 1
    assert len(files["YOLO"].decode().splitlines()) == len(answer.detections)
    archive = zipfile.ZipFile(io.BytesIO(files["All 2 pictures"]))
    assert archive.testzip() is None
    for name, text in (("one", files["COCO"]), ("all", archive.read("coco.json"))):
        path = tmp_path / f"{name}.json"
        path.write_bytes(text)
        with contextlib.redirect_stdout(io.StringIO()):
            loaded = coco.COCO(str(path))
        assert len(loaded.getAnnIds(imgIds=[1])) == len(answer.detections)


def test_the_sample_needs_no_file(visit: Visit) -> None:
    page = visit()
    page.get_by_role("button", name="Try the sample picture").click()
    expect(page.locator("img[alt^='shapes.jpg']")).to_be_visible()
    assert len(rows_of(page, "Detections")) >= 4


def test_the_camera_takes_a_picture(visit: Visit, site: Service) -> None:
    page = visit()
    page.context.grant_permissions(["camera"], origin=site.ui_url)
    page.get_by_role("radio", name="Camera").or_(page.get_by_role("button", name="Camera")).first.click()
    page.wait_for_function("document.querySelector('video')?.readyState >= 3")
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Take Photo").click()
    expect(page.get_by_text(re.compile("on the server"))).to_be_visible()


def test_test_mode_marks_its_answers(visit: Visit) -> None:
    page = visit()
    page.get_by_text("Test mode").click()
    expect(page.get_by_text("no model saw this picture").first).to_be_visible()
    page.get_by_role("button", name="Try the sample picture").click()
    expect(page.get_by_text(re.compile("simulated")).first).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="JSON", exact=True).click()
    assert waiting.value.suggested_filename.startswith("simulated-")
    assert json.loads(content(waiting.value))["simulated"] is True
