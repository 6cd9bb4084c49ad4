"""Frozen training: the features of every training image are computed once and kept, and only the heads are trained.

``features`` computes them and says whose they are, ``features_file`` is the file that keeps them.
"""
