from __future__ import annotations

from pathlib import Path

import pytest

from server.runtime.readiness import worker_death

BEFORE = "2026-01-01T00:00:00,000 INFO  W-9000-yolov5s_1.0-stdout Torch worker started.\n"
DEATH = """\
2026-01-01T00:00:01,000 INFO  W-9001-my-own_2.1-stdout Backend worker process died.
2026-01-01T00:00:01,001 INFO  W-9000-yolov5s_1.0-stdout OSError: of another worker
2026-01-01T00:00:01,002 INFO  W-9001-my-own_2.1-stdout Traceback (most recent call last):
2026-01-01T00:00:01,003 INFO  W-9001-my-own_2.1-stdout   File "yolov5_handler.py", line 1, in initialize
2026-01-01T00:00:01,004 INFO  W-9001-my-own_2.1-stdout ValueError: model.json asks for the engine 'x'
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        (BEFORE, None),
        (BEFORE + DEATH, "a worker of my-own died while loading: ValueError: model.json asks for the engine 'x'"),
        (BEFORE + DEATH.split("Traceback")[0], "a worker of my-own died while loading: no cause given"),
    ],
)
def test_a_death_is_told_with_its_cause(tmp_path: Path, text: str | None, expected: str | None) -> None:
    log = tmp_path / "server.log"
    if text is not None:
        log.write_text(text)
    assert worker_death(log) == expected
