"""What a load takes: the arithmetic against counting, the benchmark's own file, and what docs/capacity.md shows."""

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

from benchmarks.contestants import Design
from benchmarks.load import Sample
from benchmarks.report import Result, write_json
from planning.benchmark_results import MeasuredError, read_measured
from planning.capacity import LARGEST_IMAGE, describe, main, table, warnings
from planning.plan import QUEUE, Load, Plan

ROOT = Path(__file__).parents[2]
BENCHMARK = ROOT / "docs" / "benchmark" / "benchmark.json"
DOCUMENT = ROOT / "docs" / "capacity.md"
PHOTO = 500_000


def result(model: str, clients: int, rate: int, design: Design = "this service", failed: int = 0) -> Result:
    """Two rounds of ten seconds, the second slower to answer and with more memory; both cores busy all the time."""
    rounds = [(0.1, 400_000_000), (0.3, 500_000_000)]
    samples = tuple(Sample(10 * rate, failed, 10.0, 20.0, memory, p, 2 * p, 3 * p) for p, memory in rounds)
    return Result("yolov5s", design, model, clients, samples)


def written(tmp_path: Path, *results: Result, cores: int = 2) -> Path:
    path = tmp_path / "benchmark.json"
    write_json(results, {"cores": cores}, path)
    return path


@pytest.fixture
def measured_file(tmp_path: Path) -> Path:
    found = [result("s", 16, 40), result("s", 1, 10), result("s", 4, 30), result("s", 16, 99, "in-process")]
    return written(tmp_path, *found, result("tiny", 16, 400))


def plan(path: Path, rate: float, headroom: float = 0.3, cores: int | None = None, price: float | None = None) -> Plan:
    return Plan(read_measured(path)["s"], Load(rate, headroom, cores, PHOTO, price))


@pytest.mark.parametrize("rate", [0.1, 1, 28, 28.1, 56, 57, 200, 9999.5])
@pytest.mark.parametrize("headroom", [0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("cores", [None, 1, 2, 3, 8])
def test_replicas_are_the_fewest_that_leave_the_headroom_free(
    measured_file: Path, rate: float, headroom: float, cores: int | None
) -> None:
    found = plan(measured_file, rate, headroom, cores)
    each, counted = 20 * (cores or 2) * (1 - headroom), 1  # 40 images/s on two cores
    while counted * each < rate * (1 - 1e-9):
        counted += 1
    assert found.replicas == counted
    assert found.cores == counted * (cores or 2)
    assert found.use <= 1 - headroom + 1e-9


def test_the_bill_is_for_the_time_that_all_cores_take_for_a_million_images(measured_file: Path) -> None:
    found = plan(measured_file, 200, price=0.04)
    assert (found.replicas, found.cores) == (8, 16)
    seconds = 1_000_000 / 200
    assert found.core_hours_per_million == pytest.approx(16 * seconds / 3600)
    assert found.cost_per_million == pytest.approx(16 * seconds / 3600 * 0.04)
    assert plan(measured_file, 200).cost_per_million is None


def test_the_wire_carries_every_picture_and_the_queue_a_hundred(measured_file: Path) -> None:
    found = plan(measured_file, 200)
    assert found.bits_per_second == 200 * PHOTO * 8
    assert "100 Mbit/s a replica, 800 Mbit/s in all" in describe(found)
    assert found.queue_seconds == pytest.approx(100 / 40)
    assert plan(measured_file, 1, cores=4).queue_seconds == pytest.approx(100 / 80)


def test_a_missing_replica_leaves_its_load_to_the_others(measured_file: Path) -> None:
    found = plan(measured_file, 56)
    assert found.replicas == 2
    assert found.use == pytest.approx(0.7)
    assert found.use_without_one == pytest.approx(1.4)
    assert "140%: too little" in describe(found)
    assert plan(measured_file, 20).use_without_one is None
    assert "nothing serves" in describe(plan(measured_file, 20))


def test_memory_is_the_last_rounds_and_grows_with_the_workers(measured_file: Path) -> None:
    sizes = {cores: plan(measured_file, 1, cores=cores).replica_bytes for cores in (1, 2, 4, 5, 8, 9)}
    # One worker for four cores begun, and one more; two were measured.
    assert sizes == {1: 5e8, 2: 5e8, 4: 5e8, 5: 7.5e8, 8: 7.5e8, 9: 1e9}


@pytest.mark.parametrize(("rate", "clients"), [(5, 1), (10, 1), (11, 4), (28, 4)])
def test_latency_is_that_of_the_fewest_clients_who_made_the_load(
    measured_file: Path, rate: float, clients: int
) -> None:
    assert plan(measured_file, rate).point.clients == clients
    assert plan(measured_file, rate).point.p50 == pytest.approx(0.2)  # the median of both rounds


def test_latency_without_headroom_is_the_saturated_machines(measured_file: Path) -> None:
    assert plan(measured_file, 400, headroom=0).point.clients == 16
    assert plan(measured_file, 4000, headroom=0, cores=7).point.clients == 16


def test_the_servers_limits_are_those_of_its_settings() -> None:
    lines = (ROOT / "config.properties").read_text().splitlines()
    assert f"job_queue_size={QUEUE}" in lines
    assert f"max_request_size={LARGEST_IMAGE}" in lines


def test_what_was_not_measured_is_said(tmp_path: Path, measured_file: Path) -> None:
    assert warnings(plan(measured_file, 1)) == []
    assert "4 cores a replica were not measured" in warnings(plan(measured_file, 1, cores=4))[0]
    idle = written(tmp_path, result("s", 1, 10, failed=3), cores=4)
    said = warnings(plan(idle, 1))
    assert "only 50% of the cores' time" in said[0]
    assert "6 requests of the benchmark failed" in said[1]


def test_the_table_says_once_what_holds_for_all(measured_file: Path) -> None:
    load = Load(200, 0.3, 4, PHOTO, 0.04)
    text = table([Plan(each, load) for each in read_measured(measured_file).values()])
    lines = text.splitlines()
    assert [line.split()[:3] for line in lines[2:4]] == [["s", "4", "16"], ["tiny", "1", "4"]]
    assert text.count("were not measured") == 1


def test_the_real_benchmark_is_read_as_it_was_printed() -> None:
    printed = (BENCHMARK.parent / "benchmark.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed]
    ours = [row for row in rows if len(row) == 11 and row[1] == "this service"]
    found = read_measured(BENCHMARK)
    assert len(ours) == sum(len(each.points) for each in found.values())
    for model, _, clients, rate, _, p50, p95, p99, cpu, memory, failed in ours:
        (point,) = [point for point in found[model].points if point.clients == int(clients)]
        assert f"{point.throughput:.1f}" == rate
        assert [f"{1000 * wait:.0f}" for wait in (point.p50, point.p95, point.p99)] == [p50, p95, p99]
        assert f"{point.cpu_seconds:.3f}" == cpu
        assert (f"{point.resident_bytes / 1e6:.0f}", str(point.failures)) == (memory, failed)


def test_an_unknown_model_is_told_the_known_ones(measured_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--images-per-second", "1", "--model", "x", "--benchmark", str(measured_file)]) == 1
    said = capsys.readouterr().err
    assert "'x' was not measured" in said
    assert "s, tiny" in said


@pytest.mark.parametrize(
    ("option", "value", "words"),
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
def test_nonsense_is_refused_by_name(option: str, value: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--images-per-second=1", f"{option}={value}"])
    said = capsys.readouterr().err
    assert option in said
    assert words in said


def broken(*path: str | int, value: Any) -> dict[str, Any]:
    """The real file with one thing in it replaced."""
    document = copy.deepcopy(json.loads(BENCHMARK.read_text()))
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"machine": {"cores": 2}, "results": None},
        broken("machine", "cores", value=0),
        broken("machine", "cores", value="2"),
        broken("results", 0, "throughput", value=math.nan),
        broken("results", 0, "throughput", value=10**400),
        broken("results", 0, "throughput", value=0),
        broken("results", 0, "samples", value=[]),
        broken("results", 0, "samples", 0, "p95", value=None),
        broken("results", 0, "samples", value={}),
        broken("results", value=["row"]),
    ],
)
def test_a_file_of_another_form_is_refused(document: object, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document))
    with pytest.raises(MeasuredError, match="is not what scripts/benchmark writes"):
        read_measured(path)


def test_a_file_without_this_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasuredError, match="no results of 'this service'"):
        read_measured(written(tmp_path, result("s", 1, 10, "first version")))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "picture.json").write_bytes(b"\xff\xd8")
    for name in ("missing.json", "picture.json", "."):
        path = tmp_path / name
        assert main(["--images-per-second", "1", "--benchmark", str(path)]) == 1
        assert f"{path} cannot be read" in capsys.readouterr().err


def shown(text: str) -> list[tuple[str, str]]:
    """The console blocks of the default benchmark: all of their text, and the commands in it, a line each."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    found = [(block, "\n".join(line for line in block.splitlines() if line.startswith("$ "))) for block in blocks]
    return [(block, lines) for block, lines in found if "scripts/capacity" in lines and "--benchmark " not in lines]


def test_the_document_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """With RENEW_CAPACITY=1 the blocks are written anew, after another benchmark; then read the words around them."""
    text, renew = DOCUMENT.read_text(), os.environ.get("RENEW_CAPACITY") == "1"
    blocks = shown(text)
    assert len(blocks) >= 4
    for block, lines in blocks:
        expected = ""
        for line in lines.splitlines():
            assert main(shlex.split(line.removeprefix("$ scripts/capacity"))) == 0
            expected += f"{line}\n{capsys.readouterr().out}"
        assert renew or block == expected, "the benchmark or the command changed: RENEW_CAPACITY=1, then read it"
        text = text.replace(block, expected)
    if renew:
        DOCUMENT.write_text(text)


def test_the_command_needs_an_empty_environment_only(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    done = subprocess.run(
        [ROOT / "scripts" / "capacity", "--images-per-second", "1"],
        env={**os.environ, "VENV": str(tmp_path / "venv")}, capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 images/s, 30% kept free")
