"""An answer on the page: the picture with its boxes, its numbers, its tables, and its downloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from PIL import Image

from page.jobs import Picture
from page.notices import plain
from results import exports, tables
from results.decode import InvalidPicture, jpeg, open_picture
from results.drawing import draw_onto
from results.exports import Shown
from results.simulation import MARK, is_simulated
from service.client import Answer, Detection

LONGEST = 1440  # pixels of the longer side on the screen; Streamlit would encode anything wider anew
ZIP = "application/zip"
ROWS = 50  # of the table of detections, until more are asked for


def picture(shown: Shown, detections: Sequence[Detection] | None = None) -> None:
    """The picture with its boxes, or with these of them only."""
    boxes = shown.answer.detections if detections is None else detections
    try:
        opened, size_wh = opened_picture(Picture(shown.name, shown.image))
    except InvalidPicture as error:
        st.info(f"The server read this picture, the page cannot show it: {plain(str(error))}.")
        return
    drawn = draw_onto(opened, size_wh, boxes, MARK if is_simulated(shown.answer) else "")
    names = ", ".join(f"{found.class_name} {found.confidence:.2f}" for found in boxes[:10])
    st.image(jpeg(drawn), width="stretch", alt=f"{shown.name} with {counted(len(boxes), 'box', 'boxes')}: {names}")


def opened_picture(picture: Picture) -> tuple[Image.Image, tuple[int, int]]:
    """The picture at screen size, and its own size; decoded once. Raises InvalidPicture."""
    return _opened(picture.digest, picture.data)


@st.cache_resource(max_entries=24, show_spinner=False)
def _opened(digest: str, _data: bytes) -> tuple[Image.Image, tuple[int, int]]:
    """What is opened is remembered by its digest."""
    del digest
    return open_picture(_data, LONGEST)


def numbers(answer: Answer) -> None:
    """How many, by which model, how long, how large."""
    width, height = answer.size_wh
    if is_simulated(answer):
        times = "simulated"
    else:
        times = f"{_ms(answer.time)} on the server &nbsp;·&nbsp; {_ms(answer.round_trip)} round trip"
    found = counted(len(answer.detections), "object", "objects")
    model = plain(f"{answer.model} {answer.version}")
    st.markdown(f"**{found}** by {model} &nbsp;·&nbsp; {times} &nbsp;·&nbsp; {width} x {height} px")


def details(shown: Shown, confidence: float) -> None:
    """Counts by class, the table of detections, and the server's document."""
    answer = shown.answer
    if not answer.detections:
        st.info(f"Nothing was found with a confidence above {confidence:.2f}. Lower it, or try another model.")
        return
    few = len(answer.detections) <= ROWS or st.toggle(f"Show all {len(answer.detections)} rows", key="all-rows")
    st.html(tables.counts(answer))
    st.html(tables.detections(answer, len(answer.detections) if few else ROWS))
    with st.expander("The server's answer, as JSON"):
        st.code(exports.to_json(shown), "json", wrap_lines=True)


def downloads(shown: Shown, pictures: Sequence[Shown], class_names: Sequence[str]) -> None:
    """A button for each kind of file of the picture shown, and one for all pictures together."""
    st.markdown("**Download**")
    name = exports.file_name
    with st.container(horizontal=True):
        _button("Picture", lambda: exports.annotated_png(shown), name(shown, ".png"), "image/png")
        _button("JSON", lambda: exports.to_json(shown), name(shown, ".json"), "application/json")
        _button("CSV", lambda: exports.to_csv([shown]), name(shown, ".csv"), "text/csv")
        _button("COCO", lambda: exports.to_coco([shown], class_names), name(shown, "-coco.json"), "application/json")
        _button("YOLO", lambda: exports.to_yolo(shown), name(shown, ".txt"), "text/plain")
        if len(pictures) > 1:
            every = "simulated-detections.zip" if is_simulated(shown.answer) else "detections.zip"
            _button(f"All {len(pictures)} pictures", lambda: exports.to_zip(pictures, class_names), every, ZIP)


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many}"


def _button(label: str, make: Callable[[], bytes | str], file_name: str, mime: str) -> None:
    """A download whose content is made when it is asked for."""
    st.download_button(
        label, make, file_name, mime, key=f"download-{label}", on_click="ignore", icon=":material/download:"
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
