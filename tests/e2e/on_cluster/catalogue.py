"""A catalogue with planted truth, generated into the volume by a Job of the image."""

from tests.e2e.on_cluster import jobs, profile
from tests.e2e.on_cluster.cluster_clients import Site

CATALOGUE = "/data/catalogues/e2e"
PINS, BOARDS = 400, 60


def generate(site: Site) -> str:
    """The same Pins each time, so that a second call finds them there."""
    command = ["pinclip", "generate", "--pins", str(PINS), "--boards", str(BOARDS), "--out", CATALOGUE]
    told = jobs.run(site, "e2e-generate", command, 300, jobs.of_step(profile.read(site), "training", "prepare"))
    counts = next((line for line in told.splitlines() if "pins" in line), told[-200:])
    return f"{CATALOGUE} on the volume: {counts.strip()}."
