// The grid of images: a page of them at a time, each with its distance and the chosen bits that agree or do not.
"use strict";

(function (X) {
  const { el } = X;
  const PAGE = 60; // images added at a time
  const NAMED_BITS = 16; // up to so many chosen bits the agreeing ones are named too
  const NAMES_SHOWN = 4;

  // Without a question the order of the file, which often goes by class, is mixed: steps of about the golden ratio.
  // Images with a thumbnail come first.
  function mixed(rows, places) {
    let step = Math.max(1, Math.round(rows.length * 0.618));
    const divisor = (a, b) => (b ? divisor(b, a % b) : a);
    while (divisor(rows.length, step) !== 1) step++;
    const out = new Uint32Array(rows.length);
    let at = 0;
    for (const withImage of [true, false]) {
      for (let i = 0, j = 0; i < rows.length; i++, j = (j + step) % rows.length) {
        if (places[rows[j]] >= 0 === withImage) out[at++] = rows[j];
      }
    }
    return out;
  }

  // The rows without some of them; copies in stretches, which counts at a million rows.
  function without(rows, items) {
    const places = items
      .map((item) => rows.indexOf(item))
      .filter((place) => place >= 0)
      .sort((a, b) => a - b);
    const out = new Uint32Array(rows.length - places.length);
    let from = 0,
      at = 0;
    for (const place of [...places, rows.length]) {
      out.set(rows.subarray(from, place), at);
      at += place - from;
      from = place + 1;
    }
    return out;
  }

  // The chosen bits on which an image agrees with what is asked, and the others.
  function compare(codes, ranking, item) {
    const agree = [],
      differ = [];
    for (const bit of ranking.bits) (codes.sign(item, bit) === ranking.wanted[bit] ? agree : differ).push(bit);
    return { agree, differ };
  }

  // "sea, eye ×2, + 3": names of bits as they are asked for, equal ones once.
  function listed(names, ranking, bits, most = Infinity) {
    const counts = new Map();
    for (const bit of bits) {
      const text = names.wish(bit, ranking.wanted[bit]);
      counts.set(text, (counts.get(text) || 0) + 1);
    }
    const texts = [...counts].map(([text, count]) => (count > 1 ? `${text} ×${count}` : text));
    return texts.slice(0, most).join(", ") + (texts.length > most ? `, + ${texts.length - most}` : "");
  }

  class Grid {
    constructor(app) {
      this.app = app;
      this.node = document.getElementById("grid");
      this.more = document.getElementById("more");
      this.more.addEventListener("click", () => this.addPage(true));
      this.node.addEventListener("click", (event) => this.clicked(event));
      this.node.addEventListener("keydown", (event) => this.pressed(event));
      this.node.addEventListener("focusin", (event) => this.focused(event.target));
      this.rows = new Uint32Array(0);
      this.shown = 0;
    }

    show(ranking, state) {
      const hadFocus = this.node.contains(document.activeElement);
      const rows = without(ranking.rows, [...state.positive, ...state.negative]);
      this.ranking = ranking;
      this.rows = !ranking.bits.length && state.order === "mixed" ? mixed(rows, this.app.thumbnails.places) : rows;
      this.shown = 0;
      this.node.replaceChildren();
      this.addPage(false);
      if (hadFocus) this.cell(0)?.focus({ preventScroll: true });
    }

    addPage(focus) {
      const from = this.shown,
        end = Math.min(this.rows.length, from + PAGE);
      const cells = [];
      for (let i = from; i < end; i++) cells.push(this.makeCell(this.rows[i], i === 0 && from === 0));
      this.node.append(...cells);
      this.shown = end;
      const left = this.rows.length - end;
      this.more.hidden = left === 0;
      this.more.textContent = `Show ${Math.min(PAGE, left)} more of ${X.countText(left)}`;
      if (focus) this.cell(from)?.focus();
    }

    makeCell(item, first) {
      const { codes, data, names, thumbnails } = this.app;
      const classes = codes
        .classesOf(item)
        .map((number) => data.classes[number])
        .join(", ");
      const parts = [codes.paths[item]];
      if (classes) parts.push(classes);
      let caption = el("span", { class: "calm" }, classes || codes.paths[item].split("/").pop());
      let agreement = null;
      if (this.ranking.bits.length) {
        const { agree, differ } = compare(codes, this.ranking, item);
        const distance = X.distanceText(this.ranking.twice[item]);
        const few = this.ranking.bits.length <= NAMED_BITS;
        const yes = few
          ? listed(names, this.ranking, agree, NAMES_SHOWN)
          : `${agree.length} of ${this.ranking.bits.length} bits`;
        const no = listed(names, this.ranking, differ, NAMES_SHOWN);
        parts.push(`distance ${distance}`, `agrees in ${yes || "no bit"}`);
        if (differ.length) parts.push(`differs in ${no}`);
        caption = [
          el("b", { class: "distance", title: "distance: chosen bits that differ" }, distance),
          differ.length ? el("span", { class: "no" }, no) : el("span", { class: "calm" }, "all agree"),
          agree.length ? el("span", { class: "yes" }, yes) : null,
        ];
        agreement = el(
          "span",
          { class: "agreement", "aria-hidden": "true" },
          el("i", { style: { width: `${(agree.length / this.ranking.bits.length) * 100}%` } }),
        );
      }
      return el(
        "li",
        { class: "cell", "data-item": item },
        el(
          "button",
          { class: "pick", tabindex: first ? 0 : -1, "aria-label": parts.join("; "), title: parts.join("\n") },
          thumbnails.square(item),
          agreement,
        ),
        el(
          "span",
          { class: "acts" },
          el(
            "button",
            {
              tabindex: -1,
              "data-act": "also",
              "aria-label": "Also like this",
              title: "Also like this (Shift + click)",
            },
            "+",
          ),
          el(
            "button",
            { tabindex: -1, "data-act": "not", "aria-label": "Not like this", title: "Not like this (Alt + click)" },
            "−",
          ),
          el(
            "button",
            { tabindex: -1, "data-act": "image", "aria-label": "About this image", title: "About this image (i)" },
            "i",
          ),
        ),
        el("span", { class: "caption" }, caption),
      );
    }

    cell(place) {
      return this.node.children[place]?.querySelector(".pick");
    }

    clicked(event) {
      const cell = event.target.closest(".cell");
      if (!cell) return;
      const button = event.target.closest("[data-act]");
      const act = button ? button.dataset.act : event.shiftKey ? "also" : event.altKey ? "not" : "query";
      if (button || event.target.closest(".pick")) this.act(act, Number(cell.dataset.item));
    }

    act(act, item) {
      if (act === "query") this.app.query(item);
      else if (act === "also") this.app.addExample(item, true);
      else if (act === "not") this.app.addExample(item, false);
      else this.app.open({ kind: "image", number: item });
    }

    pressed(event) {
      const cell = event.target.closest(".cell");
      if (!cell || !event.target.classList.contains("pick")) return;
      const place = [...this.node.children].indexOf(cell),
        item = Number(cell.dataset.item);
      const columns = this.columnCount();
      const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
      if (event.key in moves) this.moveTo(place + moves[event.key], event);
      else if (event.key === "Home") this.moveTo(0, event);
      else if (event.key === "End") this.moveTo(this.shown - 1, event);
      else if (event.key === "Enter" && event.shiftKey) this.press(event, "also", item);
      else if (event.key === "Enter" && event.altKey) this.press(event, "not", item);
      else if (event.key === "+") this.press(event, "also", item);
      else if (event.key === "-") this.press(event, "not", item);
      else if (event.key === "i") this.press(event, "image", item);
    }

    press(event, act, item) {
      event.preventDefault();
      this.act(act, item);
    }

    moveTo(place, event) {
      event.preventDefault();
      if (place >= this.shown && this.shown < this.rows.length) this.addPage(false);
      this.cell(Math.max(0, Math.min(place, this.shown - 1)))?.focus();
    }

    // One cell at a time is in the tab order; the arrow keys move it.
    focused(target) {
      if (!target.classList.contains("pick")) return;
      for (const other of this.node.querySelectorAll('.pick[tabindex="0"]')) other.tabIndex = -1;
      target.tabIndex = 0;
    }

    columnCount() {
      const cells = this.node.children;
      let count = 1;
      while (count < cells.length && cells[count].offsetTop === cells[0].offsetTop) count++;
      return count;
    }
  }

  Object.assign(X, { Grid, compare, listed });
})(window.IBCExplorer);
