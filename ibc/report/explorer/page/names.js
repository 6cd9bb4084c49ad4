// Names of bits, and what an image shows for relevance: which attribute a concept's name stands for.
"use strict";

(function (X) {
  // Broden writes colours and scenes as "red-c" and "street-s"; beside its category the ending says nothing.
  function plainConcept(name) {
    const ending = { color: "-c", scene: "-s" }[name.category];
    const text = ending && name.concept.endsWith(ending) ? name.concept.slice(0, -2) : name.concept;
    return name.source === "class" ? classText(name.concept) : text.replaceAll("_", " ");
  }

  const classText = (name) => (name.startsWith("class ") ? name : `class ${name}`);

  class BitNames {
    constructor(data) {
      for (const bit of data.bits) bit.names = bit.names.filter((name) => name.concept);
      this.bits = data.bits;
      this.byAttribute = new Map(
        (data.attributes || []).map((attribute, number) => [attribute.name.toLowerCase(), number]),
      );
      this.call({});
    }

    // Which name each bit goes by. called: bit -> place among its names, as a person chose the chip; others go by the
    // first name that beats chance (a class last: it says least about what is seen), else the first one.
    call(called) {
      const good = ({ names }) =>
        names.find((name) => name.beats_chance && name.category !== "class") ||
        names.find((name) => name.beats_chance) ||
        names[0] ||
        null;
      this.best = this.bits.map((bit, number) => bit.names[called[number]] || good(bit));
      this.short = this.best.map((name, bit) => (name ? plainConcept(name) : `bit ${bit + 1}`));
    }

    // "sea" or "not sea": what is asked of a bit.
    wish(bit, sign) {
      return sign > 0 ? this.short[bit] : `not ${this.short[bit]}`;
    }

    // "sea (bit 12)", for places where the number matters too.
    long(bit) {
      return this.best[bit] ? `${this.short[bit]} (bit ${bit + 1})` : this.short[bit];
    }

    // Number of the labelled attribute that a bit's name stands for (any that beats chance, its own first), or null.
    attributeOf(bit) {
      const others = this.bits[bit].names.filter((name) => name.beats_chance && name.category !== "class");
      for (const name of this.best[bit] ? [this.best[bit], ...others] : []) {
        const number =
          this.byAttribute.get(plainConcept(name).toLowerCase()) ?? this.byAttribute.get(name.concept.toLowerCase());
        if (number !== undefined) return number;
      }
      return null;
    }
  }

  // Which images count as right: those of the chosen class where there is no example; those with the wanted attributes
  // where the chips name labelled ones; else those of a class of the positive examples. null where nothing says it.
  function relevance(codes, data, names, state) {
    const wanted = new Map();
    const ofClass = state.class !== null && !state.positive.length; // the chips are the expert bits of a class
    for (const [bit, sign] of ofClass ? [] : Object.entries(state.chips)) {
      const number = names.attributeOf(Number(bit));
      if (number !== null) wanted.set(number, wanted.has(number) && wanted.get(number) !== sign ? 0 : sign);
    }
    for (const [number, sign] of wanted) if (sign === 0) wanted.delete(number); // two bits of one name, asked both ways
    if (wanted.size) {
      const pairs = [...wanted];
      return {
        text: pairs.map(([number, sign]) => (sign > 0 ? "" : "not ") + data.attributes[number].name).join(", "),
        test: (item) => pairs.every(([number, sign]) => codes.hasAttribute(item, number) === sign > 0),
      };
    }
    const classes = state.positive.length
      ? [...new Set(state.positive.flatMap((item) => codes.classesOf(item)))]
      : state.class !== null
        ? [state.class]
        : [];
    if (!classes.length || !codes.hasClasses) return null;
    return {
      text: classes.length === 1 ? classText(data.classes[classes[0]]) : "a class of the examples",
      test: (item) => classes.some((number) => codes.inClass(item, number)),
    };
  }

  Object.assign(X, { BitNames, plainConcept, classText, relevance });
})(window.IBCExplorer);
