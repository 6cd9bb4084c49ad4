// The cards of a class and of an image.
"use strict";

(function (X) {
  const { el, countText, section, facts, strip, bars } = X;
  const IMAGES_SHOWN = 12;

  function classCard(app, number) {
    const { codes, names } = app,
      K = codes.length;
    const members = [];
    let count = 0;
    for (let i = 0; i < codes.count; i++) {
      if (!codes.inClass(i, number)) continue;
      count++;
      if (members.length < IMAGES_SHOWN) members.push(i);
    }
    const row = codes.grm
      ? Array.from({ length: K }, (_, bit) => [bit, codes.grm[number * K + bit] / 255]).sort(
          (a, b) => b[1] - a[1] || a[0] - b[0],
        )
      : [];
    const experts = codes.expertBits ? codes.expertBits[number] || [] : [];
    const close = { panel: null };
    return {
      title: app.data.classes[number],
      content: [
        el("p", { class: "note" }, `Class ${number} · ${countText(count)} images`),
        el(
          "div",
          { class: "acts-line" },
          el("button", { onclick: () => app.change({ ...close, classFilter: [number] }) }, "Show only this class"),
          experts.length && app.state.positive.length
            ? el(
                "button",
                {
                  title: "The examples are compared by these bits alone",
                  onclick: () => app.change({ ...close, mode: "expert", class: number }),
                },
                "Compare by its expert bits",
              )
            : null,
          experts.length
            ? el(
                "button",
                {
                  title: "Every expert bit wanted, without an example",
                  onclick: () =>
                    app.change({
                      ...close,
                      positive: [],
                      negative: [],
                      mode: "chips",
                      class: number,
                      chips: Object.fromEntries(experts.map((bit) => [bit, 1])),
                    }),
                },
                "Ask for its expert bits",
              )
            : null,
        ),
        section("Images", strip(app, members)),
        row.length
          ? section(
              "Bits of its rule (GRM)",
              bars(
                row
                  .slice(0, 20)
                  .map(([bit, value]) => [
                    `${names.long(bit)}${experts.includes(bit) ? " · expert" : ""}`,
                    value,
                    value.toFixed(2),
                    () => app.open({ kind: "bit", number: bit }),
                  ]),
              ),
            )
          : null,
      ],
    };
  }

  function imageCard(app, item) {
    const { codes, names, data } = app;
    const attributes = (data.attributes || [])
      .filter((_, number) => codes.hasAttribute(item, number))
      .map(({ name }) => name);
    const pill = (bit) =>
      el(
        "button",
        {
          class: `pill offer ${names.best[bit] ? "" : "plain"}`,
          title: `Ask for it: ${names.long(bit)}`,
          onclick: () =>
            app.change({ mode: app.state.mode === "bits" ? "bits" : "chips", chips: { ...app.state.chips, [bit]: 1 } }),
        },
        el("span", {}, names.long(bit)),
      );
    const on = Array.from({ length: codes.length }, (_, bit) => bit).filter((bit) => codes.sign(item, bit) > 0);
    const ranking = app.ranking,
      parts = [];
    if (ranking.bits.length) {
      const { agree, differ } = X.compare(codes, ranking, item);
      const lines = [
        ["distance", X.distanceText(app.twiceOf(item))],
        [`agree (${agree.length})`, X.listed(names, ranking, agree) || "–"],
        [`differ (${differ.length})`, X.listed(names, ranking, differ) || "–"],
      ];
      parts.push(section("In this view", facts(lines)));
    }
    return {
      title: codes.paths[item].split("/").pop(),
      content: [
        el("div", { class: "large" }, app.thumbnails.square(item)),
        el(
          "div",
          { class: "acts-line" },
          el("button", { onclick: () => app.query(item) }, "Find images like this"),
          el("button", { onclick: () => app.addExample(item, true) }, "Also like this"),
          el("button", { onclick: () => app.addExample(item, false) }, "Not like this"),
        ),
        facts([
          ["path", codes.paths[item]],
          ["number", countText(item)],
          [
            "class",
            codes
              .classesOf(item)
              .map((number) => data.classes[number])
              .join(", ") || null,
          ],
          ["attributes", attributes.join(", ") || null],
        ]),
        ...parts,
        section(
          "Like this one, but only by …",
          el("p", { class: "note" }, "Its bits that are 1. A click asks for that bit alone (mode chips)."),
          el(
            "div",
            { class: "pills" },
            ...on.filter((bit) => names.best[bit]).map(pill),
            ...on.filter((bit) => !names.best[bit]).map(pill),
          ),
        ),
      ],
    };
  }

  Object.assign(X, { classCard, imageCard });
})(window.IBCExplorer);
