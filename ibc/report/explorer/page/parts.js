// Pieces that the cards are made of: sections, facts, rows of images, bars.
"use strict";

(function (X) {
  const { el } = X;

  function section(title, ...content) {
    return el("section", {}, el("h3", {}, title), ...content);
  }

  function facts(pairs) {
    return el(
      "dl",
      { class: "facts" },
      ...pairs
        .filter(([, value]) => value !== null)
        .flatMap(([name, value, hint]) => [el("dt", { title: hint }, name), el("dd", {}, value)]),
    );
  }

  // Images in a row; a click makes one the query.
  function strip(app, items) {
    if (!items.length) return el("p", { class: "note" }, "none");
    return el(
      "div",
      { class: "strip" },
      ...items.map((item) =>
        el(
          "button",
          {
            class: "pick",
            title: app.codes.paths[item],
            "aria-label": `Find images like ${app.codes.paths[item]}`,
            onclick: () => app.query(item),
          },
          app.thumbnails.square(item),
        ),
      ),
    );
  }

  // Rows of a name, a bar and a figure. rows: [text, share from 0 to 1, figure, what a click does].
  function bars(rows) {
    return el(
      "div",
      { class: "bars" },
      ...rows.map(([text, share, figure, click]) =>
        el(
          "div",
          { class: "bar-row" },
          el(click ? "button" : "span", { class: "name", onclick: click || null }, text),
          el("span", { class: "track" }, el("i", { style: { width: `${Math.max(0, Math.min(1, share)) * 100}%` } })),
          el("b", {}, figure),
        ),
      ),
    );
  }

  Object.assign(X, { section, facts, strip, bars });
})(window.IBCExplorer);
