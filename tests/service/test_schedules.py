"""Schedules in a real engine: runs start when they should, are told of when they fail, and keep the engine."""

from __future__ import annotations

import http.server
import json
import os
import signal
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cellyard.errors import EngineEnded, NotFound, UsageError
from cellyard.history import History
from cellyard.service.client import EngineClient
from tests.exporters.notebooks import write_notebook
from tests.service.engines import Home, engine_home, run_step, until

MANIFEST = """\
bundle: 1
name: job
notebook: job.ipynb
parameters: [{name: n, type: int, default: "1"}]
setup: [parameters.py]
steps: [{name: work, file: steps/01-work.py, cell: 2, line: work --cpu 0.1 --memory 200MiB}]
"""
ENDS = {"succeeded", "failed", "cancelled", "lost"}


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with engine_home() as found:
        yield found


def bundle(folder: Path, code: str) -> Path:
    """A bundle of one step."""
    (folder / "steps").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(MANIFEST)
    (folder / "parameters.py").write_text("# %% cell 1\nn = 1\n")
    (folder / "steps/01-work.py").write_text(f"# %%step work\n{code}\n")
    return folder


def came(client: EngineClient, name: str, count: int = 1, *, ended: bool = True) -> list[dict[str, Any]]:
    """What came of a schedule, the newest first, once there are so many and all have ended."""

    def are_there() -> bool:
        found = client.schedule_history(name)
        done = [each for each in found if each["state"] in ENDS | {"skipped"}] if ended else found
        return len(done) >= count

    until(are_there, f"{name} came {count} time(s)", seconds=90)
    return client.schedule_history(name)


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook's address, and what was posted there."""
    got: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/secret-path", got
        server.shutdown()
        thread.join()


def test_a_run_by_hand_uses_a_copy_of_the_bundle_and_its_parameters(home: Home, tmp_path: Path):
    client = home.client()
    source = bundle(tmp_path / "b", "made = n * 2")
    made = client.add_schedule(
        {
            "path": str(source),
            "name": "by hand",
            "expression": "0 6 * * 1-5",
            "timezone": "Europe/Berlin",
            "parameters": {"n": "21"},
        }
    )
    assert len(made["next"]) == 3
    assert "T06:00:00+0" in made["next"][0]
    (source / "steps/01-work.py").write_text("# %%\nmade = 'the live one'\n")
    client.run_schedule("by hand")
    [firing] = came(client, "by hand")
    assert (firing["state"], firing["cause"]) == ("succeeded", "hand"), firing
    history = History(home.settings)
    run = history.run(firing["run_id"])
    assert run["work"]["made"] == 42
    assert (run.name, run.tags) == ("by hand", [f"firing:{firing['id']}", "schedule:by hand"])
    history.close()
    listed = {each["name"]: each for each in client.schedules()["schedules"]}
    assert listed["by hand"]["last"]["id"] == firing["id"]
    client.remove_schedule("by hand")
    assert not Path(made["bundle"]).parent.exists()
    with pytest.raises(NotFound):
        client.schedule_history("by hand")


def test_a_run_by_hand_is_not_asked_for_again_when_the_engine_ends_in_the_middle(home: Home, tmp_path: Path):
    client = home.client()
    client.add_schedule({"path": str(bundle(tmp_path / "b", "1")), "name": "once", "expression": "0 6 * * *"})
    facts = client.info()
    assert facts is not None
    os.kill(facts["pid"], signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.run_schedule, "once")
        time.sleep(0.3)
        os.kill(facts["pid"], signal.SIGKILL)
        with pytest.raises(EngineEnded, match="see whether it was done"):
            asked.result(timeout=20)
    assert client.schedule_history("once") == []
    client.remove_schedule("once")


def test_a_notebook_is_exported_when_it_is_scheduled(home: Home, tmp_path: Path):
    client = home.client()
    notebook = write_notebook(tmp_path, "%%step work --memory 200MiB\nmade = 'first'", name="live.ipynb")
    client.add_schedule({"path": str(notebook), "expression": "@yearly"})
    write_notebook(tmp_path, "%%step work --memory 200MiB\nmade = 'second'", name="live.ipynb")
    client.run_schedule("live")
    [firing] = came(client, "live")
    history = History(home.settings)
    assert history.run(firing["run_id"])["work"]["made"] == "first"
    history.close()
    client.remove_schedule("live")


def test_a_schedule_that_is_replaced_runs_the_new_notebook_and_disturbs_no_run_of_the_old(home: Home, tmp_path: Path):
    client = home.client()
    begun, go_on, included = tmp_path / "begun", tmp_path / "go on", tmp_path / "query.sql"
    included.write_text("first")
    (tmp_path / "rows.py").write_text("count = 1")
    lines = f"""%%step work --memory 200MiB
import time, pathlib
pathlib.Path('written').touch()
pathlib.Path({str(begun)!r}).touch()
while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.05)
import rows
made = n, rows.count, pathlib.Path('query.sql').read_text()"""
    notebook = write_notebook(tmp_path, "# parameters\nn = 1\ngone = 2", lines, name="nightly.ipynb")
    settings = {"expression": "@daily", "timezone": "Asia/Tokyo", "overlap": "queue", "command": "true"}
    wanted = {**settings, "parameters": {"n": "21", "gone": "3"}, "include": [str(included)]}
    first = client.add_schedule({"path": str(notebook), **wanted})
    client.change_schedule("nightly", "paused")
    client.run_schedule("nightly")
    until(begun.exists, "the run is at work", seconds=60)
    included.write_text("second")
    (tmp_path / "rows.py").unlink()
    lines = """%%step work --memory 200MiB
import pathlib
made = n, pathlib.Path('query.sql').read_text(), sorted(each.name for each in pathlib.Path().glob('*'))"""
    write_notebook(tmp_path, "# parameters\nn = 1", lines, name="nightly.ipynb")
    for wrong in ({"parameters": {"m": "1"}}, {"include": [str(tmp_path / "nothing")]}, {"overlap": "x"}):
        with pytest.raises(UsageError):
            client.add_schedule({"path": str(notebook), "replace": True, **wrong})
    second = client.add_schedule({"path": str(notebook), "replace": True})
    assert second["replaced"]
    assert second["notes"][:2] == [
        "it has no parameter gone any more: its '3' is left out",
        "it is paused, and stays so: cellyard schedule resume nightly lets it go on",
    ]
    changed = {key for key in second if second[key] != first.get(key)}
    assert changed == {"bundle", "parameters", "notes", "replaced", "next", "state"}
    assert second["parameters"] == {"n": "21"}
    client.run_schedule("nightly")
    until(lambda: client.schedule_history("nightly")[0]["state"] in ENDS, "the new one has run", seconds=60)
    bundles = Path(first["bundle"]).parent.glob("*bundle*")
    assert sorted(map(str, bundles)) == [first["bundle"], second["bundle"]]
    go_on.touch()
    firings = came(client, "nightly", 2)
    history = History(home.settings)
    made = [history.run(each["run_id"])["work"]["made"] for each in firings]
    history.close()
    assert made == [(21, "second", ["query.sql", "written"]), (21, 1, "first")]
    until(lambda: not Path(first["bundle"]).exists(), "the old bundle goes when no run has it any more")
    assert Path(second["bundle"]).exists()
    changes = {"expression": "30 7 * * *", "parameters": {"n": "4"}, "webhook": "http://h/secret", "replace": True}
    third = client.add_schedule({"path": str(notebook), **changes})
    assert (third["timezone"], third["parameters"], third["webhook"]) == ("Asia/Tokyo", {"n": "4"}, "http://h")
    assert not Path(second["bundle"]).exists()
    client.remove_schedule("nightly")
    assert not Path(third["bundle"]).parent.exists()


def test_a_failure_is_told_to_webhook_and_command_and_the_address_stays_a_secret(
    home: Home, tmp_path: Path, hook: tuple[str, list[dict[str, Any]]]
):
    client, (address, got) = home.client(), hook
    told = tmp_path / "told.json"
    command = f"sh -c '(cat; echo; echo $SCHEDULE_STATE) > {told}'"
    wanted = {"path": str(bundle(tmp_path / "b", "1 / 0")), "name": "failing", "on_change": [str(tmp_path / "never")]}
    made = client.add_schedule({**wanted, "command": command, "webhook": address})
    client.run_schedule("failing")
    [firing] = came(client, "failing")
    assert firing["state"] == "failed"
    until(lambda: bool(got) and told.exists() and told.read_text().endswith("failed\n"), "both were told")
    assert (got[0]["schedule"], got[0]["run"], got[0]["state"]) == ("failing", firing["run_id"], "failed")
    assert "ZeroDivisionError: division by zero" in got[0]["text"]
    assert json.loads(told.read_text().splitlines()[0])["run"] == firing["run_id"]
    assert made["webhook"] == "http://127.0.0.1"
    assert "secret-path" not in json.dumps(client.schedules())
    assert b"secret-path" not in (home.folder / "records.sqlite").read_bytes()
    private = Path(made["bundle"]).parent / "private.json"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    client.remove_schedule("failing")


def test_a_changed_file_and_a_new_value_start_a_run(home: Home, tmp_path: Path):
    client = home.client()
    watched = tmp_path / "in" / "data.csv"
    run_step(client, "sales = 1", notebook="/n/orders.ipynb")
    wanted = {"path": str(bundle(tmp_path / "b", "made = 1")), "name": "watching"}
    client.add_schedule({**wanted, "on_change": [str(watched.parent), "artifact:orders.ipynb:sales"]})
    listed = client.schedules
    until(lambda: bool(listed()["schedules"][0]["seen"]), "what is there has been seen")
    run_step(client, "sales = 1", notebook="/n/orders.ipynb")
    watched.parent.mkdir()
    watched.write_text("1")
    [first] = came(client, "watching")
    assert (first["cause"], first["note"]) == ("change", f"{watched.parent} changed")
    run_step(client, "sales = 2", notebook="/n/orders.ipynb")
    second = came(client, "watching", 2)[0]
    assert (second["state"], second["note"]) == ("succeeded", "artifact:orders.ipynb:sales changed")
    client.remove_schedule("watching")


@pytest.mark.long
def test_a_run_that_is_replaced_is_cancelled_and_the_next_one_follows(home: Home, tmp_path: Path):
    client = home.client()
    watched = tmp_path / "data"
    begun = tmp_path / "begun"
    code = f"import pathlib, time\nmark = pathlib.Path({str(begun)!r})\nfirst = not mark.exists()\nmark.touch()\n"
    source = bundle(tmp_path / "b", f"{code}time.sleep(60 if first else 0)")
    client.add_schedule({"path": str(source), "name": "over", "on_change": [str(watched)], "overlap": "replace"})
    until(lambda: bool(client.schedules()["schedules"][0]["seen"]), "what is there has been seen")
    client.run_schedule("over")
    until(begun.exists, "the first run is at work", seconds=60)
    watched.write_text("new")
    second, first = came(client, "over", 2)
    assert (first["state"], second["state"]) == ("cancelled", "succeeded")
    client.remove_schedule("over")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "when\\?"),
        ({"expression": "* * *"}, "five fields"),
        ({"expression": "@daily", "timezone": "Europe/Berln"}, "Europe/Berlin"),
        ({"on_change": ["s3://b/k"]}, "only files"),
        ({"on_change": ["x"], "timezone": "Europe/Berlin"}, "only with a cron"),
        ({"expression": "@daily", "missed": "never"}, "missed is one of"),
        ({"expression": "@daily", "overlap": "x"}, "overlap is one of"),
        ({"expression": "@daily", "name": "../x"}, "makes no name"),
        ({"expression": "@daily", "webhook": "ftp://x"}, "webhook"),
        ({"expression": "@daily", "parameters": {"m": "1"}}, "no parameter 'm'"),
        ({"expression": "@daily", "include": ["/x"]}, "included when"),
        ({"expression": "@daily", "path": "relative"}, "whole path"),
        ({"expression": "@daily", "path": "/nowhere"}, "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(
    home: Home, tmp_path: Path, wanted: dict[str, Any], words: str
):
    source = bundle(tmp_path / "b", "pass")
    with pytest.raises(UsageError, match=words):
        home.client().add_schedule({"path": str(source), "name": "wrong", **wanted})
    assert home.client().schedules()["schedules"] == []
    folder = Path(home.settings.schedules)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_name_is_taken_once(home: Home, tmp_path: Path):
    client = home.client()
    wanted = {"path": str(bundle(tmp_path / "b", "pass")), "name": "twice", "expression": "@daily"}
    client.add_schedule(wanted)
    with pytest.raises(UsageError, match=r"already.*--replace"):
        client.add_schedule(wanted)
    assert len(list(Path(home.settings.schedules).iterdir())) == 1
    client.remove_schedule("twice")


def test_an_engine_stays_for_a_schedule_makes_up_for_what_was_missed_and_leaves_when_it_is_paused(tmp_path: Path):
    with engine_home(CELLYARD_IDLE="1s") as home:
        client = home.client()
        # Every hour, and not while this test runs.
        expression = f"{(time.gmtime().tm_min + 30) % 60} * * * *"
        made = client.add_schedule(
            {"path": str(bundle(tmp_path / "b", "made = 1")), "name": "hourly", "expression": expression}
        )
        pid = client.ensure()["pid"]
        client.close()
        time.sleep(2.5)
        found = home.client().info()
        assert found is not None
        assert found["pid"] == pid
        client.stop()
        # As an engine leaves them that is killed while it replaces one.
        outdated = [Path(made["bundle"]).with_name(name) for name in ("bundle-1234", ".bundle-5678")]
        for each in outdated:
            (each / "steps").mkdir(parents=True)
        with sqlite3.connect(home.folder / "records.sqlite") as database:
            database.execute("update schedules set considered = considered - 5 * 3600")
        database.close()
        # Any command starts the engine again, and that sees to the rest.
        assert client.ensure()["pid"] != pid
        made_up, skipped = came(client, "hourly", 2)
        assert (made_up["cause"], made_up["state"]) == ("missed", "succeeded")
        assert not any(each.exists() for each in outdated)
        assert (skipped["state"], skipped["note"]) == ("skipped", "4 times came while no engine was there")
        client.change_schedule("hourly", "paused")
        client.close()
        until(lambda: home.client().info() is None, "an engine without schedules leaves")


def test_when_and_with_what_it_runs_can_be_changed(home: Home, tmp_path: Path):
    client = home.client()
    client.add_schedule({"path": str(bundle(tmp_path / "b", "made = n")), "name": "to change", "expression": "@daily"})
    changes = {"expression": "30 7 * * 1", "timezone": "Asia/Tokyo", "parameters": {"n": "3"}, "overlap": "queue"}
    changed = client.edit_schedule("to change", changes)
    assert (changed["timezone"], changed["parameters"], changed["overlap"]) == ("Asia/Tokyo", {"n": "3"}, "queue")
    assert [each[10:] for each in changed["next"]] == ["T07:30:00+09:00"] * 3
    assert changed["missed"] == "once", "what was not named stays"
    whole = client._call("GET", "/v1/schedules/to%20change")
    assert whole["takes"] == [{"name": "n", "type": "int", "default": "1"}]
    for wrong in ({"expression": "often"}, {"expression": None}, {"parameters": {"m": 1}}, {"missed": "never"}):
        with pytest.raises(UsageError):
            client.edit_schedule("to change", wrong)
    assert client._call("GET", "/v1/schedules/to%20change")["next"] == changed["next"]
    with pytest.raises(NotFound):
        client.edit_schedule("nobody", {"expression": "@daily"})
    client.remove_schedule("to change")
