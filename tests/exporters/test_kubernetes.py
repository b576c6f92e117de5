"""The CronJob of a notebook, as dictionaries and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cellyard.errors import UsageError
from cellyard.exporters import Export, ExportRequest, create_exporter, exporter_names
from cellyard.model.kubernetes import KubernetesSettings
from cellyard.model.resources import Resources
from cellyard.schedules.cron import parse_schedule
from cellyard.settings import Settings

SECRET = {"secret": "tokens", "key": "hub", "env": "HUB_TOKEN"}
KUBERNETES = KubernetesSettings(namespace="team", image="image:1", secrets=(SECRET,), max_workers=3, context="mine")


def notebook(*sources: str) -> bytes:
    cells = [
        {"cell_type": "code", "source": source, "outputs": [{"text": "old"}], "execution_count": 3, "metadata": {}}
        for source in sources
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def export(*, kubernetes: KubernetesSettings = KUBERNETES, **more: Any) -> Export:
    settings = Settings(store="s3://bucket/p", records="sqlite:////r", runtime=Path("/r"), kubernetes=kubernetes)
    given = {"notebook": "My report.ipynb", "content": notebook("x = 1"), "settings": settings, **more}
    return create_exporter("kubernetes").export(ExportRequest(**given))


def job(made: Export) -> dict[str, Any]:
    return next(each for each in made.objects if each["kind"] == "CronJob")


def pod(made: Export) -> dict[str, Any]:
    found: dict[str, Any] = job(made)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def variables(made: Export) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in pod(made)["containers"][0]["env"]}


def test_the_files_hold_the_objects():
    made = export()
    assert list(made.files) == ["1-notebook.yaml", "2-rights.yaml", "3-cronjob.yaml", "README.md"]
    written = [each for name, text in made.files.items() if name.endswith("yaml") for each in yaml.safe_load_all(text)]
    assert written == list(made.objects)


def test_the_same_request_gives_the_same_files():
    assert export().files == export().files


def test_the_notebook_goes_without_its_outputs_and_keeps_its_name():
    made = export(files={"helpers.py": b"a = 1\n"})
    [config] = [each for each in made.objects if each["kind"] == "ConfigMap"]
    carried = json.loads(config["data"]["My-report.ipynb"])
    assert [(cell["source"], cell["outputs"], cell["execution_count"]) for cell in carried["cells"]] == [
        ("x = 1", [], None)
    ]
    [items] = [each["configMap"]["items"] for each in pod(made)["volumes"] if "configMap" in each]
    assert items == [
        {"key": "My-report.ipynb", "path": "My report.ipynb"},
        {"key": "helpers.py", "path": "helpers.py"},
    ]


def test_a_schedule_is_the_cron_jobs():
    made = export(schedule=parse_schedule("0 6 * * 1-5", "Europe/Berlin"), options={"deadline": 3600})
    spec = job(made)["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 6 * * 1-5", "Europe/Berlin", False)
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 3600
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_without_a_schedule_it_waits_to_be_asked():
    made = export()
    assert job(made)["spec"]["suspend"] is True
    assert "kubectl create job --from=cronjob/my-report" in made.files["README.md"]


def test_secrets_are_named_for_the_run_and_for_its_workers():
    made = export(options={"secrets": ("store",)})
    assert pod(made)["containers"][0]["envFrom"] == [{"secretRef": {"name": "store"}}]
    assert variables(made)["HUB_TOKEN"] == {"secretKeyRef": {"name": "tokens", "key": "hub"}}
    told = KubernetesSettings.from_dict(json.loads(variables(made)["CELLYARD_KUBERNETES"]))
    assert told.secrets == (SECRET, "store")
    assert (told.namespace, told.image, told.max_workers, told.context) == ("team", "image:1", 3, None)


def test_a_password_in_the_records_address_is_not_written_out():
    settings = Settings(store="s3://bucket/p", records="postgresql://me:hunter2@db/r", runtime=Path("/r"))
    made = export(settings=settings)
    assert "hunter2" not in "".join(made.files.values())
    assert any("CELLYARD_RECORDS" in note for note in made.notes)


def test_an_account_of_ones_own_is_used_and_not_made():
    made = export(options={"service_account": "with-role"})
    assert not [each for each in made.objects if each["kind"] == "ServiceAccount"]
    assert pod(made)["serviceAccountName"] == "with-role"
    assert json.loads(variables(made)["CELLYARD_KUBERNETES"])["service_account"] == "with-role"


def test_the_run_may_only_make_and_see_its_own_kind_of_things():
    [role] = [each for each in export().objects if each["kind"] == "Role"]
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert resources == {
        "daskclusters",
        "daskworkergroups",
        "daskclusters/finalizers",
        "pods",
        "pods/log",
        "events",
    }


def test_its_pod_may_do_nothing_to_its_node():
    spec = pod(export())
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["restartPolicy"] == "Never"


def test_its_pod_keeps_little_while_it_waits_for_steps():
    sizes = pod(export(options={"resources": Resources(2, 3 << 30)}))["containers"][0]["resources"]
    assert sizes == {"requests": {"cpu": "250m", "memory": "3072Mi"}, "limits": {"cpu": "2000m", "memory": "3072Mi"}}


def test_what_a_config_map_cannot_hold_is_refused_with_the_sizes():
    with pytest.raises(UsageError, match=r"at most 1 MiB, .*large.csv 1\.1 MiB"):
        export(files={"large.csv": b"x" * (1100 << 10)})


def test_what_is_no_text_is_refused():
    with pytest.raises(UsageError, match="not a text"):
        export(files={"data.bin": b"\xff\xfe"})


def test_names_that_would_be_one_key_are_refused():
    with pytest.raises(UsageError, match="too much alike"):
        export(files={"My-report.ipynb": b""})


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_what_is_no_notebook_is_refused(content):
    with pytest.raises(UsageError, match="not a notebook"):
        export(content=content)


@pytest.mark.parametrize(
    ("stem", "name"), [("Über Größe", "ber-gr-e"), ("a" * 80, "a" * 52), ("Report (final)", "report-final")]
)
def test_names_become_such_as_kubernetes_allows(stem, name):
    assert job(export(notebook=f"{stem}.ipynb"))["metadata"]["name"] == name


def test_a_name_of_which_nothing_is_left_is_refused():
    with pytest.raises(UsageError, match="--name"):
        export(notebook="報告.ipynb")


def test_exporters_are_found_by_name():
    assert "kubernetes" in exporter_names()
    with pytest.raises(UsageError, match=r"known are: .*kubernetes"):
        create_exporter("nowhere")


BUNDLE = {"pipeline.yaml": b"bundle: 1\n", "steps/01-a.py": b"# %%step a\nx = 1\n", "files/words.py": b"word = 1\n"}


def test_a_job_with_a_bundle_has_its_files_in_their_folders_and_keeps_a_report():
    made = export(options={"bundle": BUNDLE})
    assert next(iter(made.files)) == "1-bundle.yaml"
    [config] = yaml.safe_load_all(made.files["1-bundle.yaml"])
    [volume] = [each for each in pod(made)["volumes"] if each["name"] == "notebook"]
    items = {each["path"]: config["data"][each["key"]].encode() for each in volume["configMap"]["items"]}
    assert items == BUNDLE
    command = pod(made)["containers"][0]["command"][-1]
    assert "exec cellyard run . --on kubernetes --stop-engine" in command
    assert '--output "s3://bucket/p/executed/my-report/$POD_NAME.html"' in command
    assert "The report of each run is" in made.files["README.md"]
    assert "My report" not in made.files["1-bundle.yaml"]


def test_files_that_are_no_texts_cannot_go_with_a_job():
    with pytest.raises(UsageError, match=r"files/x\.bin is not a text"):
        export(options={"bundle": {**BUNDLE, "files/x.bin": b"\xff\x00"}})
