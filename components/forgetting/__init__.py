"""Erasure of Pins: `pinclip forget` (docs/operations.md, "Erasure")."""
