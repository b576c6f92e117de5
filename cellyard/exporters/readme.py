"""The README that goes with an exported CronJob. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["readme"]

_TEXT = """\
# {notebook} on Kubernetes

{when}

Each run is a pod with the kernel and an engine of its own; the steps run on further pods of the size that each asks
for, and all of those are gone when the run is over. Values go to `{store}`.

## Before the first run

1. The operator and the custom resources are in the cluster: `cellyard kubernetes install --namespace {namespace}`.
2. The nodes can pull the image `{image}`, which has what the notebook imports.
{access}

## Use

```
# put it there, and again after changes
kubectl apply --server-side -f .
# run it now, and follow that run
kubectl create job --from=cronjob/{name} {name}-now -n {namespace}
kubectl logs -f job/{name}-now -n {namespace}
# what there is of it
kubectl get cronjob,jobs,pods -n {namespace} -l app.kubernetes.io/instance={name}
# stop running it, and go on
kubectl patch cronjob {name} -n {namespace} -p '{{"spec": {{"suspend": true}}}}'
kubectl patch cronjob {name} -n {namespace} -p '{{"spec": {{"suspend": false}}}}'
# take it away
kubectl delete -f .
```

{made} of each run is `{executed}`, under the name of its pod.

| file | holds |
| --- | --- |
| `1-{carried}.yaml` | {content} |
| `2-rights.yaml` | {rights} |
| `3-cronjob.yaml` | when it runs, and how |
"""


_CARRIED = {
    "notebook": {
        "made": "The executed notebook",
        "content": "the notebook, without outputs, and the files that go with it",
    },
    "bundle": {
        "made": "The report",
        "content": "the notebook's bundle: its steps as files, with what goes along",
    },
}


def readme(facts: Mapping[str, Any]) -> str:
    """The text. Facts: name, namespace, notebook, schedule, image, store, executed, secrets, account, carried."""
    return _TEXT.format_map(
        {
            **facts,
            "when": _when(facts),
            "access": _access(facts),
            **_CARRIED[facts["carried"]],
            "rights": _rights(facts),
        }
    )


def _when(facts: Mapping[str, Any]) -> str:
    schedule = facts["schedule"]
    if schedule is None:
        return f"The CronJob `{facts['name']}` runs the notebook when somebody asks for it: it has no schedule."
    words = str(schedule)
    return f"The CronJob `{facts['name']}` runs the notebook: {words[0].lower()}{words[1:]}, `{schedule.expression}`."


def _access(facts: Mapping[str, Any]) -> str:
    namespace = facts["namespace"]
    if facts["account"]:
        return f"3. The service account `{facts['account']}` in `{namespace}` may use the store."
    if not facts["secrets"]:
        return "3. Pods can reach the store without credentials."
    secret = facts["secrets"][0]
    return (
        f"3. The Secret{'s' * (len(facts['secrets']) > 1)} {', '.join(f'`{each}`' for each in facts['secrets'])} "
        f"exist{'s' * (len(facts['secrets']) == 1)} in `{namespace}`, with the store's variables:\n\n"
        "   ```\n"
        f"   kubectl create secret generic {secret} -n {namespace} \\\n"
        "     --from-literal=AWS_ACCESS_KEY_ID=... --from-literal=AWS_SECRET_ACCESS_KEY=... \\\n"
        "     --from-literal=AWS_REGION=... --from-literal=AWS_ENDPOINT_URL=...\n"
        "   ```"
    )


def _rights(facts: Mapping[str, Any]) -> str:
    made = "" if facts["account"] else "a service account, and "
    return f"{made}what its engine may do in this namespace: a DaskCluster with its workers, and to see their pods"
