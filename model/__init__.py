"""Learns, computes, quantizes and evaluates Pin vectors. Imports nothing of orchestration."""
