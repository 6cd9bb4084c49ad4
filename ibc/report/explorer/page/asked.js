// What is looked for: mode, examples, chosen bits, filters.
"use strict";

(function (X) {
  const { el } = X;
  const CHIPS_SHOWN = 24;
  const MODES = [
    ["all", "All bits", "Every bit on which the examples do not cancel out"],
    ["expert", "Expert bits", "Only the bits that the class's rule relies on"],
    ["chips", "Chips", "Only the concepts that you choose; they take the values of an image that you click"],
    ["bits", "Single bits", "Only the bits that you choose by number; they take the values of an image that you click"],
  ];

  class Asked {
    constructor(app) {
      this.app = app;
      this.node = document.getElementById("asked");
      this.modes = el("div", { class: "modes", role: "radiogroup", "aria-label": "Compare by" });
      for (const [mode, text, hint] of MODES) {
        this.modes.append(
          el(
            "button",
            {
              role: "radio",
              "data-mode": mode,
              title: hint,
              onclick: () => app.change({ mode, class: mode === "expert" ? app.state.class : null }),
            },
            text,
          ),
        );
      }
      this.modes.addEventListener("keydown", (event) => this.pressed(event));
      this.classOf = el(
        "select",
        {
          "aria-label": "Class whose expert bits are used",
          onchange: () => app.change({ class: this.classOf.value === "" ? null : Number(this.classOf.value) }),
        },
        el("option", { value: "" }, "of the example's class"),
      );
      app.data.classes.forEach((name, number) => this.classOf.append(el("option", { value: number }, `of ${name}`)));
      this.content = el("div", { class: "wishes" });
      this.node.append(el("div", { class: "bar" }, this.modes, this.classOf), this.content);
    }

    pressed(event) {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const usable = [...this.modes.children].filter((button) => !button.disabled);
      const next = usable[(usable.indexOf(document.activeElement) + step + usable.length) % usable.length];
      next.focus();
      next.click();
    }

    show(state, ranking) {
      for (const button of this.modes.children) {
        const chosen = button.dataset.mode === state.mode;
        button.setAttribute("aria-checked", String(chosen));
        button.tabIndex = chosen ? 0 : -1;
        if (button.dataset.mode === "expert") button.disabled = !this.app.codes.expertBits;
      }
      this.classOf.hidden = state.mode !== "expert";
      this.classOf.value = state.class === null ? "" : String(state.class);
      const keep = this.content.contains(document.activeElement);
      this.content.replaceChildren(...this.wishes(state, ranking));
      if (keep) this.content.querySelector("button")?.focus();
    }

    wishes(state, ranking) {
      const { app } = this;
      const chips = Object.entries(state.chips).map(([bit, sign]) => [Number(bit), sign]);
      const filters = this.filterPills(state);
      if (!state.positive.length && !state.negative.length && !chips.length) {
        return [
          el("p", { class: "hint" }, this.hint(state)),
          filters.length ? el("div", { class: "pills" }, ...filters) : null,
        ].filter(Boolean);
      }
      const parts = [
        ...state.positive.map((item) => this.example(item, true)),
        ...state.negative.map((item) => this.example(item, false)),
      ];
      const pills = chips.slice(0, CHIPS_SHOWN).map(([bit, sign]) => this.pill(bit, sign));
      if (chips.length > CHIPS_SHOWN)
        pills.push(el("span", { class: "calm" }, `and ${chips.length - CHIPS_SHOWN} more bits`));
      pills.push(...filters);
      if (pills.length) parts.push(el("div", { class: "pills" }, ...pills));
      parts.push(
        el(
          "div",
          { class: "acts-line" },
          this.hint(state, ranking) ? el("span", { class: "calm" }, this.hint(state, ranking)) : null,
          chips.length && state.positive.length
            ? el(
                "button",
                {
                  class: "quiet",
                  title: "Ask every chosen bit to be as it is in the examples",
                  onclick: () => app.chipsAsExamples(),
                },
                "Chosen bits as in the example",
              )
            : null,
          el("button", { class: "quiet", onclick: () => app.clear() }, "Clear"),
        ),
      );
      return parts;
    }

    hint(state, ranking) {
      const chips = Object.keys(state.chips).length;
      if (!state.positive.length && !state.negative.length && !chips) {
        if (state.mode === "expert")
          return "Choose an image; the expert bits of its class, or of the class above, are compared.";
        return state.mode === "bits"
          ? "Choose bits by number to rank the images by them."
          : "Choose an image to find more like it, or a concept to ask for it.";
      }
      const chipsAlone = state.mode === "chips" || state.mode === "bits";
      if (chipsAlone && !chips) return "Choose the bits that count; until then nothing is compared.";
      if (chipsAlone && state.positive.length + state.negative.length) return "Only the chosen bits count.";
      if (
        state.mode === "expert" &&
        state.positive.length + state.negative.length &&
        X.expertClass(this.app.codes, state) === null
      )
        return "No class is known for the example: all its bits count. Choose a class.";
      if (ranking && !ranking.bits.length) return "The examples cancel out: no bit is left to compare.";
      return null;
    }

    example(item, positive) {
      const { app } = this;
      const name = app.codes.paths[item];
      return el(
        "figure",
        { class: positive ? "example like" : "example unlike" },
        el(
          "button",
          {
            class: "pick",
            title: name,
            "aria-label": `About ${name}`,
            onclick: () => app.open({ kind: "image", number: item }),
          },
          app.thumbnails.square(item),
        ),
        el("figcaption", {}, positive ? "like this" : "not this"),
        el(
          "button",
          {
            class: "remove",
            "aria-label": `Remove the example ${name}`,
            title: "Remove",
            onclick: () => app.removeExample(item),
          },
          "×",
        ),
      );
    }

    pill(bit, sign) {
      const { app } = this;
      const wish = app.names.wish(bit, sign);
      return el(
        "span",
        { class: `pill ${sign > 0 ? "want" : "without"}` },
        el(
          "button",
          { title: `Bit card of bit ${bit + 1}`, onclick: () => app.open({ kind: "bit", number: bit }) },
          wish,
        ),
        el(
          "button",
          { class: "remove", "aria-label": `Remove ${wish}`, title: "Remove", onclick: () => app.setChip(bit, 0) },
          "×",
        ),
      );
    }

    filterPills({ classFilter, attributeFilter }) {
      const { app } = this;
      const pill = (text, change) =>
        el(
          "span",
          { class: "pill offer filter-pill" },
          el("span", {}, text),
          el(
            "button",
            {
              class: "remove",
              "aria-label": `Remove the filter ${text}`,
              title: "Remove",
              onclick: () => app.change(change),
            },
            "×",
          ),
        );
      const rest = (number) => Object.fromEntries(Object.entries(attributeFilter).filter(([key]) => key !== number));
      return [
        ...classFilter.map((number) =>
          pill(`only ${X.classText(app.data.classes[number])}`, {
            classFilter: classFilter.filter((other) => other !== number),
          }),
        ),
        ...Object.entries(attributeFilter).map(([number, sign]) =>
          pill(`only ${sign > 0 ? "with" : "without"} ${app.data.attributes[number].name}`, {
            attributeFilter: rest(number),
          }),
        ),
      ];
    }
  }

  X.Asked = Asked;
})(window.IBCExplorer);
