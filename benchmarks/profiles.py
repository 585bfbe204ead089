"""One profile against another on the same fresh Pins: recall@10, its interval, seconds of training.

    OMP_NUM_THREADS=2 python benchmarks/profiles.py --catalogue catalogues/emoji --out /tmp/profiles/emoji

Trains --profile and --against, each with PinCLIP's objectives and as its own CLIP arm, with each seed. Three tables:
recall@10 of each, mean ± 95 % t-interval over seeds; the gain over the CLIP arm, paired by seed; and the difference
from --against, query by query (the mean of the seeds), with the interval of a paired bootstrap over the groups that
ask. --set changes --profile.

Frozen towers are computed before the clock of a training starts. A trial that has ended is kept in --out and never
trained again, one that was killed goes on from its snapshot (its seconds are then of the rest alone); several commands
may train different --arms into one folder.
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from components.studies.data import StudyData
from components.studies.tables import TASKS, Groups, gains, markdown, recall_table
from components.studies.trials import Record
from model.config import Config, load
from model.config.arms import CLIP, FULL, arms
from model.embedding.embedder import embed
from model.evaluation.evaluate import answers, clip_vectors, figures, pinclip_vectors
from model.evaluation.paired import difference
from model.evaluation.questions import questions
from model.evaluation.tasks import evaluation_scope
from model.evaluation.trial import recalls
from model.files import write_json
from model.training.loop import fit

LABELS = {FULL: "", CLIP: ", CLIP objective"}


def trial(data: StudyData, out: Path, profile: str, arm: str, config: Config, seed: int) -> Record:
    """The record kept as <out>/<profile>-<arm>-<seed>.json; the recall of every query stands in the .npz beside it."""
    name, record = f"{profile}-{arm}-{seed}", out / f"{profile}-{arm}-{seed}.json"
    if record.is_file():
        return json.loads(record.read_text(encoding="utf-8"))
    prepared, neighbours = data.prepared(config), data.neighbours(config)
    extracted, work = data.extracted(config, out / "store"), out / f"work-{name}"
    wall, cores = time.monotonic(), time.process_time()
    fitted = fit(prepared, neighbours, work / "model", replace(config, seed=seed), lambda point: None, None, extracted)
    seconds = {"train_seconds": time.monotonic() - wall, "train_core_seconds": time.process_time() - cores}
    embed(prepared, work / "model", work / "vectors", extracted=extracted)
    vectors = (pinclip_vectors if config.objective.trains_fusion else clip_vectors)(work / "vectors")
    asked = questions(evaluation_scope(prepared, neighbours, only_fresh=True), vectors.queries, config)
    found = answers(vectors, asked)
    by_query = {task: asked[task].recall(found[task]) for task in asked}
    np.savez(out / f"{name}.npz", **by_query, **{f"{task}_groups": asked[task].groups for task in asked})
    facts: dict[str, Any] = {"name": profile + LABELS[arm], "seed": seed, "fresh": recalls(figures(asked, found))}
    facts |= {"parameters": fitted["parameters"], "threads": torch.get_num_threads(), **seconds}
    write_json(record, facts)
    shutil.rmtree(work)
    return facts


def gains_over_clip(groups: Groups) -> str:
    """Markdown: the gain of every profile over its own CLIP arm."""
    clip = {name: groups[name + LABELS[CLIP]] for name in groups if name + LABELS[CLIP] in groups}
    return markdown(["profile", *TASKS.values()], [[name, *gains(groups[name], arm)] for name, arm in clip.items()])


def differences(out: Path, profile: str, against: str, seeds: Sequence[int]) -> str:
    """Markdown: recall of both, and the paired difference of each task; arms that are not trained are left out."""
    rows = []
    for arm, label in LABELS.items():
        ours, theirs = (_by_query(out, f"{name}-{arm}", seeds) for name in (profile, against))
        for task in (task for task in TASKS if task in ours and task in theirs):
            found = difference(ours[task], theirs[task], ours[f"{task}_groups"], 0, "theirs")
            interval = f"{found['difference']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"
            recall = [f"{found[name]:.3f}" for name in ("ours", "theirs")]
            rows.append([TASKS[task] + label, *recall, interval, f"{found['ours'] / found['theirs'] - 1:+.0%}"])
    return markdown(["task", profile, against, "difference", "gain"], rows)


def _by_query(out: Path, name: str, seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """Recall of every query, the mean of the seeds; the groups stay what they are. {} where a seed is missing."""
    files = [out / f"{name}-{seed}.npz" for seed in seeds]
    if not all(file.is_file() for file in files):
        return {}
    trials = [np.load(file) for file in files]
    return {key: np.mean([one[key] for one in trials], axis=0) for key in trials[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder for data, features and finished trials")
    parser.add_argument("--profile", default="pilot")
    parser.add_argument("--against", default="demo")
    parser.add_argument("--arms", nargs="+", default=list(LABELS), choices=list(LABELS))
    parser.add_argument("--only", nargs="+", default=[], help="profiles that are trained; both without")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    args = parser.parse_args()
    data, seeds = StudyData.of(args.catalogue, args.out / "data"), range(args.seeds)
    configs = {args.profile: load(args.profile, args.overrides), args.against: load(args.against)}
    groups: Groups = {}
    for profile in args.only or configs:
        for arm, config in arms(args.arms, configs[profile]).items():
            records = [trial(data, args.out, profile, arm, config, seed) for seed in seeds]
            groups[records[0]["name"]] = records
    print(recall_table(groups, "profile"))
    for name, trials in groups.items():
        seconds = ", ".join(f"{one['train_core_seconds']:.0f} ({one['threads']} threads)" for one in trials)
        print(f"core seconds of training, {name}: {seconds}")
    print(f"\n{gains_over_clip(groups)}\n{differences(args.out, args.profile, args.against, seeds)}")


if __name__ == "__main__":
    main()
