"""Label selectors as the tests' two Kubernetes APIs understand them."""

import re


def selects(selector: str, labels: dict[str, str]) -> bool:
    """Of Kubernetes' selectors "a=b,c=d" and "a in (b,c)"; an empty one takes all."""
    if among := re.fullmatch(r"(\S+) in \(([^)]*)\)", selector):
        return labels.get(among[1]) in among[2].split(",")
    return dict(part.split("=", 1) for part in selector.split(",") if part).items() <= labels.items()
