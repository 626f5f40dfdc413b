"""The page: navigation, the sidebar, and the one place where an error that nobody foresaw is caught."""

from __future__ import annotations

import logging

import streamlit as st

from page import notices, session, sidebar
from service.environment import SettingsError

LOG = logging.getLogger(__name__)
PAGES = {
    "detect": ":material/center_focus_strong:",
    "compare": ":material/compare:",
    "models": ":material/dns:",
}
STYLE = """<style>
.block-container {padding: 3.25rem 2.5rem 4rem; max-width: 90rem;}
@media (max-width: 640px) {.block-container {padding-left: 1rem; padding-right: 1rem;}}
/* What looks itself up every few seconds would fade each time that takes long. */
[data-stale="true"] {opacity: 1 !important;}
/* In the theme's primary colour these would be too dim on a dark ground: white on that colour has to be read too. */
[data-testid="stSliderThumbValue"],
button[data-variant="segmented_control"][data-selected="true"] p {color: CanvasText;}
</style>"""


def main() -> None:
    """The shell around each page."""
    st.set_page_config("YOLOv5 on TorchServe", ":material/center_focus_strong:", layout="wide")
    st.html(STYLE)
    # The folder must not be called "pages": Streamlit would serve its files by themselves, without this shell, to
    # whoever opens /models first.
    page = st.navigation([st.Page(f"views/{name}.py", title=name.title(), icon=icon) for name, icon in PAGES.items()])
    if not has_settings():
        return
    try:
        sidebar.show()
        page.run()
    except Exception as error:
        LOG.exception("a page failed")
        notices.show(error, key="page")


def has_settings() -> bool:
    """Whether the page's own environment is sound; says what is wrong with it otherwise."""
    try:
        session.settings()
    except SettingsError as error:
        st.error(f"**The page is not set up right.** {error}. Correct it and start the page again.")
        return False
    return True


if __name__ == "__main__":
    main()
