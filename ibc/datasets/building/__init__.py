"""What the data sets of ``ibc.datasets.prepare`` share: from a source and a plan to a folder of images and lists.

``archive`` and ``download`` read sources, ``plan`` says which images go into which list, ``build`` carries a plan out.
"""
