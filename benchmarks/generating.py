"""What a generated catalogue costs against its size: CPU milliseconds a Pin, a board and a query.

    python benchmarks/generating.py --pins 100000 1000000

Draws some of each from a catalogue of every size, without writing it.
"""

import argparse
import time
from collections.abc import Iterable
from itertools import islice

from model.sources.synthetic.phrases import pin_texts
from model.sources.synthetic.planting import Plan, boards, plant, queries
from model.sources.synthetic.scenes import render_scene
from model.sources.synthetic.themes import PINS, stream

PINS_PER_BOARD, SAVES, FRESH = 5, 3.0, 0.2


def each_ms(items: Iterable[object], count: int) -> float:
    """CPU milliseconds of one of the first `count` items."""
    start = time.process_time()
    drawn = len(list(islice(items, count)))
    return (time.process_time() - start) * 1e3 / drawn


def pins(plan: Plan, size: int) -> Iterable[object]:
    for pin in range(len(plan.theme)):
        scene = plan.scene(pin)
        yield render_scene(scene, plan.seed, int(plan.group[pin]), pin, size), pin_texts(scene, stream(0, PINS, pin))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--image-size", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--drawn", type=int, default=100, help="boards and queries; ten times as many Pins")
    args = parser.parse_args()
    for count in args.pins:
        plan = plant(count, 0, FRESH)
        drawn = [f"a Pin of {size} px {each_ms(pins(plan, size), 10 * args.drawn):.2f}" for size in args.image_size]
        drawn.append(f"a board {each_ms(boards(plan, count // PINS_PER_BOARD, SAVES), args.drawn):.2f}")
        drawn.append(f"a query {each_ms(queries(plan, count), args.drawn):.2f}")
        print(f"{count:>9,} Pins, CPU ms: {', '.join(drawn)}", flush=True)


if __name__ == "__main__":
    main()
