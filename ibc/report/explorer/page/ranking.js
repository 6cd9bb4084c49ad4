// Ranking: from a state (examples, mode, chips, filters) to images in order of masked Hamming distance.
// The Python twin is ibc/report/explorer/state.py; a test compares the two.
"use strict";

(function (X) {
  // What is asked of every bit: +1 wanted, -1 must not be there, 0 does not matter.
  function wantedSigns(codes, state) {
    const wanted = new Int8Array(codes.length);
    if (state.mode === "all" || state.mode === "expert") {
      const { positive, negative } = state;
      let bits = null;
      if (state.mode === "expert") {
        const number = expertClass(codes, state);
        if (codes.expertBits && number !== null) bits = codes.expertBits[number];
      }
      for (let i = 0; i < (bits ? bits.length : codes.length); i++) {
        const bit = bits ? bits[i] : i;
        wanted[bit] = Math.sign(meanSign(codes, positive, bit) - meanSign(codes, negative, bit));
      }
    }
    for (const [bit, sign] of Object.entries(state.chips)) wanted[bit] = sign;
    return wanted;
  }

  function meanSign(codes, items, bit) {
    if (!items.length) return 0;
    let sum = 0;
    for (const item of items) sum += codes.sign(item, bit);
    return sum / items.length;
  }

  // The class whose expert bits are used: the chosen one, else the first positive example's. null: all bits count.
  function expertClass(codes, state) {
    if (state.class !== null || state.classOfExample === false) return state.class;
    const own = state.positive.length ? codes.classesOf(state.positive[0]) : [];
    return own.length ? own[0] : null;
  }

  // Number of ones in a 32-bit word, all in registers.
  function popcount(v) {
    v -= (v >>> 1) & 0x55555555;
    v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
    return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }

  // Twice the distance of every image, so that the half of an undecided bit stays a whole number.
  function twiceDistances(codes, wanted) {
    const out = new Uint16Array(codes.count);
    for (let w = 0; w < codes.words; w++) {
      let mask = 0,
        query = 0;
      for (let b = 0; b < 32 && w * 32 + b < codes.length; b++) {
        const sign = wanted[w * 32 + b];
        if (sign !== 0) mask |= 1 << b;
        if (sign > 0) query |= 1 << b;
      }
      if (mask === 0) continue;
      if (codes.undecided) addWithUndecided(out, codes.planes[w], codes.undecided[w], query, mask);
      else addWord(out, codes.planes[w], query, mask);
    }
    return out;
  }

  function addWord(out, plane, query, mask) {
    for (let i = 0; i < out.length; i++) out[i] += popcount((plane[i] ^ query) & mask) << 1;
  }

  function addWithUndecided(out, plane, undecided, query, mask) {
    for (let i = 0; i < out.length; i++) {
      const open = undecided[i] & mask;
      out[i] += (popcount((plane[i] ^ query) & mask & ~open) << 1) + popcount(open);
    }
  }

  // Images by distance, ties by image number: a histogram of the distances, then one pass (counting sort).
  // allowed: 1 for the images that may appear, or null for all.
  function sortByDistance(twice, allowed, longest) {
    const starts = new Uint32Array(longest + 2);
    for (let i = 0; i < twice.length; i++) if (!allowed || allowed[i]) starts[twice[i] + 1]++;
    for (let d = 0; d <= longest; d++) starts[d + 1] += starts[d];
    const rows = new Uint32Array(starts[longest + 1]);
    for (let i = 0; i < twice.length; i++) if (!allowed || allowed[i]) rows[starts[twice[i]]++] = i;
    return rows;
  }

  // Images that pass the filters: of one of the classes, and with (without) each chosen attribute. null: all do.
  function allowedItems(codes, state) {
    const classes = new Set(state.classFilter);
    const attributes = Object.entries(state.attributeFilter).map(([number, sign]) => [Number(number), sign > 0]);
    if (!classes.size && !attributes.length) return null;
    const out = new Uint8Array(codes.count);
    for (let i = 0; i < codes.count; i++) {
      if (classes.size && !codes.classesOf(i).some((number) => classes.has(number))) continue;
      out[i] = attributes.every(([number, has]) => codes.hasAttribute(i, number) === has) ? 1 : 0;
    }
    return out;
  }

  function rankWanted(codes, wanted, allowed = null) {
    const twice = twiceDistances(codes, wanted);
    const rows = sortByDistance(twice, allowed, 2 * codes.length);
    return { rows, twice, wanted, bits: Array.from(wanted.keys()).filter((bit) => wanted[bit] !== 0) };
  }

  // The Python twin's shape: a state with its keys (bits: pairs of bit and +1 or -1) to rows and distances.
  function rankPlain(codes, plain) {
    const state = {
      ...X.emptyState(),
      ...plain,
      class: plain.class ?? null,
      classOfExample: false,
      chips: Object.fromEntries(plain.bits || []),
    };
    const { rows, twice } = rankState(codes, state);
    return { rows: Array.from(rows), distances: Array.from(rows, (row) => twice[row] / 2) };
  }

  function rankState(codes, state) {
    return rankWanted(codes, wantedSigns(codes, state), allowedItems(codes, state));
  }

  // A repeatable stream of numbers in [0, 1) (mulberry32).
  function randomStream(seed) {
    let a = seed >>> 0;
    return () => {
      a = (a + 0x6d2b79f5) >>> 0;
      let t = Math.imul(a ^ (a >>> 15), a | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  // As many random bits as `size`, asked as the examples have them (without examples: a random value each).
  function randomWanted(codes, state, size, random) {
    const all = wantedSigns(codes, { ...state, mode: "all", chips: {} });
    const pool = Array.from(all.keys()).filter((bit) => all[bit] !== 0);
    const from = pool.length ? pool : Array.from({ length: codes.length }, (_, bit) => bit);
    const wanted = new Int8Array(codes.length);
    for (let i = 0; i < Math.min(size, from.length); i++) {
      const j = i + Math.floor(random() * (from.length - i));
      [from[i], from[j]] = [from[j], from[i]];
      wanted[from[i]] = pool.length ? all[from[i]] : random() < 0.5 ? 1 : -1;
    }
    return wanted;
  }

  // Share of relevant images among the first `first` results, examples left out; null when there is no result.
  function precision(rows, relevant, examples, first = 20) {
    let seen = 0,
      hits = 0;
    for (let i = 0; i < rows.length && seen < first; i++) {
      if (examples.has(rows[i])) continue;
      seen++;
      if (relevant(rows[i])) hits++;
    }
    return seen ? hits / seen : null;
  }

  // Bits that are over-represented among `items` against all images, most surprising first.
  function sharedBits(codes, shares, items, most = 8) {
    const found = [];
    for (let bit = 0; bit < codes.length; bit++) {
      let ones = 0;
      for (const item of items) if (codes.sign(item, bit) > 0) ones++;
      const inside = ones / items.length,
        outside = shares[bit];
      const spread = Math.sqrt(Math.max(outside * (1 - outside), 1 / codes.count) / items.length);
      const surprise = (inside - outside) / spread;
      if (surprise > 2 && inside >= 0.5) found.push({ bit, inside, outside, surprise });
    }
    return found.sort((a, b) => b.surprise - a.surprise || a.bit - b.bit).slice(0, most);
  }

  Object.assign(X, {
    wantedSigns,
    expertClass,
    twiceDistances,
    allowedItems,
    rankWanted,
    rankState,
    randomStream,
    randomWanted,
    precision,
    sharedBits,
    rankPlain,
  });
})(window.IBCExplorer);
