"""The plan of a load: its calculations, the file of the benchmark, and the output in docs/capacity.md."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import shlex
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load import Sample
from benchmarks.report import Result, write_json
from benchmarks.systems import Design
from planning.benchmark_results import BenchmarkResultsError, read_benchmark_results
from planning.capacity import MAX_IMAGE_BYTES, describe, main, table, warnings
from planning.plan import JOB_QUEUE_SIZE, Load, Plan

ROOT = Path(__file__).parents[2]
BENCHMARK = ROOT / "docs" / "benchmark" / "benchmark.json"
DOCUMENT = ROOT / "docs" / "capacity.md"
PHOTO = 500_000


def result(model: str, clients: int, rate: int, design: Design = "this service", failed: int = 0) -> Result:
    """Two rounds of ten seconds with both cores always busy; the second has higher latencies and more memory."""
    rounds = [(0.1, 400_000_000), (0.3, 500_000_000)]
    samples = tuple(Sample(10 * rate, failed, 10.0, 20.0, memory, p, 2 * p, 3 * p) for p, memory in rounds)
    return Result("yolov5s", design, model, clients, samples)


def write_benchmark(tmp_path: Path, *results: Result, cores: int = 2) -> Path:
    path = tmp_path / "benchmark.json"
    write_json(results, {"cores": cores}, path)
    return path


@pytest.fixture
def benchmark_file(tmp_path: Path) -> Path:
    results = [result("s", 16, 40), result("s", 1, 10), result("s", 4, 30), result("s", 16, 99, "in-process")]
    return write_benchmark(tmp_path, *results, result("tiny", 16, 400))


def plan(path: Path, rate: float, headroom: float = 0.3, cores: int | None = None, price: float | None = None) -> Plan:
    return Plan(read_benchmark_results(path)["s"], Load(rate, headroom, cores, PHOTO, price))


@pytest.mark.parametrize("rate", [0.1, 1, 28, 28.1, 56, 57, 200, 9999.5])
@pytest.mark.parametrize("headroom", [0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("cores", [None, 1, 2, 3, 8])
def test_replicas_are_the_fewest_that_leave_the_headroom_free(
    benchmark_file: Path, rate: float, headroom: float, cores: int | None
) -> None:
    actual = plan(benchmark_file, rate, headroom, cores)
    replica_rate, expected = 20 * (cores or 2) * (1 - headroom), 1  # 40 images/s on two cores
    while expected * replica_rate < rate * (1 - 1e-9):
        expected += 1
    assert actual.replicas == expected
    assert actual.cores == expected * (cores or 2)
    assert actual.utilisation <= 1 - headroom + 1e-9


def test_the_cost_is_that_of_all_cores_for_a_million_images(benchmark_file: Path) -> None:
    planned = plan(benchmark_file, 200, price=0.04)
    assert (planned.replicas, planned.cores) == (8, 16)
    seconds = 1_000_000 / 200
    assert planned.core_hours_per_million == pytest.approx(16 * seconds / 3600)
    assert planned.cost_per_million == pytest.approx(16 * seconds / 3600 * 0.04)
    assert plan(benchmark_file, 200).cost_per_million is None


def test_network_and_full_queue_follow_from_the_load(benchmark_file: Path) -> None:
    planned = plan(benchmark_file, 200)
    assert planned.bits_per_second == 200 * PHOTO * 8
    assert "100 Mbit/s per replica, 800 Mbit/s in total" in describe(planned)
    assert planned.full_queue_seconds == pytest.approx(100 / 40)
    assert plan(benchmark_file, 1, cores=4).full_queue_seconds == pytest.approx(100 / 80)


def test_the_load_of_a_missing_replica_moves_to_the_others(benchmark_file: Path) -> None:
    planned = plan(benchmark_file, 56)
    assert planned.replicas == 2
    assert planned.utilisation == pytest.approx(0.7)
    assert planned.utilisation_without_one == pytest.approx(1.4)
    assert "140% (overload)" in describe(planned)
    assert plan(benchmark_file, 20).utilisation_without_one is None
    assert "no service" in describe(plan(benchmark_file, 20))


def test_memory_is_the_last_rounds_and_grows_with_the_workers(benchmark_file: Path) -> None:
    sizes = {cores: plan(benchmark_file, 1, cores=cores).replica_bytes for cores in (1, 2, 4, 5, 8, 9)}
    # ceil(cores / 4) + 1 workers; the benchmark had two.
    assert sizes == {1: 5e8, 2: 5e8, 4: 5e8, 5: 7.5e8, 8: 7.5e8, 9: 1e9}


@pytest.mark.parametrize(("rate", "clients"), [(5, 1), (10, 1), (11, 4), (28, 4)])
def test_latency_is_that_of_the_fewest_clients_that_reach_the_load(
    benchmark_file: Path, rate: float, clients: int
) -> None:
    assert plan(benchmark_file, rate).measurement.clients == clients
    assert plan(benchmark_file, rate).measurement.p50 == pytest.approx(0.2)  # the median of both rounds


def test_latency_without_headroom_is_that_of_the_saturated_machine(benchmark_file: Path) -> None:
    assert plan(benchmark_file, 400, headroom=0).measurement.clients == 16
    assert plan(benchmark_file, 4000, headroom=0, cores=7).measurement.clients == 16


def test_the_limits_are_those_of_config_properties() -> None:
    lines = (ROOT / "config.properties").read_text().splitlines()
    assert f"job_queue_size={JOB_QUEUE_SIZE}" in lines
    assert f"max_request_size={MAX_IMAGE_BYTES}" in lines


def test_assumptions_are_printed_as_warnings(tmp_path: Path, benchmark_file: Path) -> None:
    assert warnings(plan(benchmark_file, 1)) == []
    assert "4 cores per replica were not measured" in warnings(plan(benchmark_file, 1, cores=4))[0]
    idle = write_benchmark(tmp_path, result("s", 1, 10, failed=3), cores=4)
    lines = warnings(plan(idle, 1))
    assert "only 50% of the cores' time" in lines[0]
    assert "6 requests of the benchmark failed" in lines[1]


def test_the_table_prints_a_warning_for_all_models_once(benchmark_file: Path) -> None:
    load = Load(200, 0.3, 4, PHOTO, 0.04)
    text = table([Plan(each, load) for each in read_benchmark_results(benchmark_file).values()])
    lines = text.splitlines()
    assert [line.split()[:3] for line in lines[2:4]] == [["s", "4", "16"], ["tiny", "1", "4"]]
    assert text.count("were not measured") == 1


def test_the_published_benchmark_is_read_as_it_was_printed() -> None:
    printed = (BENCHMARK.parent / "benchmark.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed]
    expected = [row for row in rows if len(row) == 11 and row[1] == "this service"]
    results = read_benchmark_results(BENCHMARK)
    assert len(expected) == sum(len(each.measurements) for each in results.values())
    for model, _, clients, rate, _, p50, p95, p99, cpu, memory, failed in expected:
        (point,) = [each for each in results[model].measurements if each.clients == int(clients)]
        assert f"{point.throughput:.1f}" == rate
        assert [f"{1000 * wait:.0f}" for wait in (point.p50, point.p95, point.p99)] == [p50, p95, p99]
        assert f"{point.cpu_seconds:.3f}" == cpu
        assert (f"{point.resident_bytes / 1e6:.0f}", str(point.failures)) == (memory, failed)


def test_an_unknown_model_is_an_error_with_the_known_ones(
    benchmark_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--images-per-second", "1", "--model", "x", "--benchmark", str(benchmark_file)]) == 1
    message = capsys.readouterr().err
    assert "'x' was not measured" in message
    assert "s, tiny" in message


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--images-per-second", "0", "from 0.001 to 1e+09"),
        ("--images-per-second", "-3", "from 0.001"),
        ("--images-per-second", "nan", "not a number"),
        ("--images-per-second", "1e400", "not a number"),
        ("--images-per-second", "many", "'many' is not a number"),
        ("--headroom", "1", "from 0 up to 1"),
        ("--headroom", "30", "from 0 up to 1"),
        ("--headroom", "-0.1", "from 0 up to 1"),
        ("--cores-per-replica", "0", "from 1 to 1024"),
        ("--cores-per-replica", "2.5", "whole number"),
        ("--cores-per-replica", "9" * 400, "whole number"),
        ("--image-bytes", "33554433", "from 1 to 33554432"),
        ("--price-per-core-hour", "-1", "below 0"),
        ("--price-per-core-hour", "inf", "not a number"),
    ],
)
def test_an_invalid_option_is_named_in_the_error(
    option: str, value: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--images-per-second=1", f"{option}={value}"])
    message = capsys.readouterr().err
    assert option in message
    assert reason in message


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """The published benchmark.json with one value replaced."""
    document = copy.deepcopy(json.loads(BENCHMARK.read_text()))
    parent: Any = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return document  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"machine": {"cores": 2}, "results": None},
        changed("machine", "cores", value=0),
        changed("machine", "cores", value="2"),
        changed("results", 0, "throughput", value=math.nan),
        changed("results", 0, "throughput", value=10**400),
        changed("results", 0, "throughput", value=0),
        changed("results", 0, "samples", value=[]),
        changed("results", 0, "samples", 0, "p95", value=None),
        changed("results", 0, "samples", value={}),
        changed("results", value=["row"]),
    ],
)
def test_a_file_of_another_form_is_rejected(document: object, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document))
    with pytest.raises(BenchmarkResultsError, match=r"is not a benchmark\.json of scripts/benchmark"):
        read_benchmark_results(path)


def test_a_file_without_this_service_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkResultsError, match="no results of 'this service'"):
        read_benchmark_results(write_benchmark(tmp_path, result("s", 1, 10, "first version")))


def test_a_file_that_cannot_be_read_is_named_in_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "picture.json").write_bytes(b"\xff\xd8")
    for name in ("missing.json", "picture.json", "."):
        path = tmp_path / name
        assert main(["--images-per-second", "1", "--benchmark", str(path)]) == 1
        assert f"{path} cannot be read" in capsys.readouterr().err


def console_blocks(text: str) -> list[tuple[str, str]]:
    """The console blocks with results of the published benchmark: their text, and their command lines."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    pairs = [(block, "\n".join(line for line in block.splitlines() if line.startswith("$ "))) for block in blocks]
    return [(block, lines) for block, lines in pairs if "scripts/capacity" in lines and "--benchmark " not in lines]


def test_the_document_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """RENEW_CAPACITY=1 updates the blocks after a new benchmark. Then check the text around them."""
    text, renew = DOCUMENT.read_text(), os.environ.get("RENEW_CAPACITY") == "1"
    blocks = console_blocks(text)
    assert len(blocks) >= 4
    for block, lines in blocks:
        expected = ""
        for line in lines.splitlines():
            assert main(shlex.split(line.removeprefix("$ scripts/capacity"))) == 0
            expected += f"{line}\n{capsys.readouterr().out}"
        assert renew or block == expected, (
            "the benchmark or the command has changed: update the document with RENEW_CAPACITY=1"
        )
        text = text.replace(block, expected)
    if renew:
        DOCUMENT.write_text(text)


def test_the_command_runs_in_an_empty_virtual_environment(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    done = subprocess.run(
        [ROOT / "scripts" / "capacity", "--images-per-second", "1"],
        env={**os.environ, "VENV": str(tmp_path / "venv")}, capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 images/s, 30% headroom")
