// Small helpers to build the page. Text enters it only as text: textContent and append, never as HTML.
"use strict";

(function (X) {
  // el("button", {class: "small", onclick: f, "aria-label": "…"}, "text", node, …); null properties are left out.
  function el(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    setProperties(node, properties);
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }

  function svg(tag, properties = {}, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    setProperties(node, properties);
    node.append(...children);
    return node;
  }

  function setProperties(node, properties) {
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
      else node.setAttribute(name, value === true ? "" : value);
    }
  }

  const whole = new Intl.NumberFormat("en");
  // With a space that does not break; below one per cent one more digit.
  const percentText = (share) =>
    `${share > 0 && share < 0.01 ? (share * 100).toFixed(1) : Math.round(share * 100)}\u00a0%`;
  const countText = (number) => whole.format(number);
  const distanceText = (twice) => (twice % 2 ? (twice / 2).toFixed(1) : String(twice / 2));

  Object.assign(X, { el, svg, percentText, countText, distanceText });
})(window.IBCExplorer);
