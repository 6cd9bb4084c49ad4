// The help: what the modes and figures mean, the keys, and what the page was made from.
"use strict";

(function (X) {
  const { el, section, facts } = X;

  const KEYS = [
    ["/", "search concepts, classes, attributes"],
    ["arrow keys", "move in the grid"],
    ["Enter", "find images like this one"],
    ["Shift + Enter, +", "also like this one (or Shift + click)"],
    ["Alt + Enter, −", "not like this one (or Alt + click)"],
    ["i", "about this image"],
    ["Escape", "close"],
    ["?", "this help"],
  ];

  function helpCard(app) {
    const { data } = app;
    const from = data.provenance || {};
    return {
      title: "Help and keys",
      content: [
        el(
          "p",
          { class: "lead" },
          "Click an image: the others come in the order of their distance, the number of compared bits that differ. ",
          "The distance is exact; equal ones stand in the order of the codes file.",
        ),
        facts([
          ["All bits", "every bit counts, but those on which the examples cancel out"],
          ["Expert bits", "only the bits that the rule (GRM) of a class relies on"],
          [
            "Chips",
            "only the concepts that you choose: wanted, or must not be there. " +
              "A click on an image sets them as they are in it",
          ],
          ["Single bits", "the same by bit number"],
          ["✓ ✕", "chosen bits on which an image agrees and does not"],
          [
            "Precision",
            "share of right images among the first 20: with the wanted attributes, else of the example's class. " +
              "Random bits: the mean of ten seeded draws",
          ],
          ["Back, sharing", "the address holds the whole view"],
        ]),
        section("Keys", facts(KEYS)),
        section(
          "This page was made from",
          facts(
            Object.entries(from)
              .filter(([, value]) => value !== null && value !== "")
              .map(([key, value]) => [key, String(value)]),
          ),
        ),
      ],
    };
  }

  Object.assign(X, { helpCard });
})(window.IBCExplorer);
