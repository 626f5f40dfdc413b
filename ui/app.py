"""The page: navigation, the sidebar, and the handler of unexpected errors."""

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
/* Streamlit fades elements whose rerun takes long; those that rerun every few seconds would flicker. */
[data-stale="true"] {opacity: 1 !important;}
/* The theme's primary colour is dark enough for white text on it, so as text it would be too dim on a dark ground. */
[data-testid="stSliderThumbValue"],
button[data-variant="segmented_control"][data-selected="true"] p {color: CanvasText;}
</style>"""


def main() -> None:
    """The frame around each page."""
    st.set_page_config("YOLOv5 on TorchServe", ":material/center_focus_strong:", layout="wide")
    st.html(STYLE)
    # The folder must not be called "pages": Streamlit would serve its files without this frame to a visitor whose
    # first URL is /models.
    page = st.navigation([st.Page(f"views/{name}.py", title=name.title(), icon=icon) for name, icon in PAGES.items()])
    if not has_valid_settings():
        return
    try:
        sidebar.show()
        page.run()
    except Exception as error:
        LOG.exception("a page failed")
        notices.show_error_with_retry(error, key="page")


def has_valid_settings() -> bool:
    """Whether the page's environment variables are valid. If not, shows which one is not."""
    try:
        session.settings()
    except SettingsError as error:
        st.error(f"**The page's settings are invalid.** {error}. Correct this and start the page again.")
        return False
    return True


if __name__ == "__main__":
    main()
