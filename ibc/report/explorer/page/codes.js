// Decodes the page's data (window.IBC_DATA, written by `ibc explore`) into typed arrays.
"use strict";

window.IBCExplorer = {};

(function (X) {
  function bytes(base64) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const text = atob(base64);
    const out = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
    return out;
  }

  // Word w of all images, then word w + 1: one array a word position, so that ranking reads straight through memory.
  function planes(base64, words, count) {
    const all = new Uint32Array(bytes(base64).buffer, 0, words * count);
    return Array.from({ length: words }, (_, w) => all.subarray(w * count, (w + 1) * count));
  }

  // Sorted paths, each without what it shares with the one before it, and (a byte each) how many characters that is.
  // order: the image of each sorted path; null where the images are in that order.
  function decodePaths(rests, shared, order) {
    if (!shared) return rests;
    const same = bytes(shared);
    const images = order ? new Int32Array(bytes(order).buffer) : null;
    const paths = new Array(rests.length);
    let before = "";
    rests.forEach((rest, i) => {
      before = before.slice(0, same[i]) + rest;
      paths[images ? images[i] : i] = before;
    });
    return paths;
  }

  // Planes with a 1 at each of the pairs (image, bit).
  function planesOfPairs(base64, words, count) {
    const pairs = new Int32Array(bytes(base64).buffer);
    const out = Array.from({ length: words }, () => new Uint32Array(count));
    for (let i = 0; i < pairs.length; i += 2) out[pairs[i + 1] >> 5][pairs[i]] |= 1 << (pairs[i + 1] & 31);
    return out;
  }

  class CodeSet {
    constructor(data) {
      this.count = data.count;
      this.length = data.code_length;
      this.words = data.words;
      this.planes = planes(data.codes, data.words, data.count);
      // Bits of exactly 0.5: neither 0 nor 1, they count half a difference.
      this.undecided = data.undecided ? planesOfPairs(data.undecided, data.words, data.count) : null;
      this.labels = data.labels ? new Int32Array(bytes(data.labels).buffer) : null;
      this.labelSets = data.label_sets || null;
      this.attributes = (data.attributes || []).map((attribute) => bytes(attribute.has));
      this.grm = data.grm ? bytes(data.grm) : null;
      this.expertBits = data.expert_bits || null;
      this.paths = decodePaths(data.paths, data.paths_shared, data.paths_order);
    }

    // Images in which each bit is undecided.
    undecidedCounts() {
      const counts = new Uint32Array(this.length);
      if (!this.undecided) return counts;
      this.undecided.forEach((plane, w) =>
        plane.forEach((word) => {
          for (let b = 0; word; b++, word >>>= 1) if (word & 1) counts[w * 32 + b]++;
        }),
      );
      return counts;
    }

    // +1: the image has the bit, -1: it has not, 0: undecided.
    sign(item, bit) {
      const w = bit >> 5,
        shift = bit & 31;
      if (this.undecided && (this.undecided[w][item] >>> shift) & 1) return 0;
      return (this.planes[w][item] >>> shift) & 1 ? 1 : -1;
    }

    hasAttribute(item, attribute) {
      return ((this.attributes[attribute][item >> 3] >> (item & 7)) & 1) === 1;
    }

    // Class numbers of an image: none, one, or several with multi-labels.
    classesOf(item) {
      if (this.labelSets) return this.labelSets[item];
      return this.labels && this.labels[item] >= 0 ? [this.labels[item]] : [];
    }

    inClass(item, number) {
      return this.labelSets
        ? this.labelSets[item].includes(number)
        : this.labels !== null && this.labels[item] === number;
    }

    get hasClasses() {
      return this.labels !== null || this.labelSets !== null;
    }
  }

  X.bytes = bytes;
  X.CodeSet = CodeSet;
})(window.IBCExplorer);
