"""Tables as HTML: text that wraps on a phone, can be copied, and works with screen readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from results.drawing import colour_of
from service.answers import Answer, Detection

STYLE = """<style>
.rows {width: 100%; border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums;}
.rows caption {text-align: left; font-weight: 600; padding: 0 0 0.35rem; font-size: 1rem;}
.rows th, .rows td {padding: 0.3rem 0.5rem; text-align: left; border-bottom: 1px solid rgba(128, 140, 160, 0.3);
  overflow-wrap: anywhere; vertical-align: baseline;}
.rows th {font-weight: 600;}
.rows .number {text-align: right; overflow-wrap: normal;}
.swatch {display: inline-block; width: 0.75em; height: 0.75em; border-radius: 2px; margin-right: 0.5em;
  border: 1px solid rgba(0, 0, 0, 0.45);}
</style>"""

Row = Sequence[str]


def detections(answer: Answer, max_rows: int) -> str:
    """The first `max_rows` detections: class, confidence, box."""
    rows = [
        [class_cell(found), f"{found.confidence:.3f}", *(f"{side:.0f}" for side in found.xyxy)]
        for found in answer.detections[:max_rows]
    ]
    heads = ["Class", "Confidence", "Left", "Top", "Right", "Bottom"]
    return table("Detections", heads, rows, numbers=range(1, 6))


def class_counts(answer: Answer) -> str:
    """The number of detections of each class, the most frequent first."""
    first = {found.class_name: found for found in reversed(answer.detections)}
    number = Counter(found.class_name for found in answer.detections)
    rows = [[class_cell(first[name]), str(count)] for name, count in number.most_common()]
    return table("By class", ["Class", "Count"], rows, numbers=[1])


def table(caption: str, heads: Row, rows: Sequence[Row], numbers: Sequence[int] | range = ()) -> str:
    """A table. The cells of `rows` are HTML; `numbers` are the indices of right-aligned columns."""
    attributes = [' class="number"' if index in numbers else "" for index in range(len(heads))]
    head = "".join(
        f'<th scope="col"{attribute}>{escape(text)}</th>' for text, attribute in zip(heads, attributes, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(f'<td{attribute}>{cell}</td>' for cell, attribute in zip(row, attributes, strict=True))}</tr>"
        for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>"
    return f'{STYLE}<table class="rows">{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def class_cell(found: Detection) -> str:
    """A cell with the class's colour and name."""
    red, green, blue = colour_of(found.class_id)
    colour = f"background: rgb({red}, {green}, {blue})"
    return f'<span class="swatch" style="{colour}"></span>{escape(found.class_name)}'
