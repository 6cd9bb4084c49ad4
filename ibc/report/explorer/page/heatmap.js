// The rules (GRM) as a heat map: a row a class, a column a bit; hover to read, click to open.
"use strict";

(function (X) {
  const { el } = X;
  const TOP = 4;

  function rulesPanel(app) {
    const { codes, data } = app;
    if (!codes.grm) return { title: "Rules (GRM)", content: [el("p", {}, "The codes file holds no rules (GRM).")] };
    const map = new HeatMap(app, codes.grm, data.classes.length, codes.length);
    const order = el(
      "button",
      {
        class: "quiet",
        "aria-pressed": "false",
        onclick: () => {
          map.byConcept = !map.byConcept;
          order.setAttribute("aria-pressed", String(map.byConcept));
          order.textContent = map.byConcept ? "Bits by number" : "Bits by concept";
          map.layout();
        },
      },
      "Bits by concept",
    );
    return {
      title: "Rules (GRM)",
      wide: true,
      content: [
        el(
          "p",
          { class: "note" },
          "How much each class (row) relies on each bit (column), from 0 to 1. " +
            "Click a cell: bit card; a class name, or Shift + click: class. ",
          "Arrow keys move, Enter opens the bit, c the class.",
          codes.expertBits ? " Dots, where there is room: expert bits of the class." : "",
        ),
        el("div", { class: "acts-line" }, map.readout, order),
        el("div", { class: "map" }, map.canvas),
      ],
      shown: () => map.layout(),
    };
  }

  class HeatMap {
    constructor(app, grm, rows, columns) {
      Object.assign(this, { app, grm, rows, columns, byConcept: false, at: null });
      this.readout = el("p", { class: "readout", role: "status", "aria-live": "polite" }, "Hover a cell to read it.");
      this.canvas = el("canvas", {
        tabindex: 0,
        role: "img",
        "aria-label": `Rules of ${rows} classes by ${columns} bits; arrow keys move`,
      });
      this.canvas.addEventListener("mousemove", (event) => this.move(this.cellAt(event)));
      this.canvas.addEventListener("mouseleave", () => this.move(null));
      this.canvas.addEventListener("click", (event) => this.open(this.cellAt(event), event.shiftKey));
      this.canvas.addEventListener("keydown", (event) => this.pressed(event));
    }

    layout() {
      const room = this.canvas.parentElement.clientWidth;
      this.left = room < 600 ? 70 : 190;
      this.cellWidth = Math.max(3, Math.min(20, Math.floor((room - this.left) / this.columns)));
      this.cellHeight = this.rows <= 40 ? 22 : this.rows <= 80 ? 15 : this.rows <= 200 ? 8 : 4;
      this.order = Array.from({ length: this.columns }, (_, bit) => bit);
      if (this.byConcept) {
        const key = (bit) => {
          const name = this.app.names.best[bit];
          return name ? `${name.category} ${name.concept}` : "\uffff";
        };
        this.order.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a - b));
      }
      const wide = this.left + this.columns * this.cellWidth,
        high = TOP + this.rows * this.cellHeight;
      this.scale = Math.min(window.devicePixelRatio || 1, 16000 / Math.max(wide, high));
      this.canvas.width = Math.ceil(wide * this.scale);
      this.canvas.height = Math.ceil(high * this.scale);
      this.canvas.style.width = `${wide}px`;
      this.canvas.style.height = `${high}px`;
      this.image = this.paintCells();
      this.draw();
    }

    // One pixel a cell; draw() enlarges it without smoothing.
    paintCells() {
      const small = document.createElement("canvas");
      small.width = this.columns;
      small.height = this.rows;
      const context = small.getContext("2d"),
        pixels = context.createImageData(this.columns, this.rows);
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim().split(" ").map(Number);
      const low = colour("--map-low"),
        high = colour("--map-high");
      for (let row = 0, p = 0; row < this.rows; row++) {
        for (let column = 0; column < this.columns; column++, p += 4) {
          const value = this.grm[row * this.columns + this.order[column]] / 255;
          for (let c = 0; c < 3; c++) pixels.data[p + c] = low[c] + (high[c] - low[c]) * value;
          pixels.data[p + 3] = 255;
        }
      }
      context.putImageData(pixels, 0, 0);
      return small;
    }

    draw() {
      const context = this.canvas.getContext("2d"),
        style = getComputedStyle(document.documentElement);
      const ink = style.getPropertyValue("--ink"),
        soft = style.getPropertyValue("--soft");
      const { left, cellWidth, cellHeight } = this;
      context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      context.imageSmoothingEnabled = false;
      context.drawImage(this.image, left, TOP, this.columns * cellWidth, this.rows * cellHeight);
      if (cellWidth >= 7 && cellHeight >= 7 && this.app.codes.expertBits) this.drawExperts(context);
      if (cellHeight >= 11) {
        context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
        context.textBaseline = "middle";
        for (let row = 0; row < this.rows; row++) {
          context.fillStyle = this.at && this.at.row === row ? ink : soft;
          context.fillText(this.fit(context, this.app.data.classes[row], left - 8), 0, TOP + (row + 0.5) * cellHeight);
        }
      }
      if (this.at) {
        context.strokeStyle = ink;
        context.lineWidth = 1;
        context.strokeRect(
          left + 0.5,
          TOP + this.at.row * cellHeight + 0.5,
          this.columns * cellWidth - 1,
          cellHeight - 1,
        );
        if (this.at.column >= 0)
          context.strokeRect(
            left + this.at.column * cellWidth + 0.5,
            TOP + 0.5,
            cellWidth - 1,
            this.rows * cellHeight - 1,
          );
      }
    }

    // A dot in the cells of each class's expert bits.
    drawExperts(context) {
      const column = new Map(this.order.map((bit, place) => [bit, place]));
      context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--dot");
      this.app.codes.expertBits.forEach((bits, row) => {
        for (const bit of bits) {
          context.beginPath();
          context.arc(
            this.left + (column.get(bit) + 0.5) * this.cellWidth,
            TOP + (row + 0.5) * this.cellHeight,
            1.8,
            0,
            7,
          );
          context.fill();
        }
      });
    }

    fit(context, text, room) {
      if (context.measureText(text).width <= room) return text;
      let end = text.length;
      while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > room) end--;
      return `${text.slice(0, end)}…`;
    }

    cellAt(event) {
      const box = this.canvas.getBoundingClientRect();
      const row = Math.floor((event.clientY - box.top - TOP) / this.cellHeight);
      const column = Math.floor((event.clientX - box.left - this.left) / this.cellWidth);
      return row >= 0 && row < this.rows && column < this.columns ? { row, column: Math.max(column, -1) } : null;
    }

    move(at) {
      this.at = at;
      this.canvas.style.cursor = at ? "pointer" : "default";
      if (at) {
        const name = this.app.data.classes[at.row];
        const bit = this.order[at.column];
        this.readout.textContent =
          at.column < 0
            ? name
            : `${name} × ${this.app.names.long(bit)}: ${(this.grm[at.row * this.columns + bit] / 255).toFixed(2)}`;
      }
      this.draw();
    }

    open(at, asClass) {
      if (!at) return;
      if (asClass || at.column < 0) this.app.open({ kind: "class", number: at.row });
      else this.app.open({ kind: "bit", number: this.order[at.column] });
    }

    pressed(event) {
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (step) {
        const from = this.at || { row: 0, column: -1 };
        this.move({
          row: Math.max(0, Math.min(this.rows - 1, from.row + step[0])),
          column: Math.max(0, Math.min(this.columns - 1, from.column + step[1])),
        });
      } else if (event.key === "Enter") this.open(this.at, event.shiftKey);
      else if (event.key === "c") this.open(this.at, true);
      else return;
      event.preventDefault();
    }
  }

  X.rulesPanel = rulesPanel;
})(window.IBCExplorer);
