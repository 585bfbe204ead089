"""The planted truth: which Pins exist, which boards hold them and why, who searched for what and clicked.

Boards gather by theme *and* style and, less so, by main colour. Texts speak of theme, objects and colours; the style
shows in the image alone, so a board neighbour knows what no caption says. All arrays run over Pins; images never here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from model.sources.synthetic.styles import STYLES
from model.sources.synthetic.themes import (
    BOARDS,
    COLOURS,
    GROUPS,
    OBJECTS,
    QUERIES,
    REGIONS,
    TEXTURES,
    THEMES,
    USERS,
    Scene,
    pick,
    stream,
)

THEME_NAMES, STYLE_NAMES, COLOUR_NAMES = tuple(THEMES), tuple(STYLES), tuple(COLOURS)
TEXTURE_NAMES, REGION_NAMES = tuple(TEXTURES), tuple(REGIONS)
MOST_OBJECTS = 4  # in a scene
SECOND = 1_000_000  # times are int64 microseconds since 1970, UTC
START, END = 1_704_067_200 * SECOND, 1_767_225_600 * SECOND  # 2024-01-01 to 2026-01-01
FRESH_SINCE = END - 45 * 86_400 * SECOND  # the fresh groups are those made in the last 45 days
# How much likelier a board takes a Pin of its theme, its style, its main colour. With 12 themes and 8 styles about
# three saves of four match both theme and style, and one of fifty neither.
THEME_PULL, STYLE_PULL, COLOUR_PULL = 90.0, 36.0, 4.0
# What a query says (theme, object, colour of the object), and the odds of each kind summed up.
SAID = ((True, False, False), (False, True, False), (False, True, True), (True, True, False), (True, True, True))
SAID_ODDS = (0.15, 0.3, 0.6, 0.85)
LIKED, BOUGHT = 0.3, 0.2  # share of a board's Pins that its user likes or buys, and of these those bought
# In a catalogue of more Pins than WHOLE a board or a query knows the STRETCH around one Pin: each weighs all the Pins
# that it knows, and there are as many boards as there are Pins to fill them.
WHOLE, STRETCH = 131_072, 16_384
MAIN_FIRST = np.array([4, 1, 1, 1], dtype=np.float32)  # a large object in the middle is what people click


@dataclass(frozen=True)
class Plan:
    """What every Pin is; all arrays have one row a Pin, codes are positions in the *_NAMES above."""

    seed: int
    group: np.ndarray  # int64, rising
    theme: np.ndarray  # int8
    style: np.ndarray  # int8
    objects: np.ndarray  # int8 (N, MOST_OBJECTS), the main one first, -1 past the last
    colours: np.ndarray  # int8 (N, MOST_OBJECTS)
    backdrop: np.ndarray  # int8, a colour
    texture: np.ndarray  # int8
    dark: np.ndarray  # bool
    region: np.ndarray  # int8
    popularity: np.ndarray  # float32, heavy-tailed
    created: np.ndarray  # int64 microseconds
    fresh: np.ndarray  # bool
    consent: np.ndarray  # bool

    def scene(self, pin: int) -> Scene:
        there = self.objects[pin] >= 0
        return Scene(
            theme=THEME_NAMES[self.theme[pin]],
            style=STYLE_NAMES[self.style[pin]],
            objects=tuple(OBJECTS[code] for code in self.objects[pin][there]),
            colours=tuple(COLOUR_NAMES[code] for code in self.colours[pin][there]),
            backdrop=COLOUR_NAMES[self.backdrop[pin]],
            texture=TEXTURE_NAMES[self.texture[pin]],
            dark=bool(self.dark[pin]),
        )

    def around(self, pin: int) -> "tuple[int, Plan]":
        """What somebody knows who has this Pin in mind, and the number of its first Pin."""
        pins = len(self.theme)
        if pins <= WHOLE:
            return 0, self
        first = min(max(0, pin - STRETCH // 2), pins - STRETCH)
        columns = [field.name for field in fields(self) if field.name != "seed"]
        return first, replace(self, **{name: getattr(self, name)[first : first + STRETCH] for name in columns})


@dataclass(frozen=True)
class Board:
    """`pins` in the order of saving, at `saved` (int64 microseconds)."""

    theme: str
    colour: str
    pins: np.ndarray
    saved: np.ndarray


@dataclass(frozen=True)
class Query:
    """Clicked `pins`, the most clicked first, and their `clicks`."""

    text: str
    pins: np.ndarray
    clicks: np.ndarray


def plant(pins: int, seed: int, fresh_share: float) -> Plan:
    """Groups first, then one row for each of their variants: they share the scene and the day."""
    rng = stream(seed, GROUPS)
    sizes = np.where(rng.random(pins) < 0.12, rng.integers(2, 5, pins), 1)
    group = np.repeat(np.arange(pins), sizes)[:pins]
    groups = int(group[-1]) + 1
    region = rng.choice(len(REGION_NAMES), groups, p=[share for share, _ in REGIONS.values()])
    theme = _themes(rng, region)
    objects, colours = _objects(rng, theme)
    created, fresh = _births(rng, groups, fresh_share)
    saves = np.array([rate for _, rate in REGIONS.values()])[region]
    variant = np.arange(pins) - np.searchsorted(group, group)
    return Plan(
        seed=seed,
        group=group,
        theme=theme[group],
        style=rng.integers(0, len(STYLE_NAMES), groups).astype(np.int8)[group],
        objects=objects[group],
        colours=colours[group],
        backdrop=_liked_colours(rng, theme, (groups,))[group],
        texture=rng.integers(0, len(TEXTURE_NAMES), groups).astype(np.int8)[group],
        dark=(rng.random(groups) < 0.3)[group],
        region=region.astype(np.int8)[group],
        popularity=(rng.lognormal(0, 0.5, pins) * saves[group]).astype(np.float32),
        created=created[group] + variant * SECOND,
        fresh=fresh[group],
        consent=rng.random(pins) >= 0.02,
    )


def boards(plan: Plan, count: int, saves_per_pin: float) -> Iterator[Board]:
    """Boards of heavy-tailed sizes, each of one theme and one style: those of a Pin, so popular mixes get more boards.

    Pins are drawn without repetition by an exponential race: the k smallest of Exp(1) / weight. A board that wants
    more than there is of its theme and style spills over to one or the other, up to half as many again.
    """
    pins = len(plan.theme)
    spread = stream(plan.seed, BOARDS).lognormal(0, 0.8, count)
    for number, wanted in enumerate(spread / spread.mean() * saves_per_pin * pins / count):
        rng = stream(plan.seed, BOARDS, number + 1)
        founder = int(rng.integers(pins))
        first, known = plan.around(founder)
        themed, styled = known.theme == plan.theme[founder], known.style == plan.style[founder]
        tinted = known.colours[:, 0] == plan.colours[founder, 0]
        weight = known.popularity.copy()
        for likeness, pull in ((themed, THEME_PULL), (styled, STYLE_PULL), (tinted, COLOUR_PULL)):
            weight[likeness] *= np.float32(pull)
        size = round(min(max(1, wanted), 1 + 1.5 * (themed & styled).sum(), len(weight)))
        chosen = first + _race(rng, weight, size)
        saved = plan.created[chosen] + ((END - plan.created[chosen]) * rng.random(size)).astype(np.int64)
        order = np.argsort(saved, kind="stable")
        theme, colour = THEME_NAMES[plan.theme[founder]], COLOUR_NAMES[plan.colours[founder, 0]]
        yield Board(theme, colour, chosen[order], saved[order])


def board_users(plan: Plan, boards: int, users: int) -> np.ndarray:
    """int64 (boards,): whose each board is; every user has one at least, some have many. Empty without users."""
    if not users:
        return np.zeros(0, dtype=np.int64)
    rng = stream(plan.seed, USERS)
    popularity = rng.lognormal(0, 1, users)
    drawn = rng.choice(users, boards - users, p=popularity / popularity.sum())
    return rng.permutation(np.concatenate([np.arange(users), drawn]))


def user_consent(plan: Plan, users: int) -> np.ndarray:
    """Bool (users,): two of a hundred give none."""
    return stream(plan.seed, USERS, 1).random(users) >= 0.02


def preferences(plan: Plan, number: int, board: Board) -> Iterator[tuple[int, bool, int]]:
    """(Pin, bought or liked, time) of some of the Pins on a board, up to 30 days after they were saved."""
    rng = stream(plan.seed, USERS, 2 + number)
    some = rng.random(len(board.pins)) < LIKED
    times = np.minimum(board.saved + (rng.random(len(board.pins)) * 30 * 86_400 * SECOND).astype(np.int64), END)
    bought = rng.random(len(board.pins)) < BOUGHT
    for place in np.flatnonzero(some):
        yield int(board.pins[place]), bool(bought[place]), int(times[place])


def queries(plan: Plan, count: int) -> Iterator[Query]:
    """Up to `count` different queries: somebody has one Pin in mind and says its theme, object or colour.

    Clicks go to Pins that are what the words say, popular ones and main objects first, and fall like Zipf's law; one
    query in ten has a stray click besides. Fewer come where the catalogue has no more different ones to ask.
    """
    asked: set[str] = set()
    for number in range(4 * count):
        if len(asked) == count:
            return
        rng = stream(plan.seed, QUERIES, number)
        pin, text, meant = _ask(plan, rng)
        if text in asked:
            continue
        asked.add(text)
        first, known = plan.around(pin)
        fits = _fits(known, *meant)
        patience, supply = rng.lognormal(2.7, 0.8), (fits > 0).sum() * rng.uniform(0.3, 0.7)
        clicked = _race(rng, known.popularity * fits, math.ceil(min(patience, supply)))
        clicks = np.ceil(rng.lognormal(2.5, 1.0) / np.arange(1, len(clicked) + 1)).astype(np.int64)
        if rng.random() < 0.1 and (stray := int(rng.integers(len(fits)))) not in clicked:
            clicked, clicks = np.append(clicked, stray), np.append(clicks, 1)
        yield Query(text, first + clicked, clicks)


def _ask(plan: Plan, rng: np.random.Generator) -> tuple[int, str, tuple[int | None, int | None, int | None]]:
    """The Pin in mind, the words, and the codes of the theme, the object and its colour they say; None for what they
    leave out."""
    pin = int(rng.integers(len(plan.theme)))
    place = int(rng.integers((plan.objects[pin] >= 0).sum()))
    theme, thing, colour = int(plan.theme[pin]), int(plan.objects[pin, place]), int(plan.colours[pin, place])
    says_theme, says_thing, says_colour = SAID[int(np.searchsorted(SAID_ODDS, rng.random()))]
    words = (
        pick(rng, COLOURS[COLOUR_NAMES[colour]][1]) if says_colour else "",
        pick(rng, THEMES[THEME_NAMES[theme]].words) if says_theme else "",
        OBJECTS[thing] if says_thing else "",
    )
    meant = theme if says_theme else None, thing if says_thing else None, colour if says_colour else None
    return pin, " ".join(filter(None, words)), meant


def _fits(plan: Plan, theme: int | None, thing: int | None, colour: int | None) -> np.ndarray:
    """How well each Pin is what was meant: float32 (N,), 0 not at all."""
    fits = np.ones(len(plan.theme), dtype=np.float32)
    if thing is not None:
        holds = plan.objects == thing
        if colour is not None:
            holds &= plan.colours == colour
        fits = holds @ MAIN_FIRST
    return fits if theme is None else fits * (plan.theme == theme)


def _race(rng: np.random.Generator, weight: np.ndarray, count: int) -> np.ndarray:
    """`count` different positions, drawn without replacement in proportion to `weight`, the winners first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        finish = rng.standard_exponential(len(weight), dtype=np.float32) / weight
    first = np.argpartition(finish, count - 1)[:count]
    return first[np.argsort(finish[first], kind="stable")]


def _themes(rng: np.random.Generator, region: np.ndarray) -> np.ndarray:
    """Common themes more often, except in the last region, where half of the groups are of the four rarest."""
    odds = 1 / (np.arange(len(THEME_NAMES)) + 4)
    theme = rng.choice(len(THEME_NAMES), len(region), p=odds / odds.sum())
    rare = (region == len(REGION_NAMES) - 1) & (rng.random(len(region)) < 0.5)
    theme[rare] = len(THEME_NAMES) - 1 - rng.integers(0, 4, int(rare.sum()))
    return theme.astype(np.int8)


def _objects(rng: np.random.Generator, theme: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Objects and colours, int8 (groups, MOST_OBJECTS): the theme's own, one of seven smaller ones from elsewhere."""
    shape = (len(theme), MOST_OBJECTS)
    objects = rng.integers(0, len(OBJECTS), shape)
    own = rng.random(shape) < np.array([0.97] + [0.85] * (MOST_OBJECTS - 1))
    for code, name in enumerate(THEME_NAMES):
        mine = np.array([OBJECTS.index(thing) for thing in THEMES[name].objects])
        drawn = mine[rng.integers(0, len(mine), shape)]
        objects = np.where(own & (theme == code)[:, None], drawn, objects)
    count = 1 + rng.choice(MOST_OBJECTS, len(theme), p=[0.2, 0.4, 0.3, 0.1])
    objects[np.arange(MOST_OBJECTS) >= count[:, None]] = -1
    return objects.astype(np.int8), _liked_colours(rng, theme, shape)


def _liked_colours(rng: np.random.Generator, theme: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Half of the time one of the theme's colours, else any: int8 of `shape`, its first axis running over themes."""
    liked = np.array([[COLOUR_NAMES.index(colour) for colour in entry.colours] for entry in THEMES.values()])
    codes = theme.reshape(-1, *(1,) * (len(shape) - 1)).astype(np.int64)
    own = liked[codes, rng.integers(0, liked.shape[1], shape)]
    return np.where(rng.random(shape) < 0.5, own, rng.integers(0, len(COLOUR_NAMES), shape)).astype(np.int8)


def _births(rng: np.random.Generator, groups: int, fresh_share: float) -> tuple[np.ndarray, np.ndarray]:
    """When each group was made (int64 microseconds, no two at once), and whether it is one of the newest."""
    newest = round(fresh_share * groups)
    age = rng.permutation(groups)  # 0 is the oldest; the order of the rows tells nothing of time
    fresh = age >= groups - newest
    old, new = FRESH_SINCE - START, END - FRESH_SINCE
    when = (age + 0.8 * rng.random(groups)) / max(1, groups - newest) * old + START
    late = (age - (groups - newest) + 0.8 * rng.random(groups)) / max(1, newest) * new + FRESH_SINCE
    return np.where(fresh, late, when).astype(np.int64), fresh
