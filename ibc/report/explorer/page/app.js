// Puts the parts together: one state, one way to change it, the address, the panel, the keys.
"use strict";

(function (X) {
  const { el } = X;

  class App {
    constructor(data) {
      this.data = data;
      this.codes = new X.CodeSet(data);
      this.names = new X.BitNames(data);
      this.shares = data.bits.map((bit) => bit.share);
      // Images that have each bit; the upper half of the histogram begins with the undecided ones.
      const open = this.codes.undecidedCounts();
      this.counts = data.bits.map(
        ({ histogram }, bit) =>
          histogram.slice(histogram.length / 2).reduce((sum, count) => sum + count, 0) - open[bit],
      );
      this.thumbnails = new X.Thumbnails(data, this.codes);
      this.limits = {
        images: this.codes.count,
        bits: this.codes.length,
        classes: data.classes.length,
        attributes: (data.attributes || []).length,
      };
      this.panel = document.getElementById("panel");
      this.status = document.getElementById("status");
      this.grid = new X.Grid(this);
      this.asked = new X.Asked(this);
      this.measures = new X.Measures(this);
      this.chips = new X.Chips(this);
      this.filters = new X.Filters(this);
      this.search = new X.Search(this);
      this.wire();
      this.describe();
      this.state = X.readState(location.hash, this.limits);
      this.render();
    }

    describe() {
      const { data } = this;
      document.title = data.title;
      document.documentElement.style.setProperty("--thumb", `${Math.max(108, Math.min(160, data.thumbs.size))}px`);
      document.getElementById("title").textContent = data.title;
      document.getElementById("title").title = data.title;
      const notes = [],
        unreadable = data.thumbs.unreadable || 0;
      if (data.sampled) {
        notes.push(
          `${X.countText(data.sampled.shown)} of ${X.countText(data.sampled.of)} images have a thumbnail, ` +
            "an evenly spread sample; the others are ranked all the same and show their file name.",
        );
      }
      if (unreadable) notes.push(`${X.countText(unreadable)} image files could not be read when the page was made.`);
      document.getElementById("sampled").hidden = !notes.length;
      document.getElementById("sampled").textContent = notes.join(" ");
      const from = data.provenance || {};
      document.getElementById("made").textContent =
        `${X.countText(data.count)} images, ${data.code_length} bits${from.codes ? `, from ${from.codes}` : ""}. ` +
        "Distances are exact; equal ones stand in the order of the file.";
    }

    wire() {
      const on = (id, action) => document.getElementById(id).addEventListener("click", action);
      on("open-grm", () => this.open({ kind: "grm" }));
      on("open-export", () => this.open({ kind: "export" }));
      on("open-help", () => this.open({ kind: "help" }));
      on("theme", () => this.switchTheme());
      on("open-side", () => this.showSide(true));
      on("close-side", () => this.showSide(false));
      on("skip", () => document.querySelector('#grid .pick[tabindex="0"]')?.focus());
      on("order", () => this.change({ order: this.state.order === "mixed" ? "file" : "mixed" }));
      document.getElementById("open-grm").hidden = !this.codes.grm;
      this.nameTheme();
      this.panel.addEventListener("cancel", (event) => {
        event.preventDefault();
        this.close();
      });
      this.panel.addEventListener("close", () => {
        if (this.state.panel) this.close();
      });
      this.panel.addEventListener("mousedown", (event) => {
        if (event.target === this.panel) this.close();
      });
      window.addEventListener("hashchange", () => {
        if (location.hash.slice(1) === X.writeState(this.state)) return;
        this.state = X.readState(location.hash, this.limits);
        this.render();
      });
      document.addEventListener("keydown", (event) => this.pressed(event));
    }

    pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
      if (event.key === "/" && !this.panel.open) {
        event.preventDefault();
        document.getElementById("search").focus();
      } else if (event.key === "?") {
        event.preventDefault();
        this.open({ kind: "help" });
      } else if (event.key === "Escape" && document.body.classList.contains("side-open")) this.showSide(false);
    }

    // All changes of the view come through here: the new state, its address, the page.
    change(some) {
      this.state = X.completeState({ ...this.state, ...some }, this.limits);
      const text = X.writeState(this.state);
      if (location.hash.slice(1) !== text) location.hash = text;
      this.render();
    }

    // Where only chips count, they take the values of the new example: like this one, by these bits.
    query(item) {
      const { mode, chips } = this.state;
      const own = Object.entries(chips).map(([bit, sign]) => [bit, this.codes.sign(item, Number(bit)) || sign]);
      this.change({
        positive: [item],
        negative: [],
        panel: null,
        chips: mode === "chips" || mode === "bits" ? Object.fromEntries(own) : chips,
      });
      window.scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    }

    addExample(item, positive) {
      const without = (items) => items.filter((other) => other !== item);
      const { state } = this;
      this.change({
        positive: positive ? [...without(state.positive), item] : without(state.positive),
        negative: positive ? without(state.negative) : [...without(state.negative), item],
        panel: null,
      });
    }

    removeExample(item) {
      const without = (items) => items.filter((other) => other !== item);
      this.change({ positive: without(this.state.positive), negative: without(this.state.negative) });
    }

    // sign: +1 want, -1 must not, 0 ignore. place: among the bit's names, what the bit is called from now on.
    setChip(bit, sign, place = this.state.called[bit]) {
      const chips = { ...this.state.chips },
        called = { ...this.state.called };
      if (sign) chips[bit] = sign;
      else delete chips[bit];
      if (place !== undefined) called[bit] = place;
      this.change({ chips, called });
    }

    // Want several bits. called: bit -> place of the name it goes by.
    want(called) {
      const { state } = this;
      this.change({
        chips: { ...state.chips, ...Object.fromEntries(Object.keys(called).map((bit) => [bit, 1])) },
        called: { ...state.called, ...called },
      });
    }

    chipsAsExamples() {
      const own = X.wantedSigns(this.codes, { ...this.state, mode: "all", chips: {} });
      this.change({
        chips: Object.fromEntries(Object.entries(this.state.chips).map(([bit, sign]) => [bit, own[bit] || sign])),
      });
    }

    clear() {
      this.change({ positive: [], negative: [], chips: {}, class: null });
    }

    address() {
      return `${location.href.split("#")[0]}#${X.writeState({ ...this.state, panel: null })}`;
    }

    say(text) {
      this.status.textContent = text;
    }

    // Twice the distance of any image, also of one that the filters leave out.
    twiceOf(item) {
      return this.ranking.twice[item];
    }

    render() {
      const { state } = this;
      const begin = performance.now();
      const key = X.writeState({ ...state, panel: null });
      if (key !== this.drawn) {
        this.drawn = key;
        this.ranking = X.rankState(this.codes, state);
        this.ranked = performance.now() - begin;
        this.names.call(state.called);
        this.asked.show(state, this.ranking);
        this.chips.show(state);
        this.filters.show(state);
        this.grid.show(this.ranking, state);
        this.measures.showShared(state, this.grid.rows);
        this.showOrder(state);
        this.say(this.summary());
        this.later(key);
      }
      this.showPanel(state.panel);
    }

    summary() {
      const { rows, bits } = this.ranking;
      const images = `${X.countText(rows.length)} ${rows.length === 1 ? "image" : "images"}`;
      if (!rows.length) return "No image passes the filters.";
      if (!bits.length) return images;
      return `${images} by ${bits.length} ${bits.length === 1 ? "bit" : "bits"}, in ${this.ranked.toFixed(1)} ms`;
    }

    showOrder(state) {
      const button = document.getElementById("order");
      button.hidden = this.ranking.bits.length > 0 || this.ranking.rows.length < 2;
      button.textContent = state.order === "mixed" ? "mixed · show in file order" : "in file order · mix";
    }

    // Counts and comparisons come after the images are on the screen.
    later(key) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => {
        if (key !== this.drawn) return;
        this.filters.showCounts(this.state);
        const measured = this.measures.showMeasures(this.state, this.ranking);
        if (measured) this.say(`${this.summary()}. ${measured}`);
        document.body.dataset.ready = key;
      }, 30);
    }

    open(panel) {
      this.change({ panel });
    }

    close() {
      this.change({ panel: null });
    }

    showPanel(panel) {
      if (!panel) {
        if (this.panel.open) this.panel.close();
        return;
      }
      const make = {
        bit: X.bitCard,
        class: X.classCard,
        image: X.imageCard,
        grm: X.rulesPanel,
        export: X.exportPanel,
        help: X.helpCard,
      };
      const { title, content, wide, shown } = make[panel.kind](this, panel.number);
      const same = this.panel.open && this.panel.dataset.of === `${panel.kind} ${panel.number}`,
        top = this.panel.scrollTop;
      const focus = same ? [...this.panel.querySelectorAll("button")].indexOf(document.activeElement) : -1;
      this.panel.dataset.of = `${panel.kind} ${panel.number}`;
      this.panel.classList.toggle("wide", Boolean(wide));
      this.panel.replaceChildren(
        el(
          "header",
          {},
          el("h2", { id: "panel-title", tabindex: -1 }, title),
          el(
            "button",
            { class: "icon", "aria-label": "Close", title: "Close (Escape)", onclick: () => this.close() },
            "×",
          ),
        ),
        ...content.filter(Boolean),
      );
      if (!this.panel.open) this.panel.showModal();
      this.panel.scrollTop = same ? top : 0;
      (this.panel.querySelectorAll("button")[focus] || document.getElementById("panel-title")).focus({
        preventScroll: true,
      });
      if (shown) shown();
    }

    showSide(open) {
      document.body.classList.toggle("side-open", open);
      document.getElementById("open-side").setAttribute("aria-expanded", String(open));
      document.getElementById(open ? "close-side" : "open-side").focus();
    }

    isDark() {
      const chosen = document.documentElement.dataset.theme;
      return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    }

    switchTheme() {
      const next = this.isDark() ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try {
        localStorage.setItem("ibc-theme", next);
      } catch {
        // No storage for local files in this browser: the choice lasts until the page is closed.
      }
      this.nameTheme();
    }

    nameTheme() {
      const button = document.getElementById("theme"),
        text = this.isDark() ? "Light colours" : "Dark colours";
      button.textContent = this.isDark() ? "☀" : "☾";
      button.setAttribute("aria-label", text);
      button.title = text;
    }
  }

  if (window.IBC_DATA) {
    X.app = new App(window.IBC_DATA);
    X.rank = (plain) => X.rankPlain(X.app.codes, plain);
  } else document.getElementById("status").textContent = "data.js is missing: keep all files of this folder together.";
})(window.IBCExplorer);
