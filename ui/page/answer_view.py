"""An answer on the page: the picture with its boxes, its summary, its tables, and its downloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from PIL import Image

from page.notices import escape_markdown
from page.picture import Picture
from results import exports, tables
from results.decode import InvalidPicture, jpeg, open_picture
from results.drawing import draw_onto
from results.exports import PictureAnswer
from results.simulation import SIMULATED_NOTICE, is_simulated
from service.answers import Answer, Detection

MAX_SIDE = 1440  # pixels of the longer side on the screen; Streamlit would encode anything wider again
MAX_ROWS = 50  # of the table of detections, until the visitor switches on all
MAX_NAMES = 10  # in the text for screen readers


def show_picture(shown: PictureAnswer, detections: Sequence[Detection] | None = None) -> None:
    """The picture with the boxes of its answer, or with `detections` instead."""
    boxes = shown.answer.detections if detections is None else detections
    try:
        opened, size_wh = opened_picture(Picture(shown.name, shown.image))
    except InvalidPicture as error:
        st.info(f"The server read this picture, but the page cannot show it: {escape_markdown(str(error))}.")
        return
    drawn = draw_onto(opened, size_wh, boxes, SIMULATED_NOTICE if is_simulated(shown.answer) else "")
    names = ", ".join(f"{detection.class_name} {detection.confidence:.2f}" for detection in boxes[:MAX_NAMES])
    count = with_noun(len(boxes), "box", "boxes")
    st.image(jpeg(drawn), width="stretch", alt=f"{shown.name} with {count}: {names}")


def opened_picture(picture: Picture) -> tuple[Image.Image, tuple[int, int]]:
    """The picture at screen size, and its original size (width, height). Cached. Raises InvalidPicture."""
    return _opened(picture.digest, picture.data)


@st.cache_resource(max_entries=24, show_spinner=False)
def _opened(digest: str, _data: bytes) -> tuple[Image.Image, tuple[int, int]]:
    """The digest is the cache's key; Streamlit does not hash arguments that begin with an underscore."""
    del digest
    return open_picture(_data, MAX_SIDE)


def show_summary(answer: Answer) -> None:
    """The number of objects, the model, the times, and the picture's size."""
    width, height = answer.size_wh
    if is_simulated(answer):
        times = "simulated"
    else:
        times = (
            f"{_milliseconds(answer.time)} on the server &nbsp;·&nbsp; {_milliseconds(answer.round_trip)} round trip"
        )
    objects = with_noun(len(answer.detections), "object", "objects")
    model = escape_markdown(f"{answer.model} {answer.version}")
    st.markdown(f"**{objects}** by {model} &nbsp;·&nbsp; {times} &nbsp;·&nbsp; {width} x {height} px")


def show_details(shown: PictureAnswer, confidence: float) -> None:
    """The counts by class, the table of detections, and the server's JSON."""
    answer = shown.answer
    if not answer.detections:
        st.info(f"Nothing was found with a confidence above {confidence:.2f}. Lower it, or try another model.")
        return
    total = len(answer.detections)
    all_rows = total <= MAX_ROWS or st.toggle(f"Show all {total} rows", key="all-rows")
    st.html(tables.class_counts(answer))
    st.html(tables.detections(answer, total if all_rows else MAX_ROWS))
    with st.expander("The server's answer, as JSON"):
        st.code(exports.to_json(shown), "json", wrap_lines=True)


def show_downloads(shown: PictureAnswer, pictures: Sequence[PictureAnswer], class_names: Sequence[str]) -> None:
    """A button for each file format of the picture shown, and one for all pictures together."""
    st.markdown("**Download**")
    name = exports.file_name
    with st.container(horizontal=True):
        _button("Picture", lambda: exports.annotated_png(shown), name(shown, ".png"), "image/png")
        _button("JSON", lambda: exports.to_json(shown), name(shown, ".json"), "application/json")
        _button("CSV", lambda: exports.to_csv([shown]), name(shown, ".csv"), "text/csv")
        _button("COCO", lambda: exports.to_coco([shown], class_names), name(shown, "-coco.json"), "application/json")
        _button("YOLO", lambda: exports.to_yolo(shown), name(shown, ".txt"), "text/plain")
        if len(pictures) > 1:
            label = f"All {len(pictures)} pictures"
            zip_name = "simulated-detections.zip" if is_simulated(shown.answer) else "detections.zip"
            _button(label, lambda: exports.to_zip(pictures, class_names), zip_name, "application/zip")


def with_noun(number: int, singular: str, plural: str) -> str:
    """A number with its noun."""
    return f"{number} {singular if number == 1 else plural}"


def _button(label: str, make: Callable[[], bytes | str], file_name: str, mime: str) -> None:
    """A download. Its content is made at the click."""
    st.download_button(
        label, make, file_name, mime, key=f"download-{label}", on_click="ignore", icon=":material/download:"
    )


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
