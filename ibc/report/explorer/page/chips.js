// Concepts as chips with three states (ignore, want, must not), and the board of all bits by number.
"use strict";

(function (X) {
  const { el, countText } = X;
  const STATES = { 0: "ignored", 1: "wanted", "-1": "must not" };
  const SHOWN = 24; // chips of a group at first
  const NEXT = { 0: 1, 1: -1, "-1": 0 };
  const BEFORE = { 0: -1, "-1": 1, 1: 0 };

  class Chips {
    constructor(app) {
      this.app = app;
      this.node = document.getElementById("chips");
      this.weak = false;
      this.chips = [];
      this.board = null;
      this.list = null;
    }

    show(state) {
      const byNumber = state.mode === "bits";
      if (byNumber !== this.byNumber || this.weak !== this.drawnWeak) {
        this.byNumber = byNumber;
        this.drawnWeak = this.weak;
        this.chips = [];
        this.node.replaceChildren(...(byNumber ? this.makeBoard() : this.makeList()));
      }
      for (const chip of this.chips) this.mark(chip, state.chips[chip.bit] || 0);
    }

    mark(chip, sign) {
      if (chip.sign === sign) return;
      chip.sign = sign;
      chip.node.dataset.sign = sign;
      chip.node.setAttribute("aria-label", `${chip.label}: ${STATES[sign]}`);
      chip.node.setAttribute("aria-pressed", sign > 0 ? "true" : sign < 0 ? "mixed" : "false");
    }

    add(chip) {
      this.mark(chip, this.app.state.chips[chip.bit] || 0);
      this.chips.push(chip);
    }

    makeList() {
      const { names } = this.app;
      const groups = new Map();
      let weak = 0;
      names.bits.forEach((card, bit) => {
        card.names.forEach((name, place) => {
          if (name.beats_chance === false) {
            weak++;
            if (!this.weak) return;
          }
          if (!groups.has(name.category)) groups.set(name.category, []);
          groups.get(name.category).push({ bit, name, place });
        });
      });
      const head = el("h2", {}, "Concepts");
      if (!groups.size) {
        return [
          head,
          el(
            "p",
            { class: "note" },
            weak
              ? "No name of a bit beats chance."
              : "No bit has a name: the page was made without a dissection. Choose bits by number instead.",
          ),
          ...this.weakButton(weak),
          el("button", { class: "quiet", onclick: () => this.app.change({ mode: "bits" }) }, "Choose bits by number"),
        ];
      }
      const sections = [...groups].map(([category, chips]) => {
        chips.sort((a, b) => (b.name.iou ?? 0) - (a.name.iou ?? 0) || a.bit - b.bit);
        return this.makeGroup(category || "other", chips);
      });
      return [
        head,
        el("p", { class: "note" }, "Click: want · again: must not · again: ignore"),
        ...sections,
        ...this.weakButton(weak),
      ];
    }

    // A group fills when it is opened, and first with its best chips: 256 bits have a thousand names and more.
    makeGroup(category, chips) {
      const node = el(
        "details",
        { class: "group" },
        el("summary", {}, category, el("small", {}, String(chips.length))),
      );
      const fill = (from, end) => {
        node.append(...chips.slice(from, end).map(({ bit, name, place }) => this.makeChip(bit, name, place)));
        if (end >= chips.length) return;
        const more = el(
          "button",
          {
            class: "quiet",
            onclick: () => {
              more.remove();
              fill(end, chips.length);
            },
          },
          `${chips.length - end} more`,
        );
        node.append(more);
      };
      node.addEventListener("toggle", () => {
        if (node.childElementCount === 1) fill(0, SHOWN);
      });
      if (category !== "class" && category !== "attribute") {
        fill(0, SHOWN);
        node.open = true;
      }
      return node;
    }

    weakButton(weak) {
      if (!weak) return [];
      return [
        el(
          "button",
          {
            class: "quiet",
            "aria-pressed": String(this.weak),
            onclick: () => {
              this.weak = !this.weak;
              this.show(this.app.state);
            },
          },
          this.weak ? "Hide names no better than chance" : `Show ${weak} names no better than chance`,
        ),
      ];
    }

    makeChip(bit, name, place) {
      const { app } = this;
      const count = app.counts[bit];
      const text = X.plainConcept(name);
      const iou = name.iou === null || name.iou === undefined ? null : `IoU ${name.iou.toFixed(2)}`;
      const details = [`bit ${bit + 1}`, iou, countText(count)].filter(Boolean).join(" · ");
      const node = el(
        "button",
        {
          class: "chip",
          onclick: (event) => this.clicked(event, bit, place),
          title: `${name.concept} (${name.category}), ${details.replaceAll(" · ", ", ")} images have it`,
        },
        el("span", { class: "mark", "aria-hidden": "true" }),
        el("span", { class: "name" }, text),
        el("small", {}, details),
      );
      this.add({ node, bit, label: `${text}, ${name.category}, ${details} images` });
      return el(
        "div",
        { class: "row" },
        node,
        el(
          "button",
          {
            class: "about",
            "aria-label": `Bit card of bit ${bit + 1}`,
            title: "Bit card",
            onclick: () => app.open({ kind: "bit", number: bit }),
          },
          "›",
        ),
      );
    }

    makeBoard() {
      const { app } = this;
      const cells = app.names.bits.map((card, bit) => {
        const node = el(
          "button",
          {
            class: "cell-bit",
            onclick: (event) => this.clicked(event, bit),
            title: `${app.names.long(bit)}: ${X.percentText(card.share)} of the images`,
          },
          String(bit + 1),
        );
        node.addEventListener("contextmenu", (event) => {
          event.preventDefault();
          app.open({ kind: "bit", number: bit });
        });
        this.add({ node, bit, label: app.names.long(bit) });
        return node;
      });
      return [
        el("h2", {}, "Bits by number"),
        el(
          "p",
          { class: "note" },
          "Click: as in the example, or wanted · again: the other value · again: ignore. Right click: bit card.",
        ),
        el("div", { class: "board" }, ...cells),
      ];
    }

    clicked(event, bit, place) {
      const { app } = this;
      const now = app.state.chips[bit] || 0;
      if (this.byNumber && app.state.positive.length) {
        const own = X.wantedSigns(app.codes, { ...app.state, mode: "all", chips: {} })[bit] || 1;
        app.setChip(bit, now === 0 ? own : now === own ? -own : 0);
      } else {
        app.setChip(bit, (event.shiftKey ? BEFORE : NEXT)[now], place);
      }
    }
  }

  X.Chips = Chips;
})(window.IBCExplorer);
