"""Where pictures come from: files, the camera, the bundled sample, or an address."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import streamlit as st

from page import notices, session
from page.jobs import Picture
from page.url_download import NotFetched, fetch

TYPES = ("jpg", "jpeg", "png", "tif", "tiff", "webp")
SAMPLE = Path(__file__).parents[1] / "samples" / "shapes.jpg"
FILES, CAMERA, EXAMPLE, ADDRESS = "Files", "Camera", "Sample", "Address"


def choose(several: bool) -> list[Picture]:
    """The pictures that the visitor has chosen, on whichever page; the newest of them where one is wanted."""
    sources = [FILES, CAMERA, EXAMPLE] + [ADDRESS] * session.settings().allow_urls
    chosen = st.segmented_control(
        "Pictures from",
        sources,
        default=session.kept("source", FILES),
        required=True,
        key="source-choice",
        width="stretch",
    )
    st.session_state["source"] = chosen
    {FILES: _files, CAMERA: _camera, EXAMPLE: _sample, ADDRESS: _address}[chosen]()
    pictures: list[Picture] = session.kept("pictures", [])
    return pictures if several else pictures[:1]


def use(pictures: Iterable[Picture]) -> None:
    """Work with these pictures from now on; one that is there twice counts once."""
    st.session_state["pictures"] = list({picture.digest: picture for picture in pictures}.values())
    st.session_state.pop("stopped", None)


def use_sample() -> None:
    """Work with the bundled sample."""
    use([Picture(SAMPLE.name, SAMPLE.read_bytes())])


def offer_sample(text: str) -> None:
    """What stands where results will be: what to do, and the sample to begin with."""
    with st.container(border=True):
        st.markdown(text)
        # Streamlit fetches what shows a picture when it is first needed: now, and not when the first boxes are there.
        st.image(SAMPLE.read_bytes(), width=280, alt="The sample picture: coloured shapes")
        st.button("Try the sample picture", on_click=use_sample, icon=":material/image:", type="primary")


def _files() -> None:
    st.file_uploader(
        "Drop pictures here", TYPES, accept_multiple_files=True, key="files", on_change=_take, args=("files",)
    )


def _camera() -> None:
    st.camera_input("Take a picture", key="camera", on_change=_take, args=("camera",))


def _take(key: str) -> None:
    """Use what is in a widget for files."""
    content: Any = st.session_state[key]
    files = content if isinstance(content, list) else [content] * bool(content)
    use(Picture(file.name, file.getvalue()) for file in files)


def _sample() -> None:
    st.caption("Coloured shapes, drawn for this project. The model `shapes` knows them; others may find nothing.")
    st.button("Use the sample picture", on_click=use_sample, icon=":material/image:")


def _address() -> None:
    with st.form("address", border=False):
        url = st.text_input("Address of a picture", placeholder="https://")
        if st.form_submit_button("Fetch", icon=":material/download:") and url:
            try:
                with st.spinner("Fetching"):
                    fetched = fetch(url)
            except NotFetched as error:
                st.error(notices.plain(str(error)))
            else:
                use([Picture(fetched.name, fetched.data)])
