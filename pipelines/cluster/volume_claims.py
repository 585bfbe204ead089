"""Why a volume claim has no volume, in a sentence: from the claim, the storage classes and the claim's events, as
Kubernetes gives them.
"""

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]
DEFAULT = "storageclass.kubernetes.io/is-default-class"
SHARED = "ReadWriteMany"


def unbound(claim: Object, classes: Sequence[Object], events: Sequence[Object]) -> str | None:
    """None where the claim has its volume, or only waits for its first pod, as classes of one node let it.

    events: those of this claim, the latest last.
    """
    name, status = claim["metadata"]["name"], claim.get("status", {}).get("phase")
    if status == "Lost":
        return f"The volume of the claim {name} is gone; restore it, or delete the claim and apply the overlay again."
    if status == "Bound":
        return None
    wanted = claim["spec"].get("storageClassName")
    known = {one["metadata"]["name"]: one for one in classes}
    shared = " that knows ReadWriteMany" if SHARED in claim["spec"].get("accessModes", ()) else ""
    if wanted is None and not any(_is_default(one) for one in classes):
        return f"The claim {name} names no storage class and none is the default; name one{shared} in the overlay."
    if wanted is not None and wanted not in known:
        there = ", ".join(sorted(known)) or "none"
        return f"The claim {name} asks for the class {wanted}, and there is {there}; choose one{shared} in the overlay."
    if failure := next((one for one in reversed(events) if one.get("reason") == "ProvisioningFailed"), None):
        said = " ".join(str(failure.get("message", "")).split())[:200]
        return f"No volume can be made for the claim {name} ({said}); choose a storage class{shared} in the overlay."
    if known.get(wanted or "", {}).get("volumeBindingMode") == "WaitForFirstConsumer":
        return None
    return f"The claim {name} waits for a volume; look at `kubectl describe pvc {name}`."


def _is_default(storage_class: Object) -> bool:
    return (storage_class["metadata"].get("annotations") or {}).get(DEFAULT) == "true"
