"""The calculations and output files of the benchmark, without running it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.concurrent_models import ConcurrentThroughput
from benchmarks.load import BenchmarkError, Sample, steady_state
from benchmarks.report import Result, describe_machine, plot, summary, table, write_json
from benchmarks.systems import Design


def result(design: Design, *samples: tuple[int, int, float], model: str = "yolov5n", clients: int = 8) -> Result:
    """A result with one round per sample, given as requests, failures and seconds."""
    rounds = tuple(
        Sample(successes, failures, seconds, 2.0, 300_000_000, 0.1, 0.2, 0.3)
        for successes, failures, seconds in samples
    )
    return Result("yolov5n", design, model, clients, rounds)


def test_requests_in_progress_at_the_end_do_not_change_the_throughput() -> None:
    # Two clients, and one answer per second from a server that needs two seconds each: five answers in six seconds.
    answered = [2.0, 3.0, 4.0, 5.0, 6.0]
    requests, seconds = steady_state(answered, clients=2)
    assert requests / seconds == pytest.approx(1.0)
    with pytest.raises(BenchmarkError, match="too few"):
        steady_state(answered[:3], clients=2)


def test_throughput_counts_successes_only() -> None:
    measured = result("this service", (90, 10, 2.0), (30, 0, 1.0))
    assert measured.throughput == pytest.approx(120 / 3)
    assert measured.failures == 10
    assert measured.cpu_seconds == pytest.approx(4.0 / 120)


def test_the_ratio_is_to_the_first_version_with_equal_clients() -> None:
    results = [
        result("this service", (80, 0, 1.0)),
        result("first version", (20, 0, 1.0)),
        result("this service", (30, 0, 1.0), clients=1),
    ]
    rows = [line.split("|") for line in table(results).splitlines()[2:]]
    assert [row[5].strip() for row in rows] == ["4.00", "1.00", ""]
    assert [row[4].strip() for row in rows] == ["80.0", "20.0", "30.0"]


def test_the_summary_has_many_clients_and_one_client() -> None:
    results = [
        result("this service", (80, 0, 1.0)),
        result("first version", (20, 0, 1.0)),
        result("this service", (30, 0, 1.0), clients=1),
        result("first version", (10, 0, 1.0), clients=1),
        result("in-process", (90, 0, 1.0)),  # left out: it has no result for one client
    ]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in summary(results, many=8).splitlines()[2:]]
    assert rows == [
        ["yolov5n", "this service", "80.0", "4.0", "100", "1.00", "300"],
        ["yolov5n", "first version", "20.0", "1.0", "100", "1.00", "300"],
    ]


def test_concurrent_models_that_share_the_cores_without_loss_have_efficiency_one() -> None:
    assert ConcurrentThroughput(("s", "l"), (20.0, 4.0), (10.0, 2.0), 0).efficiency == pytest.approx(1.0)
    assert ConcurrentThroughput(("s", "l"), (20.0, 4.0), (5.0, 2.0), 0).efficiency == pytest.approx(0.75)


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
