// How well a view does, and what its first results share.
"use strict";

(function (X) {
  const { el, percentText } = X;
  const FIRST = 20; // results that precision and "what these share" look at

  class Measures {
    constructor(app) {
      this.app = app;
      this.measures = document.getElementById("measures");
      this.shared = document.getElementById("shared");
    }

    // Precision of this view beside all bits, as many random bits, and chance. It comes a moment after the images.
    showMeasures(state, ranking) {
      const { app } = this;
      const right = ranking.bits.length ? X.relevance(app.codes, app.data, app.names, state) : null;
      this.measures.hidden = !right;
      if (!right) return null;
      const examples = new Set([...state.positive, ...state.negative]);
      const allowed = X.allowedItems(app.codes, state);
      const of = (wanted) => X.precision(X.rankWanted(app.codes, wanted, allowed).rows, right.test, examples, FIRST);
      const own = X.precision(ranking.rows, right.test, examples, FIRST);
      const all =
        state.positive.length + state.negative.length
          ? of(X.wantedSigns(app.codes, { ...state, mode: "all", chips: {} }))
          : null;
      const draws = app.codes.count > 200000 ? 3 : 10,
        random = X.randomStream(1);
      let sum = 0;
      for (let i = 0; i < draws; i++) sum += of(X.randomWanted(app.codes, state, ranking.bits.length, random)) ?? 0;
      let hits = 0,
        others = 0;
      for (const row of ranking.rows) {
        if (examples.has(row)) continue;
        others++;
        if (right.test(row)) hits++;
      }
      const bits = ranking.bits.length === 1 ? "1 random bit" : `${ranking.bits.length} random bits`;
      this.measures.replaceChildren(
        el(
          "h2",
          { title: "Share of right images; the examples themselves do not count" },
          `Precision among the first ${FIRST} · `,
          el("em", {}, right.text),
        ),
        el(
          "div",
          { class: "meters" },
          this.meter("this view", own, "own"),
          this.meter("all bits", all, "", "needs an example"),
          this.meter(bits, sum / draws, "", "", `mean of ${draws} seeded draws`),
          this.meter("any image", others ? hits / others : null, ""),
        ),
      );
      return own === null ? null : `Precision of the first ${FIRST}: ${percentText(own)}.`;
    }

    meter(text, share, kind, none = "", hint = null) {
      return el(
        "div",
        { class: `meter ${kind}`, title: hint },
        el("span", { class: "label" }, text),
        el("span", { class: "track" }, el("i", { style: { width: `${(share ?? 0) * 100}%` } })),
        el("b", {}, share === null ? "–" : percentText(share)),
        share === null && none ? el("span", { class: "calm" }, none) : null,
      );
    }

    showShared(state, rows) {
      const { app } = this;
      const first = Array.from(rows.slice(0, FIRST));
      const asked =
        app.ranking.bits.length > 0 || state.classFilter.length > 0 || Object.keys(state.attributeFilter).length > 0;
      const found =
        asked && first.length > 1
          ? X.sharedBits(app.codes, app.shares, first, 12)
              .filter(({ bit }) => !(bit in state.chips))
              .slice(0, 8)
          : [];
      this.shared.hidden = !found.length;
      if (!found.length) return;
      this.shared.replaceChildren(
        el("h2", {}, `What the first ${first.length} share`),
        el(
          "div",
          { class: "pills" },
          ...found.map(({ bit, inside, outside }) =>
            el(
              "button",
              {
                class: "pill offer",
                onclick: () => app.setChip(bit, 1),
                title: `${percentText(inside)} of these, ${percentText(outside)} of all. Click to ask for it.`,
              },
              el("span", {}, `+ ${app.names.best[bit] ? app.names.long(bit) : app.names.short[bit]}`),
              el("small", {}, `${percentText(inside)} · all ${percentText(outside)}`),
            ),
          ),
        ),
      );
    }
  }

  X.Measures = Measures;
})(window.IBCExplorer);
