"""Readers of files with named arrays, one a format. They trust nothing that a file says; see ``ibc.array_files``."""
