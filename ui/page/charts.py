"""Live charts of the models' requests and times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from page import notices, session
from service.errors import ServiceError
from service.metrics import History, Point, scrape

SCRAPE_SECONDS = 2.0
MAX_SCRAPES = 300  # ten minutes
CHARTS: Sequence[tuple[str, str, Callable[[Point], float | None]]] = (
    ("Requests per second", "requests/s", lambda point: point.requests_per_second),
    ("Time in the server", "ms, mean", lambda point: _milliseconds(point.latency)),
    ("Of which in the queue", "ms, mean", lambda point: _milliseconds(point.queueing)),
)


def show(models: Sequence[str]) -> None:
    """Request rate, latency and time in the queue of each model, from this session's scrapes."""
    url = session.addresses().metrics
    history = session.state().histories.setdefault(url, History(MAX_SCRAPES))
    try:
        history.add(scrape(url))
    except ServiceError as error:
        notices.show_error(error)
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
        "All versions of a model together. TorchServe sums times up and keeps no distribution, so these are means over "
        f"{SCRAPE_SECONDS:.0f} s; quantiles are not available."
    )


def _draw(points: dict[str, list[Point]], unit: str, value: Callable[[Point], float | None], title: str) -> None:
    rows = [
        {"at": 1000 * point.at, "value": value(point), "model": model}
        for model, series in points.items()
        for point in series
    ]
    alt = f"{title} of {', '.join(points)} over the last minutes"
    st.vega_lite_chart(rows, _spec(unit, with_legend=len(points) > 1), height=220, alt=alt)


def _spec(unit: str, with_legend: bool) -> dict[str, Any]:
    """A line over time for each model, as a Vega-Lite specification."""
    return {
        "mark": {"type": "line", "point": {"size": 12}},
        "encoding": {
            "x": {"field": "at", "type": "temporal", "title": None, "axis": {"format": "%H:%M:%S", "tickCount": 3}},
            "y": {"field": "value", "type": "quantitative", "title": unit, "scale": {"domainMin": 0}},
            "color": {
                "field": "model",
                "type": "nominal",
                "title": None,
                "legend": {"orient": "top", "offset": 4} if with_legend else None,
            },
            "tooltip": [
                {"field": "model", "type": "nominal"},
                {"field": "value", "type": "quantitative", "format": ".1f", "title": unit},
                {"field": "at", "type": "temporal", "format": "%H:%M:%S", "title": "at"},
            ],
        },
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
