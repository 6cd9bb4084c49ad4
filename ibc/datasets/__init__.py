"""Data sets before training: preparation, examination, and drawn concept scenes."""
