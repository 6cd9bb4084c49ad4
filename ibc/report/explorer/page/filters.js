// Filters by class and attribute, each with the number of images that would be left.
"use strict";

(function (X) {
  const { el, countText } = X;
  const CLASSES_SHOWN = 200;
  const NEXT = { 0: 1, 1: -1, "-1": 0 };
  const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

  class Filters {
    constructor(app) {
      this.app = app;
      this.node = document.getElementById("filters");
      this.classes = [];
      this.attributes = [];
      const parts = [];
      if (app.codes.hasClasses) parts.push(this.makeClasses());
      if (app.data.attributes && app.data.attributes.length) parts.push(this.makeAttributes());
      if (parts.length) this.node.append(el("h2", {}, "Show only"), ...parts);
    }

    makeClasses() {
      const { app } = this;
      const shown = app.data.classes.slice(0, CLASSES_SHOWN);
      this.classes = shown.map((name, number) => {
        const box = el("input", {
          type: "checkbox",
          onchange: () => {
            const chosen = new Set(app.state.classFilter);
            if (box.checked) chosen.add(number);
            else chosen.delete(number);
            app.change({ classFilter: [...chosen].sort((a, b) => a - b) });
          },
        });
        const count = el("small");
        const row = el(
          "div",
          { class: "row" },
          el("label", { class: "filter" }, box, el("span", { class: "name" }, name), count),
          el(
            "button",
            {
              class: "about",
              "aria-label": `About the class ${name}`,
              title: "About this class",
              onclick: () => app.open({ kind: "class", number }),
            },
            "›",
          ),
        );
        return { box, count, row };
      });
      const rest = app.data.classes.length - shown.length;
      return el(
        "details",
        { class: "group" },
        el("summary", {}, "class", el("small", {}, String(app.data.classes.length))),
        ...this.classes.map(({ row }) => row),
        rest > 0 ? el("p", { class: "note" }, `and ${countText(rest)} more: use the search box`) : null,
      );
    }

    makeAttributes() {
      const { app } = this;
      this.attributes = app.data.attributes.map((attribute, number) => {
        const count = el("small");
        const node = el(
          "button",
          {
            class: "chip",
            onclick: () => {
              const next = { ...app.state.attributeFilter },
                sign = NEXT[next[number] || 0];
              if (sign) next[number] = sign;
              else delete next[number];
              app.change({ attributeFilter: next });
            },
          },
          el("span", { class: "mark", "aria-hidden": "true" }),
          el("span", { class: "name" }, attribute.name),
          count,
        );
        return { node, count, name: attribute.name };
      });
      return el(
        "details",
        { class: "group" },
        el("summary", {}, "attribute", el("small", {}, String(this.attributes.length))),
        ...this.attributes.map(({ node }) => node),
      );
    }

    show(state) {
      this.classes.forEach(({ box }, number) => {
        box.checked = state.classFilter.includes(number);
      });
      this.attributes.forEach(({ node, name }, number) => {
        const sign = state.attributeFilter[number] || 0;
        node.dataset.sign = sign;
        node.setAttribute("aria-pressed", sign > 0 ? "true" : sign < 0 ? "mixed" : "false");
        node.setAttribute("aria-label", `${name}: ${sign > 0 ? "only with" : sign < 0 ? "only without" : "no filter"}`);
      });
    }

    // Counts among the images that pass the other filters (a class: those on attributes; an attribute: all).
    showCounts(state) {
      const { codes } = this.app;
      if (this.classes.length) {
        const allowed = X.allowedItems(codes, { ...state, classFilter: [] });
        const counts = new Uint32Array(this.app.data.classes.length);
        for (let i = 0; i < codes.count; i++)
          if (!allowed || allowed[i]) for (const number of codes.classesOf(i)) counts[number]++;
        this.classes.forEach(({ count }, number) => {
          count.textContent = countText(counts[number]);
        });
      }
      if (this.attributes.length) {
        const allowed = X.allowedItems(codes, state);
        const packed = new Uint8Array((codes.count + 7) >> 3);
        for (let i = 0; i < codes.count; i++) if (!allowed || allowed[i]) packed[i >> 3] |= 1 << (i & 7);
        this.attributes.forEach(({ count }, number) => {
          const has = codes.attributes[number];
          let total = 0;
          for (let b = 0; b < packed.length; b++) total += ONES[packed[b] & has[b]];
          count.textContent = countText(total);
        });
      }
    }
  }

  X.Filters = Filters;
})(window.IBCExplorer);
