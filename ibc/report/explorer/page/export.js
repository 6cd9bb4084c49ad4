// Export of the view: images with distances (CSV), the bits, and the Python call and SQL that give the same result.
"use strict";

(function (X) {
  const { el } = X;

  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  function csvText(app, top) {
    const { codes, data, ranking } = app;
    const lines = ["rank,number,path,distance" + (codes.hasClasses ? ",class" : "")];
    Array.from(ranking.rows.slice(0, top)).forEach((row, place) => {
      const cells = [place + 1, row, quoted(codes.paths[row]), X.distanceText(ranking.twice[row])];
      if (codes.hasClasses)
        cells.push(
          quoted(
            codes
              .classesOf(row)
              .map((number) => data.classes[number])
              .join("; "),
          ),
        );
      lines.push(cells.join(","));
    });
    return lines.join("\n") + "\n";
  }

  function bitsText(app) {
    const lines = ["bit,value,concept"];
    for (const bit of app.ranking.bits)
      lines.push(
        [bit + 1, app.ranking.wanted[bit] > 0 ? 1 : 0, quoted(app.names.best[bit] ? app.names.short[bit] : "")].join(
          ",",
        ),
      );
    return lines.join("\n") + "\n";
  }

  // In the templates: {query} the signs asked of all bits (0: does not matter), {bits} the numbers from 0 of those that
  // count, {top}; {q0}, {m0}, … 64-bit words of the wanted values and of the mask.
  function placeholders({ wanted, bits }, top) {
    const values = { query: Array.from(wanted).join(", "), bits: bits.join(", "), top: String(top) };
    for (let word = 0; word * 64 < wanted.length; word++) {
      let query = 0n,
        mask = 0n;
      for (let b = 0; b < 64 && word * 64 + b < wanted.length; b++) {
        const sign = wanted[word * 64 + b];
        if (sign !== 0) mask |= 1n << BigInt(b);
        if (sign > 0) query |= 1n << BigInt(b);
      }
      values[`q${word}`] = String(query);
      values[`m${word}`] = String(mask);
    }
    return values;
  }

  function fillTemplate(template, ranking, top) {
    const values = placeholders(ranking, top);
    return template.replace(/\{([a-z]+\d*)\}/g, (whole, key) => values[key] ?? whole);
  }

  async function copy(app, text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = el("textarea", { class: "off-screen" });
      area.value = text;
      document.getElementById("panel").append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    app.say("Copied.");
  }

  function download(name, text, type) {
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function exportPanel(app) {
    const { ranking } = app,
      total = ranking.rows.length;
    let top = Math.min(100, total);
    const areas = el("div");
    const block = (title, name, type, text, note = null) =>
      X.section(
        title,
        note ? el("p", { class: "note" }, note) : null,
        el("pre", { tabindex: 0, "aria-label": title }, text.length > 4000 ? `${text.slice(0, 4000)}\n…` : text),
        el(
          "div",
          { class: "acts-line" },
          el("button", { onclick: () => copy(app, text) }, "Copy"),
          el("button", { onclick: () => download(name, text, type) }, `Download ${name}`),
        ),
      );
    const filtered = X.allowedItems(app.codes, app.state) !== null;
    const draw = () =>
      areas.replaceChildren(
        ...[
          block(
            "Images",
            "images.csv",
            "text/csv",
            csvText(app, top),
            "The examples are among them, as a search finds them.",
          ),
          ranking.bits.length ? block("Bits", "bits.csv", "text/csv", bitsText(app)) : null,
          ranking.bits.length && app.data.python
            ? block(
                "Python",
                "search.py",
                "text/x-python",
                fillTemplate(app.data.python, ranking, top),
                filtered ? "Without the filters by class and attribute." : null,
              )
            : null,
          ranking.bits.length && app.data.sql
            ? block(
                "SQL (DuckDB)",
                "search.sql",
                "application/sql",
                fillTemplate(app.data.sql, ranking, top),
                filtered ? "Without the filters by class and attribute." : null,
              )
            : null,
          X.section(
            "Address of this view",
            el(
              "div",
              { class: "acts-line" },
              el("button", { onclick: () => copy(app, app.address()) }, "Copy the address"),
            ),
          ),
        ].filter(Boolean),
      );
    draw();
    const select = el(
      "select",
      {
        onchange: () => {
          top = Number(select.value);
          draw();
        },
      },
      ...[...new Set([20, 100, 1000, 10000, total].filter((number) => number <= total))]
        .sort((a, b) => a - b)
        .map((number) => el("option", { value: number, selected: number === top }, X.countText(number))),
    );
    return {
      title: "Export this view",
      content: [el("label", { class: "inline" }, "First ", select, " images"), areas],
    };
  }

  Object.assign(X, { exportPanel, csvText, bitsText, fillTemplate });
})(window.IBCExplorer);
