// Thumbnails from sprite sheets: a sheet is loaded when one of its cells first comes into view.
"use strict";

(function (X) {
  const OVERSCAN = 0.02; // shown a little larger, so that no neighbour's edge shines in where a cell is scaled

  class Thumbnails {
    constructor(data, codes) {
      this.thumbs = data.thumbs;
      this.paths = codes.paths;
      this.places = new Int32Array(X.bytes(this.thumbs.places).buffer);
      this.sheets = new Map(); // number -> promise of the loaded sheet
      this.watch = new IntersectionObserver(
        (entries) => {
          for (const entry of entries) {
            if (!entry.isIntersecting) continue;
            this.watch.unobserve(entry.target);
            this.show(entry.target);
          }
        },
        { rootMargin: "400px" },
      );
    }

    // A square with the image's thumbnail, or with its name where it has none.
    square(item) {
      const node = X.el("span", { class: "sprite", "aria-hidden": "true" });
      if (this.places[item] < 0) {
        this.showName(node, item);
        return node;
      }
      node.dataset.item = item;
      this.watch.observe(node);
      return node;
    }

    showName(node, item) {
      node.classList.add("nameless");
      node.textContent = this.paths[item].split("/").pop();
    }

    async show(node) {
      const item = Number(node.dataset.item),
        { size, columns, rows } = this.thumbs;
      const place = this.places[item],
        cell = place % (columns * rows);
      const sheet = await this.load(Math.floor(place / (columns * rows)));
      if (!sheet) {
        this.showName(node, item);
        return;
      }
      // In units of the square; the last sheet may have fewer rows than the others.
      const wide = (sheet.naturalWidth / size) * (1 + OVERSCAN),
        high = (sheet.naturalHeight / size) * (1 + OVERSCAN);
      const position = (step, length) =>
        length > 1 ? ((step * (1 + OVERSCAN) + OVERSCAN / 2) / (length - 1)) * 100 : 0;
      node.style.backgroundImage = `url("${sheet.src}")`;
      node.style.backgroundSize = `${wide * 100}% ${high * 100}%`;
      node.style.backgroundPosition = `${position(cell % columns, wide)}% ${position(Math.floor(cell / columns), high)}%`;
      node.classList.add("loaded");
    }

    load(number) {
      if (!this.sheets.has(number)) {
        this.sheets.set(
          number,
          new Promise((resolve) => {
            const image = new Image();
            image.onload = () => resolve(image);
            image.onerror = () => resolve(null);
            image.src = this.thumbs.sheets[number];
          }),
        );
      }
      return this.sheets.get(number);
    }
  }

  X.Thumbnails = Thumbnails;
})(window.IBCExplorer);
