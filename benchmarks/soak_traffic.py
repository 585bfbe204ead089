"""The traffic of soak.py: what is sent, how it is answered, and what must be there at the end."""

import base64
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import requests
from served_pins import COLOURS, IDS, PINS, SHAPES, drawn
from soak_faults import Soaked, replica_killed

PICTURES = [base64.b64encode(drawn(number)).decode() for number in range(PINS)]
WORDS = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
MOST_PINS = 8  # of one push
MIX = {"push": 30, "change": 10, "related": 25, "search": 20, "rerank": 10, "mistake": 5}
TIMEOUT_S = 30.0
QUIET = "quiet"  # no fault
Answer = tuple[str, int, str]  # kind of request, status (0: none came), the sentence of a refusal
MISTAKES: list[tuple[str, object]] = [
    ("/v1/pins", {"pins": [{"pin_id": "zero-time", "title": "teal", "time": "0001-01-01T00:00:00Z"}]}),
    ("/v1/pins", {"pins": [{"pin_id": "line\nbreak", "title": "teal"}]}),
    ("/v1/pins", {"pins": [{"pin_id": "no-picture", "image": "bm8gcGljdHVyZQ=="}]}),
    ("/v1/pins", {"pins": [{}] * 20_000}),
    ("/v1/search", {"text": "teal", "k": 10**6}),
    ("/v1/search", {"text": "x" * 900_000}),
    ("/v1/rerank", {"candidates": []}),
]


class Traffic:
    """`during` names the fault of the moment. acknowledged: (space, id) -> the vector that was answered."""

    def __init__(self, soaked: Soaked, clients: int, rate: float, seed: int) -> None:
        self.soaked, self.clients, self.rate, self.seed = soaked, clients, rate, seed
        self.during = QUIET
        self.acknowledged: dict[tuple[str, str], list[float]] = {}
        self.unsure: set[str] = set()  # sent once more without an answer: either vector is right
        self.refused: set[str] = set()  # new Pins whose request was answered with a refusal
        self.unrefused = 0  # mistakes that were taken, or that made the service fail
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.answers: Counter[tuple[str, int]] = Counter()
        self.errors: Counter[tuple[str, str, int, str]] = Counter()
        self._lock, self._ended = threading.Lock(), threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._client, args=(number,)) for number in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def report(self) -> list[str]:
        """Prints the figures; returns what must not be, as sentences."""
        print(f"{'requests':<10}{'all':>8}{'200':>8}{'refused':>9}{'no answer':>11}{'p50 ms':>9}{'p99 ms':>9}")
        for kind in MIX:
            counts = {status: count for (name, status), count in self.answers.items() if name == kind}
            p50, p99 = np.percentile(self.seconds[kind] or [np.nan], (50, 99)) * 1e3
            refused = sum(count for status, count in counts.items() if status not in (0, 200))
            print(
                f"{kind:<10}{sum(counts.values()):>8,}{counts.get(200, 0):>8,}{refused:>9,}{counts.get(0, 0):>11,}"
                f"{p50:>9.1f}{p99:>9.1f}"
            )
        for (during, kind, status, says), count in sorted(self.errors.items()):
            print(f"{count:>7,} x  {during:<16}{kind:<9}{status or '-':<5}{says}")
        failed = {key: n for key, n in self.errors.items() if key[2] == 500 and key[0] != replica_killed.__name__}
        problems = [f"{sum(failed.values())} requests were answered with 500"] if failed else []
        return problems + ([f"{self.unrefused} mistakes were not refused"] if self.unrefused else [])

    def _client(self, number: int) -> None:
        chance, own = random.Random(f"{self.seed} {number}"), _Client(number)
        session, due = requests.Session(), time.monotonic()
        kinds: dict[str, Callable[..., Answer]] = {name: getattr(self, f"_{name}") for name in MIX}
        while not self._ended.is_set():
            (kind,) = chance.choices(list(MIX), list(MIX.values()))
            started, before = time.monotonic(), self.during
            name, status, says = kinds[kind](session, chance, own)
            during = before if self.during == QUIET else self.during  # a fault that came meanwhile, or had come before
            with self._lock:
                self.answers[name, status] += 1
                if status == 200:
                    self.seconds[name].append(time.monotonic() - started)
                elif name != "mistake":
                    self.errors[during, name, status, says.replace(str(self.soaked.folder), "…")[:90]] += 1
            due = max(due + self.clients / self.rate, time.monotonic())
            self._ended.wait(due - time.monotonic())

    def _push(self, session: requests.Session, chance: random.Random, own: "_Client") -> Answer:
        pins = [own.new(chance) for _ in range(chance.randint(1, MOST_PINS))]
        return self._pushed("push", session, pins, own)

    def _change(self, session: requests.Session, chance: random.Random, own: "_Client") -> Answer:
        if not own.taken:
            return self._push(session, chance, own)
        return self._pushed("change", session, [_content(chance) | {"pin_id": chance.choice(own.taken)}], own)

    def _pushed(self, kind: str, session: requests.Session, pins: list[dict], own: "_Client") -> Answer:
        ids = [pin["pin_id"] for pin in pins]
        status, answer = self._sent(session, "/v1/pins", {"pins": pins})
        with self._lock:
            if status == 200:
                own.taken += [pin_id for pin_id in ids if kind == "push"]
                stored = {pin["pin_id"]: pin["vector"] for pin in answer["pins"] if pin["stored"]}
                self.acknowledged |= {(answer["space"], pin_id): vector for pin_id, vector in stored.items()}
                self.unsure -= set(stored)
            elif kind == "change":
                self.unsure.update(ids)  # it may have been stored before the answer was lost
            elif status not in (0, 500, 504):
                self.refused.update(ids)
        return kind, status, str(answer.get("error", ""))

    def _related(self, session: requests.Session, chance: random.Random, own: "_Client") -> Answer:
        pin_id = chance.choice(own.taken or IDS)
        try:
            answer = session.get(f"{self.soaked.address}/v1/pins/{pin_id}/related", timeout=TIMEOUT_S)
        except requests.RequestException as error:
            return "related", 0, type(error).__name__
        known = answer.status_code == 404 and own.taken  # the space that was promoted may not have it
        return "related", 200 if known else answer.status_code, answer.text

    def _search(self, session: requests.Session, chance: random.Random, own: "_Client") -> Answer:
        asked = {"text": chance.choice(WORDS)} | ({"image": chance.choice(PICTURES)} if chance.random() < 0.3 else {})
        status, answer = self._sent(session, "/v1/search", asked)
        return "search", status, str(answer.get("error", ""))

    def _rerank(self, session: requests.Session, chance: random.Random, own: "_Client") -> Answer:
        candidates = [{"pin_id": pin_id, "utility": chance.random()} for pin_id in chance.sample(IDS, 40)]
        status, answer = self._sent(session, "/v1/rerank", {"candidates": candidates})
        return "rerank", status, str(answer.get("error", ""))

    def _mistake(self, session: requests.Session, chance: random.Random, own: "_Client") -> Answer:
        """One of MISTAKES; or a new Pin beside one that cannot be read, which must both be refused."""
        if chance.random() < 0.3:
            pins = [own.new(chance), {"pin_id": "no-picture", "image": "bm8gcGljdHVyZQ=="}]
            _, status, says = self._pushed("push", session, pins, own)
        else:
            status, answer = self._sent(session, *chance.choice(MISTAKES))
            says = str(answer.get("error", ""))
        with self._lock:
            self.unrefused += status in (200, 500)
        return "mistake", status, says

    def _sent(self, session: requests.Session, path: str, message: object) -> tuple[int, dict]:
        try:
            answer = session.post(self.soaked.address + path, json=message, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            return 0, {"error": type(error).__name__}
        is_ours = answer.headers.get("content-type") == "application/json"  # else Ray Serve's, of a replica that died
        return answer.status_code, answer.json() if is_ours else {"error": answer.text}


class _Client:
    """taken: ids of its own that were acknowledged."""

    def __init__(self, number: int) -> None:
        self.number, self.made, self.taken = number, 0, list[str]()

    def new(self, chance: random.Random) -> dict[str, str]:
        self.made += 1
        return _content(chance) | {"pin_id": f"soak-{self.number}-{self.made}"}


def _content(chance: random.Random) -> dict[str, str]:
    words = {"title": f"{chance.choice(WORDS)} {chance.randint(0, 999)}"}
    return words | ({"image": chance.choice(PICTURES)} if chance.random() < 0.7 else {})
