"""A claim without a volume is told with what to do; one that only waits for its first pod is not."""

import pytest

from pipelines.cluster.volume_claims import unbound

LOCAL = {
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "volumeBindingMode": "WaitForFirstConsumer",
}
NFS = {"metadata": {"name": "nfs"}, "volumeBindingMode": "Immediate"}
FAILED = {
    "reason": "ProvisioningFailed",
    "message": 'failed to provision volume with StorageClass "standard": Only support ReadWriteOnce access mode',
}


def claim(phase: str = "Pending", storage_class: str | None = None) -> dict:
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": storage_class}
    return {
        "metadata": {"name": "pinclip-data"},
        "spec": {key: value for key, value in spec.items() if value},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("asked", "classes", "events", "says"),
    [
        (claim("Bound"), [], [], None),
        (claim("Lost"), [LOCAL], [], "is gone; restore it"),
        (claim(), [NFS], [], "none is the default; name one that knows ReadWriteMany in the overlay"),
        (
            claim(storage_class="shared.example.com"),
            [NFS, LOCAL],
            [],
            "class shared.example.com, and there is nfs,",
        ),
        (claim(storage_class="shared.example.com"), [], [], "there is none; choose one"),
        (claim(storage_class="standard"), [LOCAL], [FAILED], "(failed to provision volume with StorageClass"),
        (claim(storage_class="standard"), [LOCAL], [{"reason": "WaitForFirstConsumer"}], None),
        (claim(storage_class="nfs"), [NFS], [], "describe pvc pinclip-data"),
    ],
)
def test_what_is_said_of_a_claim(asked, classes, events, says):
    said = unbound(asked, classes, events)
    assert (said is None) == (says is None)
    if says:
        assert says in said and said.startswith("The ") | said.startswith("No volume") and said.endswith(".")
