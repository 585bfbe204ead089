"""Names in a sentence: all of few, the most alike of many, none of them endless."""

from model.names import LONGEST, SHOWN, listed


def test_few_names_stand_in_their_order():
    assert listed([]) == ""
    assert listed(["b", "a"], like="a") == "b, a"
    assert listed(["x" * 100]) == f"{'x' * LONGEST}…"


def test_of_many_names_the_most_alike_come_first():
    names = [f"column_{n}" for n in range(1000)]
    shown = listed([*names, "Titel", "title_de"], like="title")
    assert shown.startswith("Titel, title_de, ")
    assert shown.endswith(", … and 982 more")
    assert listed(names).split(", ")[:SHOWN] == names[:SHOWN]
