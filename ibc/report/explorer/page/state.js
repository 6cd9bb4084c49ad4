// The state of the view, and its text in the address (after #), so that a view can be shared and "back" works.
// Bits are counted from 1 in the address, as everywhere a person reads them; images and classes by their number from 0.
// "bits=12,30-,7~2": bit 12 wanted, bit 30 must not be there, bit 7 wanted and called by its third name.
"use strict";

(function (X) {
  const MODES = ["all", "expert", "chips", "bits"];
  const PANELS = ["bit", "class", "image", "grm", "export", "help"];

  function emptyState() {
    return {
      positive: [],
      negative: [],
      mode: "all",
      class: null,
      chips: {},
      called: {},
      classFilter: [],
      attributeFilter: {},
      order: "mixed",
      panel: null,
    };
  }

  // A state from some of its fields (the others empty), with what does not exist in these codes left out.
  function completeState(some, limits) {
    const state = { ...emptyState(), ...some };
    const whole = (value, end) => Number.isInteger(value) && value >= 0 && value < end;
    const list = (values, end) => [...new Set(values)].filter((value) => whole(value, end));
    const signed = (pairs, end) =>
      Object.fromEntries(
        Object.entries(pairs).filter(([key, sign]) => whole(Number(key), end) && (sign === 1 || sign === -1)),
      );
    state.positive = list(state.positive, limits.images);
    state.negative = list(state.negative, limits.images).filter((item) => !state.positive.includes(item));
    if (!MODES.includes(state.mode)) state.mode = "all";
    if (!whole(state.class, limits.classes)) state.class = null;
    state.chips = signed(state.chips, limits.bits);
    state.called = Object.fromEntries(
      Object.entries(state.called).filter(([bit, place]) => bit in state.chips && whole(place, 1000)),
    );
    state.classFilter = list(state.classFilter, limits.classes);
    state.attributeFilter = signed(state.attributeFilter, limits.attributes);
    return state;
  }

  function writeState(state) {
    const parts = [];
    const add = (key, text) => {
      if (text !== "" && text !== null) parts.push(`${key}=${text}`);
    };
    add("like", state.positive.join(","));
    add("unlike", state.negative.join(","));
    if (state.mode !== "all") add("mode", state.mode);
    add("of", state.class);
    add(
      "bits",
      Object.entries(state.chips)
        .map(
          ([bit, sign]) =>
            `${Number(bit) + 1}${bit in state.called ? `~${state.called[bit]}` : ""}${sign > 0 ? "" : "-"}`,
        )
        .join(","),
    );
    add("classes", state.classFilter.join(","));
    add(
      "attributes",
      Object.entries(state.attributeFilter)
        .map(([number, sign]) => `${number}${sign > 0 ? "" : "-"}`)
        .join(","),
    );
    if (state.order !== "mixed") add("order", state.order);
    if (state.panel) {
      const { kind, number } = state.panel;
      add(kind, number === undefined ? "1" : kind === "bit" ? number + 1 : number);
    }
    return parts.join("&");
  }

  function readState(text, limits) {
    const some = {};
    const numbers = (value, first = 0) =>
      value
        .split(",")
        .filter(Boolean)
        .map((part) => Number(part) - first);
    const signs = (value, first) =>
      Object.fromEntries(
        value
          .split(",")
          .filter(Boolean)
          .map((part) => {
            const [, number, not] = /^(\d+)(?:~\d+)?(-?)$/.exec(part) || [null, NaN, ""];
            return [Number(number) - first, not ? -1 : 1];
          }),
      );
    const called = (value) =>
      Object.fromEntries([...value.matchAll(/(\d+)~(\d+)/g)].map(([, bit, place]) => [Number(bit) - 1, Number(place)]));
    for (const part of text.replace(/^#/, "").split("&")) {
      const at = part.indexOf("=");
      if (at < 0) continue;
      const key = part.slice(0, at),
        value = part.slice(at + 1);
      if (key === "like") some.positive = numbers(value);
      else if (key === "unlike") some.negative = numbers(value);
      else if (key === "mode") some.mode = value;
      else if (key === "of") some.class = Number(value);
      else if (key === "bits") Object.assign(some, { chips: signs(value, 1), called: called(value) });
      else if (key === "classes") some.classFilter = numbers(value);
      else if (key === "attributes") some.attributeFilter = signs(value, 0);
      else if (key === "order") some.order = value === "file" ? "file" : "mixed";
      else if (PANELS.includes(key)) some.panel = readPanel(key, Number(value), limits);
    }
    return completeState(some, limits);
  }

  function readPanel(kind, value, limits) {
    const ends = { bit: limits.bits, class: limits.classes, image: limits.images };
    if (!(kind in ends)) return { kind };
    const number = kind === "bit" ? value - 1 : value;
    return Number.isInteger(number) && number >= 0 && number < ends[kind] ? { kind, number } : null;
  }

  Object.assign(X, { MODES, emptyState, completeState, writeState, readState });
})(window.IBCExplorer);
