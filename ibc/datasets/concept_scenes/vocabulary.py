"""The concepts of the images (objects, parts, textures, colours, scenes) and the classes made of them.

A class is one shape with one texture, one colour and one part, in front of one scene. The table is laid out so that no
concept gives a class away. Every concept belongs to three classes (shapes, colours) or four (the others). Each scene
has one pair of twins: two classes of the same colour, which only shape, texture and part tell apart. Any other two
classes share at most one of the five concepts, and a figure never has the colour of its scene.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

SHAPES = ("disc", "square", "triangle", "star", "cross", "ring", "heart", "crescent")
PARTS = ("eye", "handle", "wheels", "window", "flag", "wings")
TEXTURES = ("plain", "striped", "dotted", "checked", "zigzag", "grid")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white", "grey", "brown", "beige")
SCENES = ("sea", "grass", "sand", "night sky", "brick", "snow")

FIGURE_COLOURS = COLOURS[:8]  # of figures and clutter; the others occur in patterns, parts and scenes

# Categories under Broden's names, in the order of the attribute columns.
CONCEPTS = {"object": SHAPES, "part": PARTS, "texture": TEXTURES, "color": COLOURS, "scene": SCENES}
PLANES = ("object", "part", "texture", "color")  # those with a label map; a scene is the whole image

# An image has an attribute when at least this share of its label map shows the concept. Clutter stays below it, and so
# does a figure or a part that is mostly outside the frame.
LEAST_SHARE = {"object": 0.02, "part": 0.004, "texture": 0.02, "color": 0.04}


@dataclass(frozen=True)
class Composition:
    """The five concepts of a class."""

    texture: str
    color: str
    object: str
    part: str
    scene: str

    @property
    def name(self) -> str:
        """The name of the class, as in ``classes.txt``."""
        return f"{self.texture} {self.color} {self.object}, {self.part}, {self.scene}"

    def shares(self, other: Composition) -> int:
        """How many of the five concepts two classes have in common."""
        return sum(mine == theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True))


CLASSES = (
    Composition("striped", "yellow", "star", "handle", "sea"),
    Composition("plain", "yellow", "ring", "wings", "sea"),
    Composition("dotted", "purple", "triangle", "eye", "sea"),
    Composition("grid", "orange", "disc", "wheels", "sea"),
    Composition("checked", "pink", "heart", "wheels", "grass"),
    Composition("striped", "pink", "ring", "flag", "grass"),
    Composition("plain", "red", "disc", "eye", "grass"),
    Composition("zigzag", "black", "square", "window", "grass"),
    Composition("checked", "green", "cross", "window", "sand"),
    Composition("grid", "green", "crescent", "wings", "sand"),
    Composition("zigzag", "blue", "ring", "handle", "sand"),
    Composition("striped", "purple", "square", "wheels", "sand"),
    Composition("dotted", "orange", "heart", "handle", "night sky"),
    Composition("zigzag", "orange", "crescent", "flag", "night sky"),
    Composition("plain", "blue", "triangle", "window", "night sky"),
    Composition("grid", "yellow", "cross", "eye", "night sky"),
    Composition("dotted", "black", "crescent", "wheels", "brick"),
    Composition("checked", "black", "star", "eye", "brick"),
    Composition("plain", "green", "heart", "flag", "brick"),
    Composition("zigzag", "purple", "disc", "wings", "brick"),
    Composition("checked", "red", "square", "handle", "snow"),
    Composition("grid", "red", "triangle", "flag", "snow"),
    Composition("striped", "blue", "cross", "wings", "snow"),
    Composition("dotted", "pink", "star", "window", "snow"),
)


def class_names() -> list[str]:
    """The names of the classes in the order of their ids."""
    return [composition.name for composition in CLASSES]


def attribute_names() -> list[str]:
    """The attribute columns of the list files: every concept, category after category."""
    return [name for names in CONCEPTS.values() for name in names]


def label(category: str, name: str) -> int:
    """The value of a concept in its category's label map, from 1."""
    return CONCEPTS[category].index(name) + 1
