"""Names of stored images."""

from __future__ import annotations

from ibc.datasets.building.plan import name_stems


def test_long_names_leave_room_for_an_ending_and_stay_apart():
    names = ["a/" + "x" * 255, "a/" + "x" * 254 + "y", "\u732b" * 85, "d" * 300 + "/1.jpg", "a/" + "z" * 251 + ".jpg",
             "a/" + "z" * 251 + ".png", "e\udcff" * 100 + ".jpg"]
    stems = name_stems(names)
    assert len(set(stems)) == len(stems)
    for stem in stems:
        assert max(len(f"{part}.jpg".encode(errors="surrogateescape")) for part in stem.split("/")) <= 255
    assert name_stems(["a/" + "x" * 246 + ".jpg", "b/1.jpg"]) == ["a/" + "x" * 246, "b/1"]
