"""Looks at the data of a configuration before training on it: ``ibc doctor CONFIG``."""
