"""Concept scenes: pictures drawn from a seed, in which a class is a composition of concepts.

They stand in for real data where none may be downloaded: shapes with parts, textures and colours before scenes give
classes and attributes to train and retrieve with, and the mask of every concept to dissect with.
``python -m ibc.data.concept_scenes DST`` writes a data set; ``vocabulary`` says what a class is.
"""

from ibc.datasets.concept_scenes.dataset import Settings, generate, is_finished
from ibc.datasets.concept_scenes.drawing import Picture, draw
from ibc.datasets.concept_scenes.vocabulary import CLASSES, CONCEPTS, Composition, attribute_names, class_names

__all__ = ["CLASSES", "CONCEPTS", "Composition", "Picture", "Settings", "attribute_names", "class_names", "draw",
           "generate", "is_finished"]
