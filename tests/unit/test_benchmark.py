"""The benchmark's arithmetic and what it writes; what it measures is measured by running it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.contestants import Design
from benchmarks.load import BenchmarkError, Sample, steady
from benchmarks.report import Result, describe_machine, plot, summary, table, write_json
from benchmarks.together import Together


def result(design: Design, *samples: tuple[int, int, float], model: str = "yolov5n", clients: int = 8) -> Result:
    """A result of rounds, each given by requests, failures and seconds."""
    runs = tuple(Sample(done, failed, seconds, 2.0, 300_000_000, 0.1, 0.2, 0.3) for done, failed, seconds in samples)
    return Result("yolov5n", design, model, clients, runs)


def test_a_slow_server_is_not_charged_for_what_is_in_work_at_the_end() -> None:
    # Two clients, an answer a second from a server that takes two seconds for each: five answers in six seconds.
    answered = [2.0, 3.0, 4.0, 5.0, 6.0]
    requests, seconds = steady(answered, clients=2)
    assert requests / seconds == pytest.approx(1.0)
    with pytest.raises(BenchmarkError, match="too few"):
        steady(answered[:3], clients=2)


def test_throughput_counts_success_alone() -> None:
    one = result("this service", (90, 10, 2.0), (30, 0, 1.0))
    assert one.throughput == pytest.approx(120 / 3)
    assert one.failures == 10
    assert one.cpu_seconds == pytest.approx(4.0 / 120)


def test_the_ratio_is_to_the_first_version_with_as_many_clients() -> None:
    results = [
        result("this service", (80, 0, 1.0)),
        result("first version", (20, 0, 1.0)),
        result("this service", (30, 0, 1.0), clients=1),
    ]
    rows = [line.split("|") for line in table(results).splitlines()[2:]]
    assert [row[5].strip() for row in rows] == ["4.00", "1.00", ""]
    assert [row[4].strip() for row in rows] == ["80.0", "20.0", "30.0"]


def test_the_summary_sets_many_clients_beside_a_lone_one() -> None:
    results = [
        result("this service", (80, 0, 1.0)),
        result("first version", (20, 0, 1.0)),
        result("this service", (30, 0, 1.0), clients=1),
        result("first version", (10, 0, 1.0), clients=1),
        result("in-process", (90, 0, 1.0)),  # without a lone client's figures it is left out
    ]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in summary(results, many=8).splitlines()[2:]]
    assert rows == [
        ["yolov5n", "this service", "80.0", "4.0", "100", "1.00", "300"],
        ["yolov5n", "first version", "20.0", "1.0", "100", "1.00", "300"],
    ]


def test_models_at_once_that_share_the_cores_fairly_lose_nothing() -> None:
    assert Together(("s", "l"), (20.0, 4.0), (10.0, 2.0), 0).share == pytest.approx(1.0)
    assert Together(("s", "l"), (20.0, 4.0), (5.0, 2.0), 0).share == pytest.approx(0.75)


def test_json_and_plot_hold_every_result(tmp_path: Path) -> None:
    results = [result("this service", (80, 0, 1.0)), result("first version", (20, 0, 1.0))]
    write_json(results, describe_machine(), tmp_path / "benchmark.json")
    plot(results, tmp_path / "benchmark.png")
    document = json.loads((tmp_path / "benchmark.json").read_text())
    assert document["machine"]["cores"] >= 1
    assert [(row["design"], row["throughput"]) for row in document["results"]] == [
        ("this service", 80.0),
        ("first version", 20.0),
    ]
    assert document["results"][0]["samples"][0]["p95"] == 0.2
    with Image.open(tmp_path / "benchmark.png") as picture:
        assert picture.width > 300
