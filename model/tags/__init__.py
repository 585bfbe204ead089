"""Which of a catalogue's own words fit a picture or texts that are in no catalogue: campaign pictures, what users send.

vocabulary.py    the words, and which Pins have them
evidence.py      the nearest Pins propose their words, each with a few numbers that speak for it
calibration.py   what these numbers are worth: the share of such proposals that was right for held-out Pins
held_out.py      held-out Pins with what is proposed for them, right and wrong
"""
