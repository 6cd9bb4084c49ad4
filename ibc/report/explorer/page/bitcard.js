// The card of a bit: its names, images, values and figures.
"use strict";

(function (X) {
  const { el, svg, percentText, countText, section, facts, strip, bars } = X;
  const CLASSES_SHOWN = 12;

  // Histogram of the code value; heights by the square root, since most values are near 0 or 1.
  function histogram(counts) {
    const wide = 320,
      high = 90,
      base = 18,
      step = wide / counts.length;
    const most = Math.sqrt(Math.max(1, ...counts));
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    const above = counts.slice(counts.length / 2).reduce((sum, count) => sum + count, 0);
    const image = svg("svg", {
      viewBox: `0 0 ${wide} ${high + base}`,
      class: "histogram",
      role: "img",
      "aria-label": `Histogram of the code value: ${percentText(above / total)} in the upper half`,
    });
    counts.forEach((count, i) => {
      const height = (Math.sqrt(count) / most) * high;
      const bar = svg("rect", {
        x: i * step + 1,
        y: high - height,
        width: step - 2,
        height,
        rx: 1.5,
        class: i < counts.length / 2 ? "low" : "high",
      });
      const title = svg("title");
      const [from, to] = [i, i + 1].map((edge) => (edge / counts.length).toFixed(2));
      title.textContent = `${from} to ${to}: ${countText(count)} images`;
      bar.append(title);
      image.append(bar);
    });
    image.append(svg("line", { x1: wide / 2, x2: wide / 2, y1: 0, y2: high + 3, class: "threshold" }));
    for (const [x, anchor, label] of [
      [0, "start", "0"],
      [wide / 2, "middle", "0.5"],
      [wide, "end", "1"],
    ]) {
      const text = svg("text", { x, y: high + 15, "text-anchor": anchor });
      text.textContent = label;
      image.append(text);
    }
    return image;
  }

  const SOURCES = {
    dissection: "label maps",
    class: "classes",
    attribute: "attributes",
  };
  const NAME_NOTE =
    "A name is worth as much as its IoU is above chance: 1 where bit and name always go together. " +
    "Nat: what the bit tells of it (mutual information; 0.693 is all).";
  const SOURCE_NOTES = {
    dissection: "Label maps: IoU of the places where the bit's filter responds with those that are labelled so.",
    class: "Classes: IoU of the images that have the bit with those of the class.",
    attribute: "Attributes: IoU of the images that have the bit with those that have the attribute.",
  };

  function nameTable(bit) {
    if (!bit.names.length)
      return el("p", { class: "note" }, "This bit has no name: nothing that it is on for was labelled.");
    const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
    const sources = [...new Set(bit.names.map((name) => name.source))].filter((source) => SOURCE_NOTES[source]);
    return el("div", {}, nameRows(bit, number), el("p", { class: "note" }, NAME_NOTE, ...sources.map((source) => ` ${SOURCE_NOTES[source]}`)));
  }

  function nameRows(bit, number) {
    return el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...["name", "category", "from", "IoU", "chance", "nat"].map((text) => el("th", {}, text)))),
      el(
        "tbody",
        {},
        ...bit.names.map((name) =>
          el(
            "tr",
            { class: name.beats_chance === false ? "weak" : null },
            el(
              "td",
              {},
              X.plainConcept(name),
              name.beats_chance === false ? el("small", {}, " no better than chance") : null,
            ),
            el("td", {}, name.category || "–"),
            el("td", {}, SOURCES[name.source] || "–"),
            el("td", {}, number(name.iou)),
            el("td", {}, number(name.chance)),
            el("td", {}, number(name.nats)),
          ),
        ),
      ),
    );
  }

  function choice(app, bit) {
    const now = app.state.chips[bit] || 0;
    const button = (sign, text) =>
      el("button", { "aria-pressed": String(now === sign), onclick: () => app.setChip(bit, sign) }, text);
    return el(
      "div",
      { class: "modes choice", role: "group", "aria-label": "Ask for this bit" },
      button(0, "Ignore"),
      button(1, "Want"),
      button(-1, "Must not"),
    );
  }

  function bitCard(app, number) {
    const bit = app.data.bits[number],
      names = app.names;
    const step = (by) =>
      el(
        "button",
        {
          class: "quiet",
          disabled: number + by < 0 || number + by >= app.codes.length,
          onclick: () => app.open({ kind: "bit", number: number + by }),
        },
        by < 0 ? "‹ Previous" : "Next ›",
      );
    const told = bit.information;
    return {
      title: names.best[number] ? `Bit ${number + 1}: ${names.short[number]}` : `Bit ${number + 1}`,
      content: [
        el("div", { class: "acts-line" }, step(-1), step(1), choice(app, number)),
        section("Names", nameTable(bit)),
        bit.masks
          ? section(
              "Where it looks",
              el(
                "div",
                { class: "masks" },
                el("img", {
                  src: bit.masks,
                  loading: "lazy",
                  alt: `Images of the dissection with the strongest response of bit ${number + 1}, lit above its threshold`,
                }),
              ),
            )
          : null,
        section("Strongest", strip(app, bit.top)),
        section("Random among those that have it", strip(app, bit.random)),
        section("Nearest to the threshold", strip(app, bit.near)),
        section(
          "Code value",
          histogram(bit.histogram),
          el(
            "p",
            { class: "note" },
            "Images by code value; bar heights go by the square root. Above 0.5 the bit is 1.",
          ),
        ),
        section(
          "In figures",
          facts([
            ["images that have it", `${countText(app.counts[number])} (${percentText(bit.share)})`],
            [
              "balance (entropy)",
              bit.entropy === null ? null : `${bit.entropy.toFixed(3)} bit of 1`,
              "1 bit: half of the images have it",
            ],
            [
              "tells most of",
              told ? `${told.name} (${told.kind}), ${told.nats.toFixed(3)} nat` : null,
              "mutual information; the images with the label and the others weigh half each",
            ],
            [
              "alignment with its filter",
              typeof bit.alignment === "number" ? bit.alignment.toFixed(3) : null,
              "correlation of the bit with the filter that the dissection looked at",
            ],
          ]),
        ),
        bit.classes.length
          ? section(
              "Classes that use it",
              bars(
                bit.classes
                  .slice(0, CLASSES_SHOWN)
                  .map(([c, value]) => [
                    app.data.classes[c],
                    value,
                    value.toFixed(2),
                    () => app.open({ kind: "class", number: c }),
                  ]),
              ),
            )
          : null,
      ],
    };
  }

  Object.assign(X, { bitCard });
})(window.IBCExplorer);
