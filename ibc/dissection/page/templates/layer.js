"use strict";
(() => {
  const form = document.getElementById("controls");
  const list = document.getElementById("units");
  const units = [...list.children];
  const field = (id) => document.getElementById(id);
  const number = (unit, key) => parseFloat(unit.dataset[key]);
  const categories = [...field("category").options].map((option) => option.value);
  let exact = null; // a concept chosen in the bar graph: its whole name, not a part of one

  function ranges(text) {
    const found = new Set();
    for (const part of text.split(",")) {
      const [low, high] = part.split("-").map((end) => parseInt(end, 10));
      if (Number.isNaN(low)) continue;
      for (let unit = low; unit <= Math.min(Number.isNaN(high) || high === undefined ? low : high, low + 1e5); unit++) found.add(unit);
    }
    return found;
  }

  function compare(key) {
    const order = (a, b) => number(a, "order") - number(b, "order");
    if (key === "order") return order;
    if (key === "category") {
      const place = (unit) => categories.indexOf(unit.dataset.category);
      return (a, b) => place(a) - place(b) || number(b, "iou") - number(a, "iou") || order(a, b);
    }
    const sign = key === "unit" ? 1 : -1;
    return (a, b) => sign * (number(a, key) - number(b, key)) || order(a, b);
  }

  function show() {
    const text = field("concept").value.trim().toLowerCase();
    const category = field("category").value;
    const least = parseFloat(field("least").value) || 0;
    const wanted = ranges(field("unit").value);
    const beats = field("beats") !== null && field("beats").checked;
    let shown = 0;
    for (const unit of units) {
      const names = unit.dataset.names.toLowerCase();
      const fits = (exact !== null ? unit.dataset.concept === exact : names.includes(text)) &&
        (category === "" || unit.dataset.category === category) && number(unit, "iou") >= least &&
        (wanted.size === 0 || wanted.has(number(unit, "unit"))) && (!beats || unit.dataset.beats === "1");
      unit.hidden = !fits;
      shown += fits;
    }
    list.append(...[...units].sort(compare(field("sort").value)));
    field("shown").textContent = shown === units.length ? `${shown} units` : `${shown} of ${units.length} units`;
    field("none").hidden = shown > 0;
  }

  form.addEventListener("input", (event) => {
    if (event.target.id === "concept") exact = null;
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { exact = null; setTimeout(show); });
  field("none").querySelector("button").addEventListener("click", () => form.reset());
  for (const bar of document.querySelectorAll(".bar")) {
    bar.addEventListener("click", () => {
      form.reset();
      exact = bar.dataset.concept;
      setTimeout(() => {
        exact = bar.dataset.concept;
        field("concept").value = bar.querySelector("title").textContent.replace(/ \([^(]*$/, "");
        show();
        form.scrollIntoView({ behavior: "smooth" });
      });
    });
  }
})();
