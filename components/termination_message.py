"""The termination message of a failed step: one sentence, shown beside the step in Argo and by `kubectl describe pod`.

KFP's launcher passes no exit code on: whatever ends a step, its pod ends with 1 (kubeflow/pipelines 2.16.1,
backend/src/v2/component/launcher_v2.go:684 returns command.Run()'s error, cmd/launcher-v2/main.go:58 makes it
glog.Exit), and KFP sets no `expression` of when to try again (compiler/argocompiler/container.go,
getTaskRetryStrategyFromInput). A container's termination message does arrive: Argo 3.7.8 writes it into the node's
message (workflow/controller/operator.go:1724, inferFailedReason). So a mistake that no second try fixes is marked
there, and an administrator may let Argo read the mark (docs/operations.md: Retries).
"""

import os
from contextlib import suppress
from pathlib import Path

from model.errors import CatalogueError, ConfigError, SpecError, ValidationFailed

FILE = "PINCLIP_TERMINATION_MESSAGE"  # in place of Kubernetes' own file
KUBERNETES = "/dev/termination-log"  # there in each container, writable for its user
LIMIT = 2000  # bytes; Kubernetes keeps 4,096 of a container
MARK = "Trying again does not help: "
# Errors caused by the data or the settings. Other refusals come from servers, volumes and pods, which recover.
FINAL = (ConfigError, SpecError, CatalogueError, ValidationFailed)


def leave(error: BaseException, sentence: str) -> None:
    """Writes the sentence, marked if a retry cannot help; does nothing outside a pod."""
    file = Path(os.environ.get(FILE, KUBERNETES))
    said = f"{MARK if isinstance(error, FINAL) else ''}{sentence}"
    with suppress(OSError):
        if file.is_file():
            file.write_bytes(said.encode()[:LIMIT])
