"""What people write about a scene: title, description, caption, annotations, board titles. Never its style.

Texts are as loose as real ones: half of what is seen goes unsaid, colours have several names, and some words are wrong.
"""

import re

import numpy as np

from model.sources.synthetic.themes import COLOURS, OBJECTS, TEXTURES, THEMES, Scene, pick

# Share of Pins without the text.
MISSING = {"title": 0.1, "description": 0.35, "caption": 0.15, "annotations": 0.2}
WRONG = 0.08  # share of named objects and colours that are mistaken

TITLES = (
    "{a_thing} for the {word}",
    "{word} ideas",
    "{thing} and {other}, {word} edition",
    "my little {thing}",
    "{a_tint} {thing}",
    "{word} inspiration with {a_thing}",
    "simple {word} things",
    "{tint} {word}",
    "how I found this {thing}",
)
OPENINGS = (
    "Everything you need to get into the {word} mood.",
    "We came across this while thinking about the {word} season.",
    "Somebody asked me about the {thing}, so here it is.",
    "Ten {word} ideas that anyone can try.",
    "I keep coming back to this one.",
    "A small {word} project for a slow weekend.",
)
MIDDLES = (
    "The {tint} {thing} goes well with {a_other}.",
    "I love how {tint} it is!",
    "Look at the {thing} and tell me you do not want one.",
    "It reminds me of {word} days with my sister.",
    "You can swap the {thing} for {a_other}.",
    "",
)
CLOSINGS = ("Save it for later.", "What do you think?", "Full guide on the blog.", "Made with love.", "", "")
WHERES = ("against", "in front of", "on", "over")
GENERAL = ("ideas", "inspiration", "weekend", "cute", "favourites", "diy", "home", "celebration", "outdoors", "gifts")
BOARD_TITLES = (
    "{word} ideas",
    "{word}",
    "my {word} board",
    "{tint} {word}",
    "{word} & more",
    "someday",
    "things I like",
    "{word} inspiration",
)


def pin_texts(scene: Scene, rng: np.random.Generator) -> dict[str, str | list[str] | None]:
    """One Pin's text signals, some of them missing (None)."""
    written: dict[str, str | list[str] | None] = {
        "title": _sentence(pick(rng, TITLES), scene, rng),
        "description": _description(scene, rng),
        "caption": _caption(scene, rng),
        "annotations": _annotations(scene, rng),
    }
    return {signal: text if rng.random() >= MISSING[signal] else None for signal, text in written.items()}


def board_title(theme: str, colour: str, rng: np.random.Generator) -> str:
    words = {"word": pick(rng, THEMES[theme].words), "tint": pick(rng, COLOURS[colour][1])}
    title = pick(rng, BOARD_TITLES).format(**words)
    return title[:1].upper() + title[1:]


def _description(scene: Scene, rng: np.random.Generator) -> str:
    """Two or three sentences, mostly chatter."""
    parts = (pick(rng, OPENINGS), pick(rng, MIDDLES), pick(rng, CLOSINGS))
    return " ".join(_sentence(part, scene, rng) for part in parts if part)


def _caption(scene: Scene, rng: np.random.Generator) -> str:
    """What can be seen: most objects with most of their colours, and sometimes the background."""
    seen = []
    for number, (thing, colour) in enumerate(zip(scene.objects, scene.colours, strict=True)):
        if number == 0 or rng.random() < 0.75:
            thing = thing if rng.random() >= WRONG else pick(rng, OBJECTS)
            seen.append(_article(f"{_tint(colour, rng)} {thing}" if rng.random() < 0.75 else thing))
    caption = " and ".join([", ".join(seen[:-1]), seen[-1]] if len(seen) > 1 else seen)
    if rng.random() < 0.6:
        depth, texture = "dark" if scene.dark else "light", pick(rng, TEXTURES[scene.texture])
        ground = " ".join(filter(None, (depth, texture, pick(rng, COLOURS[scene.backdrop][1]), "background")))
        caption = f"{caption} {pick(rng, WHERES)} {_article(ground)}"
    return caption


def _annotations(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Two to five keywords, each once: theme words, objects, colours, and words that fit anything."""
    theme = scene.theme if rng.random() >= WRONG else pick(rng, tuple(THEMES))
    pools = (THEMES[theme].words, scene.objects, scene.objects, COLOURS[scene.colours[0]][1], GENERAL)
    words = [pick(rng, pool) for pool in pools if rng.random() < 0.7]
    words = words if len(words) > 1 else [*words, pick(rng, GENERAL), scene.objects[0]]
    return list(dict.fromkeys(words))


def _sentence(template: str, scene: Scene, rng: np.random.Generator) -> str:
    """The template with the scene's words in it and a capital at the start."""
    place = int(rng.random() * len(scene.objects))
    thing, other = scene.objects[place], pick(rng, scene.objects)
    if other == thing:
        other = pick(rng, THEMES[scene.theme].objects)
    tint = _tint(scene.colours[place], rng)
    filled = template.format(
        word=pick(rng, THEMES[scene.theme].words),
        thing=thing,
        other=other,
        tint=tint,
        a_thing=_article(thing),
        a_other=_article(other),
        a_tint=_article(tint),
    )
    return filled[:1].upper() + filled[1:]


def _tint(colour: str, rng: np.random.Generator) -> str:
    return pick(rng, COLOURS[colour if rng.random() >= WRONG else pick(rng, tuple(COLOURS))][1])


def _article(words: str) -> str:
    return f"{'an' if re.match('[aeiou]', words) else 'a'} {words}"
