"""`pinclip import --guess`: a first spec from the tables themselves."""
