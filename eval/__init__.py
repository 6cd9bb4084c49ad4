"""The official evaluation scripts, and the commands under their old names; the library is ``ibc``."""
