"""The worker image: what every pod starts from."""

from __future__ import annotations

import json

from cellyard import __version__
from tests.cluster.conftest import kubectl

SCRIPT = """
import json, os, sys
import cellyard, distributed, kernel_magics, s3fs
caches = {module.__name__: getattr(module, "__cached__", None) or "" for module in list(sys.modules.values())}
print(json.dumps({
    "uid": os.getuid(),
    "version": cellyard.__version__,
    "home": os.access(os.path.expanduser("~"), os.W_OK),
    "root": os.access("/", os.W_OK),
    "uncompiled": [name for name, path in caches.items() if path.endswith(".pyc") and not os.path.exists(path)],
}))
"""


def test_it_runs_without_rights_on_a_root_that_nobody_can_write_to(worker_image: str, namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "image", "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "image",
                    "image": worker_image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "-c", SCRIPT],
                    "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}},
                    "securityContext": {
                        "readOnlyRootFilesystem": True,
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    kubectl("create", "-f", "-", stdin=pod)
    kubectl("wait", "pod/image", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    told = json.loads(kubectl("logs", "image", "-n", namespace))
    assert told == {"uid": 1000, "version": __version__, "home": True, "root": False, "uncompiled": []}
