// The search box: concepts, classes and attributes by name, bits by number.
"use strict";

(function (X) {
  const { el } = X;
  const MOST = 14;
  const SINGLE_BITS = 3; // of one concept that are listed

  class Search {
    constructor(app) {
      this.app = app;
      this.input = document.getElementById("search");
      this.list = document.getElementById("found");
      this.entries = this.allEntries();
      this.active = -1;
      this.input.addEventListener("input", () => this.find());
      this.input.addEventListener("focus", () => this.find());
      this.input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
      this.input.addEventListener("keydown", (event) => this.pressed(event));
    }

    allEntries() {
      const { app } = this;
      const entries = [];
      app.names.bits.forEach((card, bit) => {
        const names = card.names.length ? card.names : [{ concept: `bit ${bit + 1}`, category: "no name", iou: null }];
        names.forEach((name, place) => {
          if (name.source === "class") return; // the class itself is found instead
          const iou = name.iou === null || name.iou === undefined ? "" : ` · IoU ${name.iou.toFixed(2)}`;
          entries.push({
            text: X.plainConcept(name),
            kind: "concept",
            more: `${name.category} · bit ${bit + 1}${iou}`,
            weight: (name.iou ?? 0) + (name.source === "dissection" ? 1 : 0),
            bit,
            place,
            good: Boolean(name.beats_chance),
            words: `${X.plainConcept(name)} ${name.concept} bit ${bit + 1}`.toLowerCase(),
            choose: () => app.setChip(bit, 1, card.names.length ? place : undefined),
          });
        });
      });
      app.data.classes.forEach((name, number) =>
        entries.push({
          text: name,
          kind: "class",
          more: "class",
          weight: 0,
          words: name.toLowerCase(),
          choose: () => app.open({ kind: "class", number }),
        }),
      );
      (app.data.attributes || []).forEach((attribute, number) =>
        entries.push({
          text: attribute.name,
          kind: "attribute",
          more: "attribute: show only these",
          weight: 0,
          words: attribute.name.toLowerCase(),
          choose: () => app.change({ attributeFilter: { ...app.state.attributeFilter, [number]: 1 } }),
        }),
      );
      return entries;
    }

    find() {
      const text = this.input.value.trim().toLowerCase();
      if (!text) {
        this.close();
        return;
      }
      const rank = ({ words }) =>
        words.startsWith(text) ? 0 : words.includes(` ${text}`) ? 1 : words.includes(text) ? 2 : 3;
      const found = this.entries
        .map((entry) => ({ entry, place: rank(entry) }))
        .filter(({ place }) => place < 3)
        .sort((a, b) => a.place - b.place || b.entry.weight - a.entry.weight)
        .map(({ entry }) => entry);
      this.found = this.byConcept(found).slice(0, MOST);
      this.list.replaceChildren(
        ...this.found.map((entry, place) =>
          el(
            "li",
            {
              role: "option",
              id: `found-${place}`,
              "aria-selected": "false",
              onmousedown: (event) => {
                event.preventDefault();
                this.choose(place);
              },
            },
            el("span", { class: "name" }, entry.text),
            el("small", {}, entry.more),
          ),
        ),
      );
      if (!this.found.length) this.list.append(el("li", { class: "none" }, "Nothing of that name"));
      this.list.hidden = false;
      this.input.setAttribute("aria-expanded", "true");
      this.activate(this.found.length ? 0 : -1);
    }

    // Of a concept that several bits stand for: one entry for all of them that beat chance, and the best few.
    byConcept(found) {
      const groups = new Map();
      for (const entry of found) {
        if (entry.kind !== "concept") continue;
        if (!groups.has(entry.text)) groups.set(entry.text, { seen: 0, called: {} });
        const { called } = groups.get(entry.text);
        if (entry.good && !(entry.bit in called)) called[entry.bit] = entry.place;
      }
      return found.flatMap((entry) => {
        if (entry.kind !== "concept") return [entry];
        const group = groups.get(entry.text),
          bits = Object.keys(group.called);
        group.seen++;
        if (bits.length < 2) return group.seen > SINGLE_BITS ? [] : [entry];
        if (group.seen > SINGLE_BITS) return [];
        const all = {
          text: entry.text,
          more: `by all its ${bits.length} bits`,
          choose: () => this.app.want(group.called),
        };
        return group.seen === 1 ? [all, entry] : [entry];
      });
    }

    activate(place) {
      this.active = place;
      [...this.list.children].forEach((node, i) => {
        if (node.role === "option" || node.id) node.setAttribute("aria-selected", String(i === place));
      });
      if (place >= 0) {
        this.input.setAttribute("aria-activedescendant", `found-${place}`);
        this.list.children[place].scrollIntoView({ block: "nearest" });
      } else this.input.removeAttribute("aria-activedescendant");
    }

    pressed(event) {
      const open = !this.list.hidden && this.found && this.found.length;
      if (event.key === "ArrowDown" && open) this.activate((this.active + 1) % this.found.length);
      else if (event.key === "ArrowUp" && open)
        this.activate((this.active + this.found.length - 1) % this.found.length);
      else if (event.key === "Enter" && open) this.choose(this.active);
      else if (event.key === "Escape") {
        this.input.value = "";
        this.close();
        this.input.blur();
      } else return;
      event.preventDefault();
      event.stopPropagation();
    }

    choose(place) {
      const entry = this.found[place];
      this.input.value = "";
      this.close();
      entry.choose();
    }

    close() {
      this.list.hidden = true;
      this.active = -1;
      this.input.setAttribute("aria-expanded", "false");
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  X.Search = Search;
})(window.IBCExplorer);
