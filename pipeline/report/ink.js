"use strict";
/* Anyone's picture as ink, and ink as the parts of a number: pipeline/digit/ in JavaScript, function by function, with the
   same names and numbers. tests/test_pad.py compares it with Python's results.
   A picture here is {rows, columns, at}, `at` its numbers row by row; of colours, `at` is a list of three such arrays. */

const ink = (() => {
  const LONGEST_SIDE = 1024; // picture.py
  const EDGES = 64, ROUNDS = 20, DEGREE = 4, PLAIN = 2; // paper.py
  const FAINTEST = 8, NOISE = 4, RULED = 0.3, INNER = 0.1, LONG = 0.5, SMALL = 0.08, SPECK = 0.05, BLOT_CELLS = 400,
    THICK = 0.3, DEEPEST = 4, BARE = 0.4, FAINTER = 0.4, CUT = 0.1; // ink.py
  const SHEET_CELLS = 200, LEAST = 0.2, MOST = 3, TURNS = 6, NEAR = 0.015, UNCOVERED = 0.1, OUTSIDE = 0.12, ROOM = 0.02; // sheets.py
  const MOST_PARTS = 500, INKED = 0.25, OVERLAP = 0.5, STACKED = 0.2, GAP = 0.6, LEVEL = 0.5, AWAY = 3; // numbers.py

  const picture = (rows, columns, at) => ({ rows, columns, at: at || new Float64Array(rows * columns) });
  function like({ rows, columns }, f) {
    const result = picture(rows, columns);
    for (let i = 0; i < result.at.length; i++) result.at[i] = f(i);
    return result;
  }
  const range = (n) => [...Array(n).keys()];

  function median(numbers) {
    const sorted = Float64Array.from(numbers).sort(), half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  function bounds(mask) {
    let top = mask.rows, bottom = -1, left = mask.columns, right = -1;
    for (let y = 0; y < mask.rows; y++)
      for (let x = 0; x < mask.columns; x++)
        if (mask.at[y * mask.columns + x]) {
          top = Math.min(top, y); bottom = Math.max(bottom, y);
          left = Math.min(left, x); right = Math.max(right, x);
        }
    return { top, bottom: bottom + 1, left, right: right + 1, side: Math.max(bottom - top, right - left) + 1 };
  }

  function strokeWidth(mask) {
    let size = 0, outline = 0;
    const at = (y, x) => (y < 0 || x < 0 || y >= mask.rows || x >= mask.columns ? 0 : mask.at[y * mask.columns + x]);
    for (let y = 0; y <= mask.rows; y++)
      for (let x = 0; x <= mask.columns; x++) {
        size += at(y, x);
        outline += (at(y, x) !== at(y - 1, x)) + (at(y, x) !== at(y, x - 1));
      }
    return (2 * size) / ((outline * Math.PI) / 4);
  }

  // ---- resize.py

  function area(length, start, stop, cells) {
    const list = [];
    for (let i = 0; i < cells; i++) {
      const low = start + ((stop - start) / cells) * i, high = start + ((stop - start) / cells) * (i + 1);
      const first = Math.max(Math.floor(low), 0), shares = [];
      for (let pixel = first; pixel < Math.min(high, length); pixel++)
        shares.push(Math.max(Math.min(high, pixel + 1) - Math.max(low, pixel), 0) * (cells / (stop - start)));
      list.push({ first, shares });
    }
    return list;
  }

  function averaged(ink, down, across) {
    const flat = picture(down.length, ink.columns), small = picture(down.length, across.length);
    down.forEach(({ first, shares }, y) => shares.forEach((share, i) => {
      for (let x = 0; x < ink.columns; x++)
        flat.at[y * ink.columns + x] += share * ink.at[(first + i) * ink.columns + x];
    }));
    across.forEach(({ first, shares }, x) => shares.forEach((share, i) => {
      for (let y = 0; y < small.rows; y++)
        small.at[y * small.columns + x] += share * flat.at[y * ink.columns + first + i];
    }));
    return small;
  }

  function resize(ink, rows, columns, step) {
    return averaged(ink, ...[[ink.rows, rows], [ink.columns, columns]].map(([length, [start, stop]]) => {
      const cells = Math.ceil((stop - start) / step - 1e-9), grow = (cells * step - (stop - start)) / 2;
      return area(length, start - grow, stop + grow, cells);
    }));
  }

  function shrunk(ink, most) {
    const factor = Math.ceil(Math.max(ink.rows, ink.columns) / most);
    if (factor === 1) return ink;
    return averaged(ink, ...[ink.rows, ink.columns].map((length) => {
      const cells = Math.ceil(length / factor);
      return area(length, 0, cells * factor, cells);
    }));
  }

  // ---- blots.py: the number of each pixel's connected part, from 1, and where each part is

  function blots(mask) {
    const { rows, columns } = mask, number = new Int32Array(rows * columns);
    let count = 0;
    for (let start = 0; start < number.length; start++) {
      if (number[start] || !mask.at[start]) continue;
      const waiting = [start];
      number[start] = ++count;
      while (waiting.length) {
        const i = waiting.pop(), y = Math.floor(i / columns), x = i % columns;
        for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, rows - 1); v++)
          for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, columns - 1); u++) {
            const j = v * columns + u;
            if (mask.at[j] && !number[j]) { number[j] = count; waiting.push(j); }
          }
      }
    }
    return { number, count, boxes: boxes(number, columns, count) };
  }

  function boxes(number, columns, count) { // of numbers from 1
    const list = range(count).map(() => ({ top: Infinity, bottom: 0, left: Infinity, right: 0 }));
    number.forEach((k, i) => {
      if (!k) return;
      const box = list[k - 1], y = Math.floor(i / columns), x = i % columns;
      box.top = Math.min(box.top, y); box.bottom = Math.max(box.bottom, y + 1);
      box.left = Math.min(box.left, x); box.right = Math.max(box.right, x + 1);
    });
    return list;
  }

  // ---- paper.py

  function rim(mask) {
    const { rows, columns, at } = mask;
    return like(mask, (i) => {
      const x = i % columns, inner = i >= columns && i < columns * (rows - 1) && x && x < columns - 1;
      return at[i] && !(inner && at[i - 1] && at[i + 1] && at[i - columns] && at[i + columns]) ? 1 : 0;
    });
  }

  function where({ at }) {
    const places = [];
    for (let i = 0; i < at.length; i++) if (at[i]) places.push(i);
    return places;
  }

  function papers(colours, mask) {
    const flat = flatPaper(colours, where(rim(mask)));
    if (flat) return [{ photo: false, paper: (c) => flat[c] }];
    return [true, false].map((fromRim) => {
      const surface = litPaper(colours, mask, fromRim);
      return { photo: true, paper: (c, i) => surface[c][i] };
    });
  }

  function flatPaper(colours, places) {
    const counts = new Map();
    for (const i of places) {
      const key = colours.at.map((channel) => channel[i]).join();
      counts.set(key, (counts.get(key) || 0) + 1);
    }
    for (const [key, count] of counts) if (2 * count > places.length) return key.split(",").map(Number);
    return null;
  }

  const powers = (place, length) => range(DEGREE + 1).map((e) => ((2 * place + 1) / length - 1) ** e);
  const exponents = range(DEGREE + 1).flatMap((i) => range(DEGREE + 1).map((j) => [i, j]));

  function litPaper({ rows, columns, at }, mask, fromRim) {
    const known = shrunk(mask, EDGES), least = Math.min(0.5, known.at.reduce((a, b) => Math.max(a, b), 0) / 2);
    const inside = like(known, (i) => (known.at[i] > least ? 1 : 0)), places = where(inside);
    const small = at.map((channel) => {
      const cells = shrunk(like(mask, (i) => channel[i] * mask.at[i]), EDGES);
      return places.map((i) => cells.at[i] / Math.max(known.at[i], 1e-9));
    });
    const edge = rim(inside), seen = places.map((i) => (fromRim ? edge.at[i] : 1)), ofSeen = (_, n) => seen[n];
    const down = range(known.rows).map((y) => powers(y, known.rows));
    const across = range(known.columns).map((x) => powers(x, known.columns));
    let paper = small.map((channel) => { const m = median(channel.filter(ofSeen)); return places.map(() => m); });
    let terms, fitted;
    for (let round = 0; round < ROUNDS; round++) {
      const residual = places.map((_, n) => Math.hypot(...small.map((channel, c) => channel[n] - paper[c][n])));
      const scale = Math.max(median(residual.filter(ofSeen)), 1);
      const weights = residual.map((r, n) => (round < ROUNDS / 2 && !seen[n] ? 0 : 1 / (1 + (r / scale) ** 2) ** 2));
      const degree = Math.min(Math.floor(round / 3), fromRim ? PLAIN : DEGREE);
      terms = exponents.filter(([i, j]) => i + j <= degree);
      const basis = places.map((p) => terms.map(([i, j]) =>
        down[Math.floor(p / known.columns)][i] * across[p % known.columns][j]));
      fitted = solved(basis, weights, small);
      paper = fitted.map((factors) => basis.map((row) => row.reduce((sum, value, t) => sum + value * factors[t], 0)));
    }
    return surface(fitted, terms, rows, columns);
  }

  function solved(basis, weights, channels) { // normal equations by elimination
    const size = basis[0].length, table = range(size).map((t) => new Float64Array(size + channels.length).fill(0));
    basis.forEach((row, n) => {
      if (!weights[n]) return;
      for (let s = 0; s < size; s++) {
        const value = weights[n] * row[s];
        for (let t = 0; t < size; t++) table[s][t] += value * row[t];
        channels.forEach((channel, c) => { table[s][size + c] += value * channel[n]; });
      }
    });
    for (let s = 0; s < size; s++) table[s][s] += 1e-6;
    for (let s = 0; s < size; s++) { // symmetric and positive: no pivots
      for (let r = 0; r < size; r++) {
        if (r === s) continue;
        const factor = table[r][s] / table[s][s];
        for (let t = s; t < table[s].length; t++) table[r][t] -= factor * table[s][t];
      }
    }
    return channels.map((_, c) => table.map((row, s) => row[size + c] / row[s]));
  }

  function surface(fitted, terms, rows, columns) {
    const across = range(columns).map((x) => powers(x, columns));
    return fitted.map((factors) => {
      const at = new Float64Array(rows * columns);
      for (let y = 0; y < rows; y++) {
        const down = powers(y, rows), ofRow = new Float64Array(DEGREE + 1);
        terms.forEach(([i, j], t) => { ofRow[j] += factors[t] * down[i]; });
        for (let x = 0; x < columns; x++) {
          let sum = 0;
          for (let j = 0; j <= DEGREE; j++) sum += ofRow[j] * across[x][j];
          at[y * columns + x] = sum;
        }
      }
      return at;
    });
  }

  // ---- ink.py

  function findInk(colours) {
    const found = inkWithin(colours, picture(colours.rows, colours.columns).at.fill(1), DEEPEST);
    return found && found.ink;
  }

  function drawn(levels, colours) { // the same as findInk(colours()) for black on nothing, but faster
    return sheets(levels).length ? findInk(colours()) : written(levels, like(levels, () => 1), false);
  }

  function inkWithin(colours, at, deepest) {
    const mask = picture(colours.rows, colours.columns, at);
    if (!at.some(Boolean)) return null;
    let first = null;
    const found = papers(colours, mask).map(({ paper, photo }) => standsOut(colours, paper, mask, photo)).filter(Boolean);
    for (const one of found.sort((a, b) => b.explained - a.explained)) {
      for (const sheet of deepest ? sheets(one.ink) : []) {
        const within = like(sheet, (i) => sheet.at[i] && at[i]), inner = inkWithin(colours, within.at, deepest - 1);
        if (inner && inner.contrast >= FAINTER * one.contrast && looksWritten(inner.ink, within)) return inner;
      }
      one.ink = written(one.ink, mask, one.photo);
      if (looksWritten(one.ink)) return one;
      first = first || one;
    }
    return first;
  }

  function standsOut(colours, paper, mask, photo) {
    const three = [0, 1, 2], [red, green, blue] = three.map((c) => like(mask, (i) => (mask.at[i] ? colours.at[c][i] - paper(c, i) : 0)).at);
    const strength = like(mask, (i) => Math.sqrt(red[i] * red[i] + green[i] * green[i] + blue[i] * blue[i]));
    const most = strength.at.reduce((a, b) => Math.max(a, b)), strong = where(mask).filter((i) => strength.at[i] >= most / 2);
    const colour = [red, green, blue].map((channel) => strong.reduce((sum, i) => sum + channel[i], 0) / strong.length);
    const length = Math.max(Math.hypot(...colour), 1e-9), [r, g, b] = colour.map((value) => value / length);
    const along = like(mask, (i) => red[i] * r + green[i] * g + blue[i] * b);
    const peak = along.at.reduce((a, b) => Math.max(a, b)), full = median(along.at.filter((value) => value >= peak / 2));
    const within = [where(mask), where(rim(mask))];
    const noise = photo ? NOISE * 1.4826 * Math.min(...within.map((m) => median(m.map((i) => Math.abs(along.at[i]))))) : 0;
    if (full < Math.max(FAINTEST, noise)) return null;
    const least = photo ? Math.max(RULED, noise / full) : 0;
    const [bare, bareRim] = within.map((m) => m.filter((i) => strength.at[i] <= RULED * full).length / m.length);
    const ink = like(mask, (i) => { const value = Math.min(Math.max(along.at[i] / full, 0), 1); return value > least ? value : 0; });
    return { ink, contrast: full, explained: bare >= BARE ? bare + bareRim : 0, photo };
  }

  function looksWritten(ink, sheet) {
    const mask = like(ink, (i) => (ink.at[i] > 0.5 ? 1 : 0)), edge = sheet ? where(rim(sheet)) : [];
    if (edge.filter((i) => mask.at[i]).length > CUT * edge.length) return false;
    return mask.at.some(Boolean) && strokeWidth(mask) < THICK * bounds(mask).side;
  }

  function written(ink, mask, photo) {
    const factor = Math.ceil(Math.max(ink.rows, ink.columns) / BLOT_CELLS), cells = shrunk(ink, BLOT_CELLS), known = shrunk(mask, BLOT_CELLS);
    const { number, count, boxes } = blots(cells), edge = rim(like(known, (i) => (known.at[i] > 0.5 ? 1 : 0)));
    let amounts = new Float64Array(count + 1);
    number.forEach((k, i) => { amounts[k] += cells.at[i]; });
    const touching = new Set(where(edge).map((i) => number[i]));
    if (photo) {
      const within = amounts.map((amount, k) => (touching.has(k) ? 0 : amount));
      if (Math.max(...within) >= INNER * Math.max(...amounts)) amounts = within;
    } else for (const k of bars(number, boxes, edge, touching)) amounts[k] = 0;
    const least = SPECK * Math.max(...amounts), holds = (a, b) => a.top <= b.top && a.bottom >= b.bottom && a.left <= b.left && a.right >= b.right;
    const large = range(count + 1).filter((k) => k && amounts[k] >= least); // two axes have a heavier plot inside their box
    const kept = new Uint8Array(count + 1), among = large.filter((k) => !large.some((j) => amounts[j] > amounts[k] && holds(boxes[k - 1], boxes[j - 1])));
    for (const k of among) kept[k] = 1;
    if (factor === 1) return like(ink, (i) => (kept[number[i]] ? ink.at[i] : 0));
    return like(ink, (i) => {
      const y = Math.floor(Math.floor(i / ink.columns) / factor), x = Math.floor((i % ink.columns) / factor);
      return kept[number[y * cells.columns + x]] ? ink.at[i] : 0;
    });
  }

  function bars(number, boxes, edge, touching) {
    const { top, bottom, left, right } = bounds(edge), high = bottom - top, wide = right - left;
    const long = ({ top, bottom, left, right }) => Math.max(bottom - top, right - left) >= SMALL * Math.min(high, wide);
    if (!boxes.some((box, k) => !touching.has(k + 1) && long(box))) return [];
    return [...touching].filter((k) => {
      if (!k) return false;
      const places = where(edge).filter((i) => number[i] === k);
      const rows = new Set(places.map((i) => Math.floor(i / edge.columns))), columns = new Set(places.map((i) => i % edge.columns));
      const span = (set) => Math.max(...set) - Math.min(...set);
      return Math.max(columns.size / wide, rows.size / high) >= LONG || span(rows) >= high - 3 || span(columns) >= wide - 3;
    });
  }

  // ---- sheets.py

  function sheets(ink) {
    const factor = Math.ceil(Math.max(ink.rows, ink.columns) / SHEET_CELLS), cells = shrunk(ink, SHEET_CELLS);
    const { number, boxes } = blots(like(cells, (i) => (cells.at[i] > 0.1 ? 1 : 0))), found = [];
    const sizes = boxes.map(({ top, bottom, left, right }, k) => ({ k: k + 1, high: bottom - top, wide: right - left }));
    sizes.sort((a, b) => b.high * b.wide - a.high * a.wide);
    for (const { k, high, wide } of sizes.slice(0, MOST)) {
      if (Math.min(high, wide) < LEAST * Math.max(cells.rows, cells.columns)) continue;
      const near = NEAR * Math.max(high, wide), corners = quadrangle(like(cells, (i) => (number[i] === k ? 1 : 0)), near);
      if (corners) found.push(inside(corners.map(([y, x]) => [y * factor, x * factor]), ink, Math.max(near, 1) * factor));
    }
    return found;
  }

  function quadrangle(part, near) {
    const points = where(part).map((i) => [Math.floor(i / part.columns) + 0.5, (i % part.columns) + 0.5]);
    let best = null, least = 1;
    for (let turn = 0; turn < TURNS; turn++) {
      const corners = range(4).map((k) => {
        const angle = (Math.PI / 2) * (turn / TURNS + k), sin = Math.sin(angle), cos = Math.cos(angle);
        let far = -Infinity, corner = null;
        for (const p of points) if (p[0] * sin + p[1] * cos > far) { far = p[0] * sin + p[1] * cos; corner = p; }
        return corner;
      });
      const bare = 1 - covered(part, corners, Math.floor(near));
      if (bare > UNCOVERED) continue;
      const size = Math.abs(corners.reduce((sum, [y, x], k) => sum + x * corners[(k + 1) % 4][0] - y * corners[(k + 1) % 4][1], 0)) / 2;
      const within = inside(corners, part, -near);
      const outside = part.at.reduce((sum, value, i) => sum + (value && !within.at[i]), 0) / Math.max(size, 1);
      if (outside <= OUTSIDE && outside + bare < least) { best = corners; least = outside + bare; }
    }
    return best;
  }

  function covered(part, corners, reach) {
    let hit = 0;
    corners.forEach(([top, left], k) => {
      const [bottom, right] = corners[(k + 1) % 4];
      for (let step = 0; step < 50; step++) {
        const y = Math.floor(top + (step / 49) * (bottom - top)), x = Math.floor(left + (step / 49) * (right - left));
        let near = false;
        for (let v = Math.max(y - reach, 0); v <= Math.min(y + reach, part.rows - 1); v++)
          for (let u = Math.max(x - reach, 0); u <= Math.min(x + reach, part.columns - 1); u++)
            near = near || part.at[v * part.columns + u] > 0;
        hit += near;
      }
    });
    return hit / 200;
  }

  function inside(corners, shape, room) {
    const middle = [0, 1].map((axis) => corners.reduce((sum, corner) => sum + corner[axis], 0) / 4);
    const sides = corners.map(([top, left], k) => {
      const [bottom, right] = corners[(k + 1) % 4], length = Math.max(Math.hypot(bottom - top, right - left), 1e-9);
      const away = (y, x) => ((y - top) * (right - left) - (x - left) * (bottom - top)) / length, centre = away(...middle);
      return { away, sign: centre > 0 ? 1 : -1, least: room + (room > 0 ? ROOM * Math.abs(centre) : 0) };
    });
    return like(shape, (i) => {
      const y = Math.floor(i / shape.columns) + 0.5, x = (i % shape.columns) + 0.5;
      for (const { away, sign, least } of sides) if (sign * away(y, x) < least) return 0;
      return 1;
    });
  }

  // ---- numbers.py

  const overlap = (a, b, start, stop) => Math.min(a[stop], b[stop]) - Math.max(a[start], b[start]);

  function oneDigit(a, b, near) {
    const across = overlap(a, b, "left", "right"), down = overlap(a, b, "top", "bottom");
    const narrow = Math.min(a.right - a.left, b.right - b.left), tall = Math.max(a.bottom - a.top, b.bottom - b.top);
    return (across >= OVERLAP * narrow && -down <= STACKED * tall) || (-across <= near && -down <= near);
  }

  function oneLine(a, b) {
    const high = [a, b].map((box) => box.bottom - box.top);
    return overlap(a, b, "top", "bottom") >= LEVEL * Math.min(...high) && -overlap(a, b, "left", "right") <= AWAY * Math.max(...high);
  }

  function united(boxes, related) { // for each box the first that it is related to, directly or through others
    const group = boxes.map((_, k) => k);
    for (let changed = true; changed;) {
      changed = false;
      boxes.forEach((a, i) => boxes.forEach((b, j) => {
        if (group[j] < group[i] && related(a, b)) { group[i] = group[j]; changed = true; }
      }));
    }
    return group;
  }

  function pieces(ink) { // {ink, box, line}, in the order of reading; of too many parts only their boxes
    const mask = like(ink, (i) => (ink.at[i] > INKED ? 1 : 0)), { number, boxes: parts } = blots(mask);
    if (parts.length > MOST_PARTS) return parts;
    const near = GAP * strokeWidth(mask), owner = united(parts, (a, b) => oneDigit(a, b, near)), owners = [...new Set(owner)];
    const whose = number.map((k) => (k ? owners.indexOf(owner[k - 1]) + 1 : 0)), whole = boxes(whose, ink.columns, owners.length);
    const lines = united(whole, oneLine), top = (line) => Math.min(...whole.filter((_, k) => lines[k] === line).map((box) => box.top));
    const order = [...new Set(lines)].sort((a, b) => top(a) - top(b));
    return whole
      .map((box, k) => ({ box, line: order.indexOf(lines[k]), 
        ink: whole.length === 1 ? ink : like(ink, (i) => (!whose[i] || whose[i] === k + 1 ? ink.at[i] : 0)) }))
      .sort((a, b) => a.line - b.line || a.box.left + a.box.right - b.box.left - b.box.right);
  }

  // ---- picture.py: colours of pixels {width, height, data} as a browser has them, averaged down where there are many

  function colours({ width, height, data }) {
    const factor = Math.ceil(Math.max(width, height) / LONGEST_SIDE), rows = Math.ceil(height / factor), columns = Math.ceil(width / factor);
    const rgba = range(4).map((c) => like({ rows, columns }, (i) => {
      let sum = 0, count = 0;
      const y = Math.floor(i / columns) * factor, x = (i % columns) * factor;
      for (let v = y; v < Math.min(y + factor, height); v++)
        for (let u = x; u < Math.min(x + factor, width); u++) { sum += data[4 * (v * width + u) + c]; count += 1; }
      return Math.floor(sum / count + 0.5);
    }).at);
    let light = 0, opaque = 0, least = 255;
    rgba[3].forEach((alpha, i) => { light += ((rgba[0][i] + rgba[1][i] + rgba[2][i]) / 3) * alpha; opaque += alpha; least = Math.min(least, alpha); });
    const paper = least < 255 && light > 127.5 * opaque ? 0 : 255;
    return { rows, columns, at: rgba.slice(0, 3).map((channel) => channel.map((value, i) => value * (rgba[3][i] / 255) + paper * (1 - rgba[3][i] / 255))) };
  }

  return { picture, bounds, strokeWidth, resize, findInk, drawn, pieces, colours };
})();
