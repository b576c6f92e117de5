"""Process state on its way to another machine and back."""

from __future__ import annotations

import sys
import sysconfig

import pytest

from cellyard.environment.elsewhere import Sojourn, depart, first_variables, returned

OWN = {"environment": {"PATH": "/bin", "TOKEN": "secret of the pod"}, "path": ["/w/lib/site-packages"]}


def sojourn(tmp_path, modules=""):
    return Sojourn(OWN, modules=modules, scratch=str(tmp_path / "scratch"))


def test_only_variables_that_the_notebook_has_set_or_unset_go():
    state = {"environment": {"HOME": "/home/me", "NEW": "1", "CHANGED": "b"}}
    sent = depart(state, {"HOME": "/home/me", "CHANGED": "a", "GONE": "x", "CELLYARD_RUN": "7"})
    assert sent["environment"] == {"set": {"NEW": "1", "CHANGED": "b"}, "unset": ["GONE"]}


def test_the_first_variables_are_those_that_the_process_was_started_with(monkeypatch):
    monkeypatch.setenv("MADE_LATER", "1")
    assert "MADE_LATER" not in first_variables()
    assert first_variables()["PATH"]


def test_of_the_path_only_what_is_not_pythons_goes():
    path = ["", "/home/me/lib", sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "/usr/lib/python311.zip"]
    assert depart({"path": path}, {})["path"] == ["", "/home/me/lib"]


def test_other_sections_go_as_they_are():
    assert depart({"random": (1, 2)}, {}) == {"random": (1, 2)}


def test_a_worker_keeps_its_own_variables_and_gets_the_notebooks(tmp_path):
    settled = sojourn(tmp_path).settle({"environment": {"set": {"NEW": "1"}, "unset": ["PATH"]}})
    assert settled["environment"] == {"TOKEN": "secret of the pod", "NEW": "1"}


def test_local_modules_come_first_also_for_processes_that_the_step_starts(tmp_path):
    settled = sojourn(tmp_path, modules="/w/modules").settle({"path": ["", str(tmp_path), "/not/there"]})
    assert settled["path"] == ["/w/modules", "", str(tmp_path), "/w/lib/site-packages"]
    assert settled["environment"]["PYTHONPATH"] == "/w/modules"


def test_without_any_state_the_modules_are_on_the_path(tmp_path):
    assert sojourn(tmp_path, modules="/w/modules").settle({})["path"] == ["/w/modules", "/w/lib/site-packages"]


@pytest.mark.parametrize("folder", ["/no/such/folder", "", "/etc/hostname"])
def test_a_folder_that_is_not_there_is_replaced(tmp_path, folder):
    assert sojourn(tmp_path).settle({"folder": folder})["folder"] == str(tmp_path / "scratch")


def test_a_folder_that_is_there_is_used(tmp_path):
    assert sojourn(tmp_path).settle({"folder": str(tmp_path)})["folder"] == str(tmp_path)


def test_what_the_step_sets_comes_back_and_nothing_else_of_the_worker(tmp_path):
    stay = sojourn(tmp_path)
    settled = stay.settle({"environment": {"set": {"OLD": "1"}, "unset": []}})
    changed = {key: value for key, value in settled["environment"].items() if key != "OLD"} | {"FROM_STEP": "2"}
    report = stay.report({"environment": changed, "random": (1,)})
    assert report["random"] == (1,)
    assert "secret" not in repr(report)
    now = {"environment": {"HOME": "/home/me", "OLD": "1"}, "path": []}
    assert returned(report, now)["environment"] == {"HOME": "/home/me", "FROM_STEP": "2"}


def test_additions_to_the_path_come_back_where_they_were_made(tmp_path):
    stay = sojourn(tmp_path, modules="/w/modules")
    here = stay.settle({"path": ["", str(tmp_path)]})["path"]
    changed = ["first", *(each for each in here if each != str(tmp_path)), "last"]
    now = {"environment": {}, "path": ["", str(tmp_path), *sys.path[1:]]}
    after = returned(stay.report({"path": changed}), now)["path"]
    assert after == ["first", "", *(each for each in sys.path[1:] if each != str(tmp_path)), "last"]


def test_a_change_of_folder_is_told_as_the_kernel_knows_it(tmp_path):
    stay = sojourn(tmp_path)
    stay.settle({"folder": "/home/me/project"})
    inner = str(tmp_path / "scratch" / "out")
    assert stay.report({"folder": inner})["folder"] == "/home/me/project/out"
    assert stay.report({"folder": "/tmp"})["folder"] == "/tmp"
