"""Pixels of every concept inside every unit's mask, counted on a CPU or a GPU."""
