"""Killed, or refused while the online store goes away: what the online store then holds too much is taken back."""

import os

import numpy as np
import pytest
from accepted_pins import online, opened, pin, raised, refusing

from model.errors import StoreError
from serving.features import Features


@pytest.fixture
def interrupted(files, monkeypatch):
    """(files, what was accepted before) of a service that was killed between the online store and the journal."""
    space = opened(files)
    before = space.accept([pin("p", title="teal")])[0]
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(space.online, "take_back", lambda *_: True)
        killed.setattr(os, "ftruncate", lambda *_: None)
        killed.setattr(os, "pwrite", dies_at_the_second(os.pwrite))
        space.accept([pin("p", seconds=9, title="moss square", picture=4), pin("new", seconds=9)])
    space.journal.opened.close()  # its lock goes with the process
    vectors, missing = online(files, ["p", "new"])
    assert not missing.any() and not np.array_equal(vectors[0], before.vector_E)
    return files, before


def dies_at_the_second(write):
    calls = iter([write])

    def called(*arguments):
        return next(calls, interrupt)(*arguments)

    return called


def interrupt(*_):
    raise KeyboardInterrupt


def test_what_a_kill_interrupts_is_nowhere_once_a_service_runs_again(interrupted):
    files, before = interrupted
    again = opened(files)
    for vectors, missing in (online(files, ["p", "new"]), again.index.vectors(["p", "new"])):
        assert missing.tolist() == [False, True]
        assert np.array_equal(vectors[0], before.vector_E)
    assert all(answer.stored for answer in again.accept([pin("p", seconds=9), pin("new", seconds=9)]))


def test_while_the_online_store_is_away_the_service_opens_and_remembers(interrupted, monkeypatch):
    files, before = interrupted
    with monkeypatch.context() as away:
        away.setattr("serving.service.push.erase", refusing(Features.of(files.feast_home / "feature_store.yaml").store))
        again = opened(files)
        again.save(changed=True)
        assert not online(files, ["new"])[1][0]
    again.follow()
    vectors, missing = online(files, ["p", "new"])
    assert missing.tolist() == [False, True]
    assert np.array_equal(vectors[0], before.vector_E)


def test_what_is_refused_while_the_online_store_goes_away_is_taken_back_later(files, monkeypatch):
    space = opened(files)
    pushed, refuse = space.online.push, refusing(space.online.store)
    with monkeypatch.context() as away, pytest.raises(StoreError, match="gone after it was written"):
        away.setattr(space.online, "push", lambda *rows: (pushed(*rows), raised(refuse)))
        away.setattr("serving.service.push.erase", refuse)
        space.accept([pin("new")])
    assert not online(files, ["new"])[1][0]
    space.follow()
    assert online(files, ["new"])[1][0]
