"""Look at the data of a config before training on it: ``python -m ibc.data.doctor CONFIG``."""
