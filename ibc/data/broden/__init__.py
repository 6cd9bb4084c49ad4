"""Broden-format data: photographs with label maps of concepts."""
