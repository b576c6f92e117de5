"""A step that runs long shows what it does, under its own cell; a short one shows nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from tests.kernel_magics.test_async import WAITS, Begun
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with engine_home(CELLYARD_LIVE_VIEW="200ms", CELLYARD_PRICE_CPU="3600", CELLYARD_CURRENCY="EUR") as found:
        yield found


@pytest.fixture(scope="module")
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at({**home.env, "JPY_SESSION_NAME": "/tmp/view.ipynb"}) as found:
        found.run("%%step warm\n1")
        yield found


def views(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The displays of the view, the first and its updates."""
    shown = [o for o in outputs if o["type"] in {"display_data", "update_display_data"}]
    return [o for o in shown if str(o["transient"].get("display_id", "")).startswith("cellyard-")]


def test_it_is_one_display_that_is_updated_and_ends_as_html_that_stands_alone(kernel: Kernel):
    ran = kernel.run("%%step long --memory 1GiB\nimport time\nheld = b'x' * (200 << 20)\ntime.sleep(2.5)\ndel held")
    found = views(ran.outputs)
    assert [each["type"] for each in found[:2]] == ["display_data", "update_display_data"]
    assert len({each["transient"]["display_id"] for each in found}) == 1
    texts = [each["data"]["text/plain"] for each in found]
    assert any("long (run" in text and "running" in text and "20" in text and "of 1 GiB" in text for text in texts)
    assert all(VIEW in each["data"] for each in found[:-1])
    last = found[-1]["data"]
    assert VIEW not in last
    assert "succeeded" in last["text/plain"]
    assert "at most 20" in last["text/plain"]
    assert "EUR" in last["text/plain"]
    assert "<script" not in last["text/html"]
    assert "http" not in last["text/html"]


def test_a_step_that_is_shorter_than_the_time_set_shows_nothing_of_it(home: Home):
    # Far longer than a busy machine takes for it.
    patient = {**home.env, "CELLYARD_LIVE_VIEW": "90s", "JPY_SESSION_NAME": "/tmp/patient.ipynb"}
    with kernel_at(patient) as kernel:
        assert not views(kernel.run("%%step short\nimport time\ntime.sleep(0.5)").outputs)


def test_a_queued_step_says_what_it_waits_for_as_that_changes(kernel: Kernel, tmp_path: Path):
    gates = {name: tmp_path / name for name in ("occupant", "second")}
    for name, gate in gates.items():
        kernel.run(f"%%step {name} --cpu 2 --async\n{WAITS.format(path=str(gate))}")
    cell = Begun(kernel, "%%step waiting --cpu 1 --async\ngot = 1")

    def texts() -> str:
        found = [m["content"] for m in cell.seen if "display_data" in m["msg_type"]]
        return "\n".join(each["data"]["text/plain"] for each in found)

    cell.until(lambda: "queued, waits for 1 CPU; step 'occupant' (run" in texts())
    gates["occupant"].touch()
    cell.until(lambda: "queued, waits for 1 CPU; step 'second' (run" in texts())
    gates["second"].touch()
    cell.until(lambda: "succeeded" in texts())
    assert kernel.run("got").result == "1"


def test_its_button_stops_the_step(kernel: Kernel):
    cell = Begun(kernel, "%%step to_stop --async\nimport time\nprint('up', flush=True)\ntime.sleep(300)")

    def box() -> str:
        found = [m["content"]["data"] for m in cell.seen if m["msg_type"] == "display_data"]
        return next((each[VIEW]["model_id"] for each in found if VIEW in each), "")

    cell.until(lambda: bool(box()) and "up" in cell.text)
    kernel.run(f"import ipywidgets\nbutton = ipywidgets.Widget.widgets[{box()!r}].children[0]\nbutton.click()")
    cell.until(lambda: cell.has("error"))
    [error] = [m["content"] for m in cell.seen if m["msg_type"] == "error"]
    assert error["ename"] == "KeyboardInterrupt"


def test_of_a_step_that_shows_too_much_the_newest_lines_are_seen(kernel: Kernel):
    ran = kernel.run(
        "%%step loud\nimport time\nfor number in range(9):\n    print('x' * (1 << 20))\n    time.sleep(0.02)\n"
        "for number in range(12):\n    print('newest line', number)\n    time.sleep(0.25)",
        timeout=120,
    )
    assert any("newest line" in each["data"]["text/html"] for each in views(ran.outputs)[:-1])


def test_the_saved_notebook_has_its_end_and_nothing_that_a_page_would_have_to_load(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in home.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "saved.ipynb"))
    cells = ["%load_ext kernel_magics", "%%step saved\nimport time\nprint('shown')\ntime.sleep(1.2)"]
    notebook = new_notebook(cells=[new_code_cell(each) for each in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    [view] = [each for each in notebook.cells[1].outputs if each.output_type == "display_data"]
    assert set(view.data) == {"text/plain", "text/html"}
    assert "saved (run" in view.data["text/html"]
    assert "succeeded" in view.data["text/html"]
    assert [each.text for each in notebook.cells[1].outputs if each.output_type == "stream"] == ["shown\n"]


def test_after_a_retry_with_more_memory_it_shows_that_and_what_all_attempts_cost(kernel: Kernel, home: Home):
    ran = kernel.run(
        "%%step more --memory 60MiB --retries 1 --retry-delay 600ms\nimport time\ntime.sleep(1)\n"
        "held = b'x' * (80 << 20)\ntime.sleep(1.5)\ndel held"
    )
    texts = [each["data"]["text/plain"] for each in views(ran.outputs)]
    assert any("running (attempt 2)" in text and "MiB of 120 MiB" in text for text in texts), texts
    waiting = [text for text in texts if "queued (attempt 2)" in text]
    assert waiting
    assert not [text for text in waiting if "MiB" in text]
    assert "of 120 MiB" in texts[-1]
    run = home.client().notebook_steps("/tmp/view.ipynb")[-1]["run_id"]
    amount = float(texts[-1].split()[-2])
    assert amount == pytest.approx(home.client().cost(run)["amount"], abs=0.1)
    assert amount > 3
