"""Pixels of every concept inside every mask, counted on a CPU or a GPU."""
