"""The widgets that pictures come from: files, the camera, the bundled sample, or a URL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import streamlit as st

from page import notices, session
from page.picture import Picture
from page.url_download import DownloadFailed, download

FILE_TYPES = ("jpg", "jpeg", "png", "tif", "tiff", "webp")
SAMPLE = Path(__file__).parents[1] / "samples" / "shapes.jpg"
FILES, CAMERA, EXAMPLE, ADDRESS = "Files", "Camera", "Sample", "Address"


def choose_pictures(several: bool) -> list[Picture]:
    """The pictures that the visitor has chosen, on any page; only the first of them unless `several`."""
    state = session.state()
    source: str = st.segmented_control(
        "Pictures from",
        [FILES, CAMERA, EXAMPLE] + [ADDRESS] * session.settings().allow_urls,
        default=state.picture_source or FILES,
        required=True,
        key="source-choice",
        width="stretch",
    )
    state.picture_source = source
    {FILES: _files, CAMERA: _camera, EXAMPLE: _sample, ADDRESS: _address}[source]()
    return state.pictures if several else state.pictures[:1]


def offer_sample(text: str) -> None:
    """Shown in place of results: what to do, and the bundled sample to begin with."""
    with st.container(border=True):
        st.markdown(text)
        # The browser loads Streamlit's code for images when the first one is shown: now, not with the first boxes.
        st.image(SAMPLE.read_bytes(), width=280, alt="The sample picture: coloured shapes")
        st.button("Try the sample picture", on_click=_use_sample, icon=":material/image:", type="primary")


def _use(pictures: Iterable[Picture]) -> None:
    """Replace the chosen pictures. Of equal ones only one is kept."""
    state = session.state()
    state.pictures = list({picture.digest: picture for picture in pictures}.values())
    state.stopped = False


def _use_sample() -> None:
    _use([Picture(SAMPLE.name, SAMPLE.read_bytes())])


def _files() -> None:
    st.file_uploader(
        "Drop pictures here",
        FILE_TYPES,
        accept_multiple_files=True,
        key="files",
        on_change=_use_files_of,
        args=("files",),
    )


def _camera() -> None:
    st.camera_input("Take a picture", key="camera", on_change=_use_files_of, args=("camera",))


def _use_files_of(key: str) -> None:
    """Use the files of the widget with this key."""
    content: Any = st.session_state[key]
    files = content if isinstance(content, list) else [content] * bool(content)
    _use(Picture(file.name, file.getvalue()) for file in files)


def _sample() -> None:
    st.caption(
        "Coloured shapes, drawn for this project. The model `shapes` is trained on them; other models may find nothing."
    )
    st.button("Use the sample picture", on_click=_use_sample, icon=":material/image:")


def _address() -> None:
    with st.form("address", border=False):
        url = st.text_input("Address of a picture", placeholder="https://")
        if st.form_submit_button("Fetch", icon=":material/download:") and url:
            try:
                with st.spinner("Downloading"):
                    picture = download(url)
            except DownloadFailed as error:
                st.error(notices.escape_markdown(str(error)))
            else:
                _use([picture])
