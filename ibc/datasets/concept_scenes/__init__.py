"""Concept scenes: images drawn from a seed, in which a class is a composition of concepts.

They stand in for real data where none may be downloaded. Shapes with parts, textures and colours in front of scenes
give classes and attributes to train and retrieve with, and the mask of every concept to dissect with. ``vocabulary``
says what a class is, ``drawing`` draws one image, ``dataset`` writes a data set.
"""
