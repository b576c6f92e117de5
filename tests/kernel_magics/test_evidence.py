"""What steps use is kept, told when they fail for it, and judged when they are run again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cellyard.records import open_records
from cellyard.worker.memory import anonymous_memory
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home

GROWS = (
    "import time\nheld = []\nfor number in range({pieces}):\n    held.append(b'x' * (10 << 20))\n"
    "    time.sleep(0.02)\ncount = len(held)\ndel held"
)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    prices = {"CELLYARD_PRICE_CPU": "36", "CELLYARD_PRICE_MEMORY": "7.2", "CELLYARD_CURRENCY": "EUR"}
    with engine_home(CELLYARD_LOG_LIMIT="64KiB", **prices) as found:
        yield found


@pytest.fixture(scope="module")
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at({**home.env, "JPY_SESSION_NAME": "/tmp/evidence.ipynb"}) as found:
        yield found


def test_out_of_memory_is_told_with_curve_objects_and_a_proposal(kernel: Kernel, home: Home):
    failed = kernel.fail(
        "%%step hungry --memory 100MiB\nimport numpy as np\nbase = np.ones(4_000_000)\n"
        "def gather():\n    import time\n    pieces = []\n    while True:\n"
        "        pieces.append(b'x' * (5 << 20))\n        time.sleep(0.02)\ngather()"
    )
    assert failed.error["ename"] == "StepOutOfMemory"
    value = failed.error["evalue"]
    assert re.search(r"used \d+(\.\d)? MiB of the 100 MiB", value)
    assert re.search(r"largest objects were pieces in gather\(\) \(\d+ MiB\), base \(30\.5 MiB\)", value)
    assert "Try --memory 0.25GiB" in value
    assert "▁" in failed.words
    assert "█" in failed.words
    run = home.client().notebook_steps("/tmp/evidence.ipynb")[-1]["run_id"]
    found = home.client().samples(run, "hungry")
    assert found["limit"] == 100 << 20
    assert found["peak"] >= 100 << 20
    seconds = [each["seconds"] for each in found["samples"]]
    assert len(seconds) > 5
    assert seconds == sorted(seconds)
    assert {"pieces", "base"} <= {each["name"] for each in found["objects"]}


def test_a_retry_after_it_has_twice_the_memory_and_each_attempt_its_curve(kernel: Kernel, home: Home):
    ran = kernel.run(f"%%step growing --memory 60MiB --retries 2\n{GROWS.format(pieces=15)}")
    assert "next one, with 120 MiB" in ran.stderr
    assert "next one, with 240 MiB" in ran.stderr
    assert kernel.look("count") == 15
    step = home.client().notebook_steps("/tmp/evidence.ipynb")[-1]
    assert step["resources"]["memory"] == 240 << 20
    peaks = [home.client().samples(step["run_id"], "growing", attempt=n)["peak"] >> 20 for n in (1, 2, 3)]
    assert peaks[0] < 75
    assert 115 < peaks[1] < 140
    assert peaks[2] >= 145


def test_each_attempt_costs_what_its_own_size_does(kernel: Kernel, home: Home):
    kernel.run(f"%%step grown --memory 60MiB --retries 2\n{GROWS.format(pieces=10)}\ntime.sleep(0.5)")
    client = home.client()
    step = client.notebook_steps("/tmp/evidence.ipynb")[-1]
    limits = [client.samples(step["run_id"], "grown", attempt=n)["limit"] for n in (1, 2)]
    assert limits == [60 << 20, 120 << 20]
    records = open_records(home.settings.records)
    attempts = records.attempts(step["id"])
    records.close()
    assert [each.seconds > 0 for each in attempts] == [True, True]
    prices = [36 + 7.2 * limit / (1 << 30) for limit in limits]
    wanted = sum(price * each.seconds / 3600 for price, each in zip(prices, attempts, strict=True))
    assert client.cost(step["run_id"])["amount"] == pytest.approx(wanted)


def test_sizes_proposes_with_the_evidence_and_auto_applies_it(kernel: Kernel, home: Home):
    shown = kernel.run("%steps sizes growing").result.splitlines()[-1]
    assert re.search(r"growing +1 CPU, 240 MiB +.*--memory \d+MiB +it used at most 1\d\d(\.\d)? MiB in 1 run", shown)
    ran = kernel.run("%%step growing --memory auto\n1")
    assert re.search(r"--memory auto: \d+ MiB \(it used at most", ran.stderr)
    step = home.client().notebook_steps("/tmp/evidence.ipynb")[-1]
    assert step["resources"]["memory"] == 256 << 20
    assert "has not run here before" in kernel.run("%%step never_before --memory auto\n1").stderr


def test_a_run_has_its_cost_by_the_price_table(kernel: Kernel, home: Home):
    kernel.run("%%step priced --cpu 1 --memory 1GiB\nimport time\ntime.sleep(0.5)")
    [step] = [each for each in home.client().notebook_steps("/tmp/evidence.ipynb") if each["name"] == "priced"]
    cost = home.client().cost(step["run_id"])
    assert cost["amount"] == pytest.approx((36 + 7.2) * step["seconds"] / 3600)
    assert cost["prices"]["currency"] == "EUR"
    receipt = kernel.run("%steps cost priced").stdout.splitlines()
    assert receipt[0].split() == ["priced", f"{cost['amount']:.4f}", "EUR"]
    assert receipt[1].startswith("together")
    command = [sys.executable, "-m", "cellyard", "show", str(step["run_id"])]
    shown = subprocess.run(command, env=home.process_env, capture_output=True, text=True, timeout=100, check=True)
    assert f"{cost['amount']:.4f} EUR" in next(line for line in shown.stdout.splitlines() if "priced" in line)
    assert f"this run has cost {cost['amount']:.4f} EUR" in shown.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
def test_100_mb_of_prints_hold_nobody_up_and_fill_no_memory(kernel: Kernel, home: Home):
    kernel.run("%%step settles\nprint('x')")
    engine = home.client().ensure()["pid"]
    before = {pid: anonymous_memory(pid) for pid in (kernel.pid, engine)}
    kernel.run("%%step endless --async\nline = 'x' * 999\nfor _ in range(100_000):\n    print(line)\nit = 1")
    longest = max(kernel.run("1 + 1", timeout=100).seconds for _ in range(30))
    assert kernel.run("it", timeout=400).result == "1"
    assert longest < 5
    kept = kernel.run("%steps logs endless")
    assert "characters are left out here" in kept.stderr
    assert len(kept.stdout) <= 64 << 10
    assert {pid: anonymous_memory(pid) - before[pid] < 40 << 20 for pid in before} == dict.fromkeys(before, True)


def test_more_output_than_is_kept_loses_its_middle_and_neither_time_nor_memory(kernel: Kernel, home: Home):
    before = anonymous_memory(kernel.pid)
    ran = kernel.run(
        "%%step loud\nline = 'x' * 99\nfor number in range(30_000):\n    print(number, line)\nprint('the end')",
        timeout=120,
    )
    assert ran.stdout.startswith("0 xxx")
    assert ran.stdout.endswith("the end\n")
    assert len(ran.stdout) <= 64 << 10
    left_out = re.search(r"([\d,]+) characters are left out here", ran.stderr)
    assert left_out is not None
    assert int(left_out[1].replace(",", "")) + len(ran.stdout) == pytest.approx(30_000 * 103.6, rel=0.05)
    assert anonymous_memory(kernel.pid) - before < 20 << 20
    assert kernel.run("%steps logs loud").stdout == ran.stdout
