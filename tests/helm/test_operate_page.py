"""The commands of docs/operate.md for a cluster, executed on a real API server."""

from __future__ import annotations

import pytest

from tests.deploy.operate_page import commands
from tests.helm.conftest import AT_ONCE, ROOT, Cluster


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_run_on_a_cluster(cluster: Cluster, ward: str) -> None:
    for line in commands("cluster"):
        line = line.replace("-n ward", f"-n {ward}")
        if line.startswith(("helm install", "helm upgrade")):
            line = f"{line} {' '.join(AT_ONCE)}"
        cluster.ok("bash", "-euo", "pipefail", "-c", f"cd {ROOT}; {line}")
