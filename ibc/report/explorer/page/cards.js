// What opens beside the grid: the card of a bit, of a class, of an image, and the help.
"use strict";

(function (X) {
  const { el, svg, percentText, countText } = X;
  const ROWS_SHOWN = 12;

  function section(title, ...content) {
    return el("section", {}, el("h3", {}, title), ...content);
  }

  function facts(pairs) {
    return el("dl", { class: "facts" }, ...pairs.filter(([, value]) => value !== null).flatMap(([name, value, hint]) =>
      [el("dt", { title: hint }, name), el("dd", {}, value)]));
  }

  // Images in a row; a click makes one the query.
  function strip(app, items) {
    if (!items.length) return el("p", { class: "note" }, "none");
    return el("div", { class: "strip" }, ...items.map((item) => el("button", { class: "pick", title: app.codes.paths[item],
      "aria-label": `Find images like ${app.codes.paths[item]}`, onclick: () => app.query(item) }, app.thumbnails.square(item))));
  }

  // Rows of a name, a bar and a figure. rows: [text, share from 0 to 1, figure, what a click does].
  function bars(rows) {
    return el("div", { class: "bars" }, ...rows.map(([text, share, figure, click]) => el("div", { class: "bar-row" },
      el(click ? "button" : "span", { class: "name", onclick: click || null }, text),
      el("span", { class: "track" }, el("i", { style: { width: `${Math.max(0, Math.min(1, share)) * 100}%` } })), el("b", {}, figure))));
  }

  // Histogram of the code value; heights by the square root, since most values are near 0 or 1.
  function histogram(counts) {
    const wide = 320, high = 90, base = 18, step = wide / counts.length;
    const most = Math.sqrt(Math.max(1, ...counts));
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    const above = counts.slice(counts.length / 2).reduce((sum, count) => sum + count, 0);
    const image = svg("svg", { viewBox: `0 0 ${wide} ${high + base}`, class: "histogram", role: "img",
      "aria-label": `Histogram of the code value: ${percentText(above / total)} in the upper half` });
    counts.forEach((count, i) => {
      const height = Math.sqrt(count) / most * high;
      const bar = svg("rect", { x: i * step + 1, y: high - height, width: step - 2, height, rx: 1.5,
        class: i < counts.length / 2 ? "low" : "high" });
      const title = svg("title");
      title.textContent = `${(i / counts.length).toFixed(2)} to ${((i + 1) / counts.length).toFixed(2)}: ${countText(count)} images`;
      bar.append(title);
      image.append(bar);
    });
    image.append(svg("line", { x1: wide / 2, x2: wide / 2, y1: 0, y2: high + 3, class: "threshold" }));
    for (const [x, anchor, label] of [[0, "start", "0"], [wide / 2, "middle", "0.5"], [wide, "end", "1"]]) {
      const text = svg("text", { x, y: high + 15, "text-anchor": anchor });
      text.textContent = label;
      image.append(text);
    }
    return image;
  }

  function nameTable(bit) {
    if (!bit.names.length) return el("p", { class: "note" }, "This bit has no name.");
    const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
    return el("table", {}, el("thead", {}, el("tr", {}, ...["name", "category", "IoU", "chance"].map((text) => el("th", {}, text)))),
      el("tbody", {}, ...bit.names.map((name) => el("tr", { class: name.beats_chance === false ? "weak" : null },
        el("td", {}, X.plainConcept(name), name.beats_chance === false ? el("small", {}, " no better than chance") : null),
        el("td", {}, name.category || "–"), el("td", {}, number(name.iou)), el("td", {}, number(name.chance))))));
  }

  function choice(app, bit) {
    const now = app.state.chips[bit] || 0;
    const button = (sign, text) => el("button", { "aria-pressed": String(now === sign), onclick: () => app.setChip(bit, sign) }, text);
    return el("div", { class: "modes choice", role: "group", "aria-label": "Ask for this bit" }, button(0, "Ignore"), button(1, "Want"), button(-1, "Must not"));
  }

  function bitCard(app, number) {
    const bit = app.data.bits[number], names = app.names;
    const step = (by) => el("button", { class: "quiet", disabled: number + by < 0 || number + by >= app.codes.length,
      onclick: () => app.open({ kind: "bit", number: number + by }) }, by < 0 ? "‹ Previous" : "Next ›");
    const told = bit.information;
    return { title: names.best[number] ? `Bit ${number + 1}: ${names.short[number]}` : `Bit ${number + 1}`, content: [
      el("div", { class: "acts-line" }, step(-1), step(1), choice(app, number)),
      section("Names", nameTable(bit)),
      bit.masks ? section("Where it looks", el("div", { class: "masks" }, el("img", { src: bit.masks, loading: "lazy",
        alt: `Images of the dissection with the strongest response of bit ${number + 1}, the region above its threshold lit` }))) : null,
      section("Strongest", strip(app, bit.top)),
      section("Random among those that have it", strip(app, bit.random)),
      section("Nearest to the threshold", strip(app, bit.near)),
      section("Code value", histogram(bit.histogram), el("p", { class: "note" }, "Images by code value; bar heights go by the square root. Above 0.5 the bit is 1.")),
      section("In figures", facts([
        ["images that have it", `${countText(app.counts[number])} (${percentText(bit.share)})`],
        ["balance (entropy)", bit.entropy === null ? null : `${bit.entropy.toFixed(3)} bit of 1`, "1 bit: half of the images have it"],
        ["tells most of", told ? `${told.name} (${told.kind}), ${told.nats.toFixed(3)} nat` : null, "mutual information; the images with the label and the others weigh half each"],
        ["alignment with its filter", typeof bit.alignment === "number" ? bit.alignment.toFixed(3) : null, "correlation of the bit with the filter that the dissection looked at"],
      ])),
      bit.classes.length ? section("Classes that use it", bars(bit.classes.slice(0, ROWS_SHOWN).map(([c, value]) =>
        [app.data.classes[c], value, value.toFixed(2), () => app.open({ kind: "class", number: c })]))) : null,
    ] };
  }

  function classCard(app, number) {
    const { codes, names } = app, K = codes.length;
    const members = [];
    let count = 0;
    for (let i = 0; i < codes.count; i++) {
      if (!codes.inClass(i, number)) continue;
      count++;
      if (members.length < ROWS_SHOWN) members.push(i);
    }
    const row = codes.grm ? Array.from({ length: K }, (_, bit) => [bit, codes.grm[number * K + bit] / 255]).sort((a, b) => b[1] - a[1] || a[0] - b[0]) : [];
    const experts = codes.expertBits ? codes.expertBits[number] || [] : [];
    const close = { panel: null };
    return { title: app.data.classes[number], content: [
      el("p", { class: "note" }, `Class ${number} · ${countText(count)} images`),
      el("div", { class: "acts-line" },
        el("button", { onclick: () => app.change({ ...close, classFilter: [number] }) }, "Show only this class"),
        experts.length && app.state.positive.length ? el("button", { title: "The examples are compared by these bits alone",
          onclick: () => app.change({ ...close, mode: "expert", class: number }) }, "Compare by its expert bits") : null,
        experts.length ? el("button", { title: "Every expert bit wanted, without an example",
          onclick: () => app.change({ ...close, positive: [], negative: [], mode: "chips", class: number, chips: Object.fromEntries(experts.map((bit) => [bit, 1])) }) }, "Ask for its expert bits") : null),
      section("Images", strip(app, members)),
      row.length ? section("Bits of its rule (GRM)", bars(row.slice(0, 20).map(([bit, value]) =>
        [`${names.long(bit)}${experts.includes(bit) ? " · expert" : ""}`, value, value.toFixed(2), () => app.open({ kind: "bit", number: bit })]))) : null,
    ] };
  }

  function imageCard(app, item) {
    const { codes, names, data } = app;
    const attributes = (data.attributes || []).filter((_, number) => codes.hasAttribute(item, number)).map(({ name }) => name);
    const pill = (bit) => el("button", { class: `pill offer ${names.best[bit] ? "" : "plain"}`, title: `Ask for it: ${names.long(bit)}`,
      onclick: () => app.change({ mode: app.state.mode === "bits" ? "bits" : "chips", chips: { ...app.state.chips, [bit]: 1 } }) },
    el("span", {}, names.long(bit)));
    const on = Array.from({ length: codes.length }, (_, bit) => bit).filter((bit) => codes.sign(item, bit) > 0);
    const ranking = app.ranking, parts = [];
    if (ranking.bits.length) {
      const { agree, differ } = X.compare(codes, ranking, item);
      const lines = [["distance", X.distanceText(app.twiceOf(item))], [`agree (${agree.length})`, X.listed(names, ranking, agree) || "–"],
        [`differ (${differ.length})`, X.listed(names, ranking, differ) || "–"]];
      parts.push(section("In this view", facts(lines)));
    }
    return { title: codes.paths[item].split("/").pop(), content: [
      el("div", { class: "large" }, app.thumbnails.square(item)),
      el("div", { class: "acts-line" },
        el("button", { onclick: () => app.query(item) }, "Find images like this"),
        el("button", { onclick: () => app.addExample(item, true) }, "Also like this"),
        el("button", { onclick: () => app.addExample(item, false) }, "Not like this")),
      facts([["path", codes.paths[item]], ["number", countText(item)],
        ["class", codes.classesOf(item).map((number) => data.classes[number]).join(", ") || null], ["attributes", attributes.join(", ") || null]]),
      ...parts,
      section("Like this one, but only by …", el("p", { class: "note" }, "Its bits that are 1. A click asks for that bit alone (mode chips)."),
        el("div", { class: "pills" }, ...on.filter((bit) => names.best[bit]).map(pill), ...on.filter((bit) => !names.best[bit]).map(pill))),
    ] };
  }

  const KEYS = [
    ["/", "search concepts, classes, attributes"], ["arrow keys", "move in the grid"], ["Enter", "find images like this one"],
    ["Shift + Enter, +", "also like this one (or Shift + click)"], ["Alt + Enter, −", "not like this one (or Alt + click)"],
    ["i", "about this image"], ["Escape", "close"], ["?", "this help"],
  ];

  function helpCard(app) {
    const { data } = app;
    const from = data.provenance || {};
    return { title: "Help and keys", content: [
      el("p", { class: "lead" }, "Click an image: the others come in the order of their distance, the number of compared bits that differ. ",
        "The distance is exact; equal ones stand in the order of the codes file."),
      facts([
        ["All bits", "every bit counts, but those on which the examples cancel out"],
        ["Expert bits", "only the bits that the rule (GRM) of a class relies on"],
        ["Chips", "only the concepts that you choose: wanted, or must not be there. A click on an image sets them as they are in it"],
        ["Single bits", "the same by bit number"],
        ["✓ ✕", "chosen bits on which an image agrees and does not"],
        ["Precision", "share of right images among the first 20: of the wanted attributes, else of the example's class. Random bits are seeded, the mean of ten draws"],
        ["Back, sharing", "the address holds the whole view"],
      ]),
      section("Keys", facts(KEYS)),
      section("This page was made from", facts(Object.entries(from).filter(([, value]) => value !== null && value !== "").map(([key, value]) => [key, String(value)]))),
    ] };
  }

  Object.assign(X, { bitCard, classCard, imageCard, helpCard, section, facts });
})(window.IBCExplorer);
