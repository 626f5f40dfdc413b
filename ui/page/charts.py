"""Live charts of what the models do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from page import notices, session
from page.messages import explain
from service.errors import ServiceError
from service.metrics import History, Point, scrape

EVERY = 2.0  # seconds between two scrapes
KEPT = 300  # scrapes: ten minutes
CHARTS: Sequence[tuple[str, str, Callable[[Point], float | None]]] = (
    ("Requests per second", "requests/s", lambda point: point.requests_per_second),
    ("Time in the server", "ms, mean", lambda point: _milliseconds(point.latency)),
    ("Of which in the queue", "ms, mean", lambda point: _milliseconds(point.queueing)),
)


def show(models: Sequence[str]) -> None:
    """Request rate, latency and queueing of each model, drawn from this session's scrapes."""
    history: History = session.kept(f"history of {session.addresses().metrics}", History(KEPT))
    try:
        history.add(scrape(session.addresses().metrics))
    except ServiceError as error:
        notices.tell(explain(error))
        return
    points = {model: history.points(model) for model in models}
    if not any(points.values()):
        st.caption("Collecting the first measurements ...")
        return
    for column, (title, unit, value) in zip(st.columns(len(CHARTS)), CHARTS, strict=True):
        with column:
            st.markdown(f"**{title}**")
            _draw(points, unit, value, title)
    st.caption(
        "All versions of a model together. TorchServe adds times up and keeps no distribution, so these are means over "
        f"{EVERY:.0f} s each; there are no honest quantiles to show."
    )


def _draw(points: dict[str, list[Point]], unit: str, value: Callable[[Point], float | None], title: str) -> None:
    rows = [
        {"at": 1000 * point.at, "value": value(point), "model": model}
        for model, series in points.items()
        for point in series
    ]
    spec = {
        "mark": {"type": "line", "point": {"size": 12}},
        "encoding": {
            "x": {"field": "at", "type": "temporal", "title": None, "axis": {"format": "%H:%M:%S", "tickCount": 3}},
            "y": {"field": "value", "type": "quantitative", "title": unit, "scale": {"domainMin": 0}},
            "color": {
                "field": "model",
                "type": "nominal",
                "title": None,
                "legend": {"orient": "top", "offset": 4} if len(points) > 1 else None,
            },
            "tooltip": [
                {"field": "model", "type": "nominal"},
                {"field": "value", "type": "quantitative", "format": ".1f", "title": unit},
                {"field": "at", "type": "temporal", "format": "%H:%M:%S", "title": "at"},
            ],
        },
    }
    st.vega_lite_chart(rows, spec, height=220, alt=f"{title} of {', '.join(points)} over the last minutes")


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
