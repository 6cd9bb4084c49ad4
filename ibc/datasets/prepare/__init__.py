"""Data sets from their public sources: ``python -m ibc.data.prepare NAME ...`` (see ``__main__``)."""
