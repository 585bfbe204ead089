"""`pinclip import`: a user's tables become a catalogue."""
