"""`pinclip doctor --cluster`: checks that a cluster is ready for the runs of a deploy profile: versions, rights and
names.

What Kubernetes does not let us look at is a warning that says so, never a guess.
"""

from collections.abc import Iterator

from model.errors import PinclipError
from pipelines.cluster.argo_retries import ADVICE, policy
from pipelines.cluster.checks import absent_labels, labelling, missing
from pipelines.cluster.client import Cluster
from pipelines.cluster.compilation import PIPELINES
from pipelines.cluster.kubernetes_view import Hidden, View, view
from pipelines.cluster.profiles import DeployProfile
from pipelines.cluster.run_follower import STARTING, waits
from pipelines.cluster.versions import OPERATORS, installed, needed, numbers, too_old
from pipelines.local.doctor import Check

FIXED = (2, 17)  # from this KFP on, a recurring run has the account that it asks for
DEFAULT_ACCOUNT = "default-editor"  # KFP's in multi-user mode
# What a step does with its account: train's RayJob, KFP's launcher, Argo's executor (group, resource, name, verbs).
RIGHTS = (
    ("ray.io", "rayjobs", "", "create get list watch delete"),
    ("", "pods", "", "get list watch"),
    ("", "pods/log", "", "get"),
    ("argoproj.io", "workflowtaskresults", "", "create patch"),
    ("", "configmaps", "kfp-launcher", "get"),
    ("", "secrets", "mlpipeline-minio-artifact", "get"),
)


def cluster_checks(host: str | None, profile: DeployProfile) -> Iterator[Check]:
    """Asks KFP and then Kubernetes; each check is independent of the others."""
    version, namespace = "unknown", ""
    try:
        cluster = Cluster(host)
        version, namespace = cluster.version, cluster.namespace
        cluster.check_token()
        yield Check("KFP's API", "ok", f"{cluster.host} answers and takes the token")
    except PinclipError as error:
        yield _failed("KFP's API", error)
    yield floor("KFP", version)
    try:
        seen = view()
    except PinclipError as error:
        yield _failed("Kubernetes", error)
        return
    if seen is None:
        yield Check("Kubernetes", "warn", "not looked at", "set KUBECONFIG")
        return
    place = namespace or seen.namespace
    yield from _versions(seen)
    for look in (_labels(seen, place), _accounts(seen, profile, place, version), _retries(seen), _stuck(seen, place)):
        try:
            yield from look
        except Hidden as error:
            yield Check(
                "rights", "warn", f"Kubernetes does not let us look ({error})", "ask an administrator to run this"
            )
    problems = list(missing(seen, profile, PIPELINES, place))
    yield from (_failed("profile", problem) for problem in problems)
    if not problems:
        yield Check("profile", "ok", f"all that it names is in {place}, as far as we may look")


def _failed(name: str, problem: object) -> Check:
    wrong, _, advice = str(problem).partition("; ")
    return Check(name, "fail", wrong, advice.rstrip("."))


def floor(name: str, version: str) -> Check:
    """Whether a version is none that is known to fail."""
    if numbers(version) is None:
        return Check(name, "warn", f"{version} does not say a version", f"{needed(name)} or newer is needed")
    version = version.removeprefix("v").partition("+")[0]
    if sentence := too_old(name, version):
        return _failed(name, sentence)
    return Check(name, "ok", version)


def _versions(seen: View) -> Iterator[Check]:
    try:
        yield floor("Kubernetes", str((seen.get("/version") or {}).get("gitVersion", "unknown")))
    except Hidden as error:
        yield Check("Kubernetes", "fail", f"does not answer ({error})", "check KUBECONFIG")
        return
    for name in OPERATORS:
        try:
            found = installed(seen, name)
        except Hidden:
            yield Check(name, "warn", "its version is hidden from us", f"{needed(name)} or newer is needed")
            continue
        if found is not None:
            yield floor(name, found)
        else:
            yield Check(
                name, "warn", "not found by its label", "needed where a profile has `ray`, Kueue for its `queue`"
            )


def _labels(seen: View, namespace: str) -> Iterator[Check]:
    found = seen.get(f"/api/v1/namespaces/{namespace}")
    if found is None:
        yield Check(
            "namespace", "fail", f"there is no {namespace}", "apply deploy/kustomize, or set PINCLIP_KFP_NAMESPACE"
        )
        return
    if absent := absent_labels(found):
        yield Check("namespace", "warn", f"{namespace} lacks labels that KFP goes by", labelling(namespace, absent))
    else:
        yield Check("namespace", "ok", namespace)


def _accounts(seen: View, profile: DeployProfile, namespace: str, version: str) -> Iterator[Check]:
    """The account of single runs, and the one that recurring runs really have."""
    account = profile.service_account or DEFAULT_ACCOUNT
    yield _account(seen, account, namespace)
    if account != DEFAULT_ACCOUNT and (numbers(version) or ()) < FIXED:
        yield _account(seen, DEFAULT_ACCOUNT, namespace, " (KFP up to 2.16 runs schedules as this account)")


def _account(seen: View, account: str, namespace: str, why: str = "") -> Check:
    own_token = ("", "serviceaccounts/token", account, "create")  # for a training that an alarm starts
    lacking = [
        f"{verb} {resource}"
        for group, resource, name, verbs in (*RIGHTS, own_token)
        for verb in verbs.split()
        if not seen.may(account, namespace, verb, group, resource, name)
    ]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        advice = f"bind the Roles pinclip-pipeline and pinclip-runs to it in {namespace}"
        return Check("account", "fail", f"{account} may not {', '.join(lacking[:3])}{more}{why}", advice)
    return Check("account", "ok", f"{account} has the rights of a step{why}")


def _retries(seen: View) -> Iterator[Check]:
    wrong = policy(seen).wrong
    yield Check("retries", "warn", wrong, ADVICE) if wrong else Check("retries", "ok", "Always")


def _stuck(seen: View, namespace: str) -> Iterator[Check]:
    waiting = list(waits(seen, namespace))
    for name, why in waiting:
        yield Check("pods", "fail", f"{name} does not start: {why}", "docs/operations.md, A pod that does not start")
    if not waiting:
        yield Check("pods", "ok", f"no step has waited for {STARTING / 60:.0f} min to start")
