"""What belongs to a notebook is found by its new path."""

from __future__ import annotations

from cellyard.model.moving import Moving, session_of_kernel
from tests.records.making import request
from tests.records.test_schedule_table import FACTS


def open_run(records, notebook: str, session: str = "kernel-1") -> int:
    run = records.create_run(kind="cell", notebook=notebook, session=session)
    records.create_step(run, request("train", run=run, notebook=notebook))
    return run


def test_the_records_of_a_renamed_notebook_follow_it(records):
    open_run(records, "/a/first.ipynb")
    other = open_run(records, "/a/first.ipynb.txt")
    records.move_notebook(Moving("/a/second.ipynb", before="/a/first.ipynb"))
    assert [step.name for step in records.latest_steps("/a/second.ipynb")] == ["train"]
    assert records.latest_steps("/a/first.ipynb") == []
    assert records.run(other).notebook == "/a/first.ipynb.txt"


def test_the_notebooks_of_a_renamed_folder_follow_it(records):
    inside, beside = open_run(records, "/a_b/deep/n.ipynb"), open_run(records, "/axb/deep/n.ipynb")
    records.move_notebook(Moving("/c", before="/a_b"))
    assert records.run(inside).notebook == "/c/deep/n.ipynb"
    assert records.run(beside).notebook == "/axb/deep/n.ipynb"


def test_what_a_kernel_ran_under_an_old_name_is_its_notebooks(records):
    ours = open_run(records, "/a/Untitled.ipynb", session_of_kernel("11-aa") + "life1")
    another = open_run(records, "/a/Untitled.ipynb", session_of_kernel("22-bb") + "life1")
    records.move_notebook(Moving("/a/named.ipynb", kernel="11-aa"))
    assert records.run(ours).notebook == "/a/named.ipynb"
    assert records.run(another).notebook == "/a/Untitled.ipynb"


def test_a_schedule_follows_its_notebook(records):
    records.schedules.add({**FACTS, "notebook": "/a/first.ipynb"})
    records.move_notebook(Moving("/b", before="/a"))
    assert records.schedules.named(FACTS["name"]).notebook == "/b/first.ipynb"
