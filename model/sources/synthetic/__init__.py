"""`pinclip generate`: a catalogue with planted truth."""
