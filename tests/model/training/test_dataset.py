"""What training is given: the training Pins' own images, texts, words, boards and neighbours, and nothing of others."""

import numpy as np
import pytest

from model.data.catalogue import Catalogue, joined_texts
from model.graph.neighbourhood import read_edges, read_fresh, read_pairs, read_texts
from model.network.text import END, encode_texts
from model.training.dataset import load_training_set


@pytest.fixture(scope="module")
def loaded(walked, config):
    return load_training_set(*walked, config)


def test_rows_are_the_pins_that_are_not_fresh(walked, loaded):
    training_set, _ = loaded
    assert len(training_set) == (~read_fresh(walked[1])).sum()
    assert not read_fresh(walked[1])[training_set.rows].any()


def test_signals_are_the_pins_texts(walked, loaded, config):
    training_set, tokenizer = loaded
    catalogue = Catalogue(walked[0] / "catalogue")
    assert set(training_set.signals) == {"title", "description", "caption", "annotations"}
    for name, signal in training_set.signals.items():
        texts = joined_texts(catalogue.read("pins", [name])[name].to_pylist())
        numbers: dict[str, int] = {}
        for pin, row in enumerate(training_set.rows):
            if not texts[row]:
                assert signal.number[pin] == -1
            else:
                wanted = encode_texts(tokenizer, [texts[row]], config.text.context)[0]
                assert np.array_equal(signal.texts.ids(signal.number[pin]), wanted)
                assert numbers.setdefault(texts[row], signal.number[pin]) == signal.number[pin]
        assert sorted(numbers.values()) == list(range(len(signal.texts)))
        assert np.array_equal(signal.present(), signal.number >= 0)


def test_words_and_boards_are_the_taught_facts(walked, loaded, config):
    training_set, _ = loaded
    facts, words = read_texts(walked[1])
    edges = read_edges(walked[1])
    for matrix, stated in ((training_set.words_of_pin, facts), (training_set.boards_of_pin, edges)):
        taught = {(p, o) for p, o, held in zip(stated.pin, stated.other, stated.held_out, strict=True) if not held}
        pins, others = matrix.nonzero()
        assert {(training_set.rows[p], o) for p, o in zip(pins, others, strict=True)} == taught
        assert set(matrix.data) == {1.0}
    assert len(training_set.words) == training_set.words_of_pin.shape[1] == len(words)
    for number, ids in enumerate(encode_texts(loaded[1], words, config.text.context)):
        assert np.array_equal(training_set.words.ids(number), ids)


def test_neighbours_are_the_walks_in_order_with_their_weights(walked, loaded):
    training_set, _ = loaded
    pairs = read_pairs(walked[1])
    for pin, row in enumerate(training_set.rows):
        wanted, weights = pairs.neighbour[pairs.pin == row], pairs.weight[pairs.pin == row]
        found = training_set.neighbours[pin]
        assert np.array_equal(training_set.rows[found[: len(wanted)]], wanted)
        assert (found[len(wanted) :] == -1).all()
        assert np.allclose(training_set.weights[pin, : len(weights)], weights, atol=1e-6)
        assert (training_set.weights[pin, len(weights) :] == 0).all()


def test_read_a_few_at_a_time_it_is_the_same(walked, loaded, config, monkeypatch):
    monkeypatch.setattr("model.training.dataset.TEXTS_AT_ONCE", 7)
    found, tokenizer = load_training_set(*walked, config)
    assert tokenizer.to_str() == loaded[1].to_str()
    for name, signal in loaded[0].signals.items():
        assert np.array_equal(found.signals[name].number, signal.number)
        assert np.array_equal(found.signals[name].texts.tokens, signal.texts.tokens)
        assert np.array_equal(found.signals[name].texts.first, signal.texts.first)
    assert np.array_equal(found.words.tokens, loaded[0].words.tokens)


def test_the_tokenizer_has_read_nothing_of_fresh_pins(catalogue_of, picture, config):
    """A word that only fresh Pins, their boards or their queries use stays in pieces; one of training Pins is whole."""
    day = 86_400_000_000
    pins = [
        {"pin_id": f"p{i:02d}", "image": picture(i), "title": "walrus" if i < 48 else "zyzzyva", "created_at": i * day}
        for i in range(60)
    ]
    boards, queries = [], []
    for i in range(60):
        title, query = ("quokka", "axolotl") if i >= 48 else ("narwhal", "ibex")
        boards.append({"board_id": f"{title} {i % 3}", "pin_id": f"p{i:02d}", "title": f"{title} {i % 3}"})
        queries.append({"query": f"{query} {i % 3}", "pin_id": f"p{i:02d}"})
    folders = catalogue_of(pins, boards, queries)
    assert np.flatnonzero(read_fresh(folders[1])).tolist() == list(range(48, 60))
    _, tokenizer = load_training_set(*folders, config)

    def tokens(word):
        return len(tokenizer.encode(word, add_special_tokens=False).ids)

    assert [tokens(word) for word in ("walrus", "narwhal", "ibex")] == [1, 1, 1]
    assert min(tokens(word) for word in ("zyzzyva", "quokka", "axolotl")) > 3
    assert tokenizer.token_to_id(END) == 0


def test_a_catalogue_of_images_alone(catalogue_of, picture, config):
    training_set, _ = load_training_set(
        *catalogue_of([{"pin_id": f"p{i}", "image": picture(i)} for i in range(40)]), config
    )
    assert training_set.signals == {}
    assert len(training_set.words) == 0
    assert training_set.words_of_pin.shape == (len(training_set), 0)
    assert training_set.boards_of_pin.shape == (len(training_set), 0)
    assert (training_set.neighbours == -1).all()
