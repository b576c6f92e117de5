"""%steps export and %steps schedule: the saved notebook leaves its kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cellyard.errors import UsageError
from cellyard.exporters.bundle_reading import read_bundle
from tests.exporters.notebooks import write_notebook
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_notebook(
        tmp_path_factory.mktemp("leaving"), "%load_ext kernel_magics", "%%step one --memory 300MiB\na = 1"
    )


@pytest.fixture(scope="module")
def kernel(home: Home, notebook: Path) -> Iterator[Kernel]:
    with kernel_at({**home.env, "JPY_SESSION_NAME": str(notebook)}) as found:
        yield found


def test_the_notebook_is_exported_as_it_was_saved(kernel: Kernel, notebook: Path):
    output = notebook.parent / "with blank"
    ran = kernel.run(f"%steps export --to bundle --output '{output}' --no-lock --name mine")
    assert "wrote 3 files" in ran.stdout
    assert read_bundle(output).name == "mine"


def test_the_notebook_is_scheduled_with_its_expression_whole(kernel: Kernel, home: Home):
    ran = kernel.run('%steps schedule "0 6 * * 1-5" --timezone Europe/Berlin --name weekdays --overlap queue')
    assert "schedule weekdays runs the notebook as it was last saved, next at " in ran.stdout
    [made] = home.client().schedules()["schedules"]
    assert (made["expression"], made["timezone"], made["overlap"]) == ("0 6 * * 1-5", "Europe/Berlin", "queue")
    # The notebook has changed: the schedule runs it as it is now, when it did.
    kernel.run("%steps schedule --name weekdays --replace --missed skip")
    [again] = home.client().schedules()["schedules"]
    assert again == {**made, "bundle": again["bundle"], "missed": "skip"}
    assert again["bundle"] != made["bundle"]
    home.client().remove_schedule("weekdays")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("export --to bundle", "--output"),
        ("export --to nowhere --output x", "nothing is known of exporting"),
        ("export --output x --no-such", "no-such"),
        ("schedule", "when?"),
        ("schedule '0 6 * *'", "five fields"),
        ("schedule 'open", "No closing quotation"),
    ],
)
def test_what_cannot_be_meant_is_told(kernel: Kernel, line: str, words: str):
    error = kernel.fail(f"%steps {line}").error
    assert error["ename"] == "UsageError"
    assert words in error["evalue"]


def test_programs_ask_for_the_same(home: Home, notebook: Path):
    client = home.client()
    assert {"bundle", "kubernetes"} <= set(client.exporters())
    output = str(notebook.parent / "api")
    found = client.export(str(notebook), to="bundle", output=output, options={"no-lock": True, "name": "two words"})
    assert (found["code"], found["proof"]) == (0, None)
    assert "steps/01-one.py" in found["files"]
    assert read_bundle(notebook.parent / "api").name == "two words"
    for wrong in ({"path": "relative"}, {"options": {"--no": True}}, {"to": "nowhere"}):
        asked = {"path": str(notebook), "to": "bundle", "output": output, **wrong}
        with pytest.raises(UsageError):
            client.export(asked.pop("path"), **asked)
