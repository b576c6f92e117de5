"""What plain cells log goes to the run that they belong to."""

from __future__ import annotations

from tests.notebooks.kernels import Kernel
from tests.service.engines import Home, until


def test_before_any_step_a_run_is_opened_and_later_the_last_steps_run_has_it(kernel: Kernel, home: Home):
    client = home.client()
    kernel.run("import cellyard\ncellyard.log_metric('early', 1)\ncellyard.log_param('depth', 3)")
    until(lambda: bool(client.runs() and client.runs()[0]["metrics"]), "the run is there")
    early = client.runs()[0]
    assert (early["metrics"], early["parameters"], early["state"]) == ({"early": 1.0}, {"depth": 3}, "succeeded")
    assert early["owner"]
    kernel.run("cellyard.log_metric('early', 2)")
    until(lambda: client.run(early["id"])["metrics"] == {"early": 2.0}, "the same run has the second value")
    kernel.run("%%step fit\nimport cellyard\ncellyard.log_metric('inside', 1)")
    step = client.runs()[0]
    assert step["id"] != early["id"]
    kernel.run("cellyard.log_metric('after', 5)")
    until(lambda: client.run(step["id"])["metrics"] == {"after": 5.0, "inside": 1.0}, "the step's run has both")


def test_what_cannot_be_logged_fails_the_cell(kernel: Kernel):
    assert kernel.fail("import cellyard\ncellyard.log_metric('m', 'high')").error["ename"] == "UsageError"


def test_a_result_that_is_taken_brings_along_what_it_once_logged(kernel: Kernel, home: Home):
    cell = "%%step taken --cache\nimport cellyard\ncellyard.log_metric('auc', 0.5)\ncellyard.log_param('depth', 3)"
    kernel.run(cell)
    assert "its result is taken" in kernel.run(cell).stderr
    client = home.client()
    newest = client.runs()[0]["id"]
    until(lambda: client.run(newest)["metrics"] == {"auc": 0.5}, "the second run has the metric")
    assert client.run(newest)["parameters"] == {"depth": 3}
