"use strict";
/* The pad: a drawing becomes an image, as pipeline/digit/picture.py makes one of a clean drawing. The net of pipeline/nn
   answers, with the weights in this page. tests/test_pad.py compares both with Python's results.
   A picture here is {rows, columns, at}, `at` its numbers row by row. */

(() => {
  const given = JSON.parse(document.getElementById("net").textContent);
  if (!given) return;
  const { data, net } = given;
  const HALF = 0.5 - 1e-6, CELLS = 8, THIN = 0.9, MOST_DIGITS = 100; // as in picture.py
  const PEN = 20; // pixels; the pad has 280
  const STEP = 10; // pixels that an arrow key moves the pen
  const PAST = 50; // strokes that can be undone

  // ---- from ink to the image that the data set would have: picture.py

  const { picture, bounds, strokeWidth, resize } = ink;

  const inked = (ink) => picture(ink.rows, ink.columns, ink.at.map((value) => (value > HALF ? 1 : 0)));

  function cutOut(ink) {
    const box = bounds(inked(ink)), step = box.side / (data.framing.side * CELLS), room = 3 * CELLS * step;
    return inked(resize(ink, [box.top - room, box.bottom + room], [box.left - room, box.right + room], step));
  }

  function slant(mask) {
    let n = 0, y = 0, x = 0, yy = 0, xy = 0;
    mask.at.forEach((inked, i) => {
      if (!inked) return;
      const row = Math.floor(i / mask.columns), column = i % mask.columns;
      n += 1; y += row; x += column; yy += row * row; xy += row * column;
    });
    const along = yy * n - y * y;
    return along ? -(xy * n - y * x) / along : 0;
  }

  function stoodUp(drawn) {
    const { least_slant, most_slant } = data.framing, found = slant(drawn), middle = drawn.rows / 2;
    const push = Math.min(Math.max(Math.min(Math.max(found, least_slant), most_slant) - found, -1), 1);
    const room = Math.ceil(Math.abs(push) * middle) + 1, result = picture(drawn.rows, drawn.columns + 2 * room);
    for (let y = 0; y < drawn.rows; y++) {
      const start = y * result.columns + room - Math.floor(push * (y - middle) + 0.5);
      result.at.set(drawn.at.subarray(y * drawn.columns, (y + 1) * drawn.columns), start);
    }
    return result;
  }

  function asDrawnWith(drawn) {
    const { side } = bounds(drawn), width = strokeWidth(drawn);
    const share = (THIN * data.framing.stroke) / data.framing.side;
    return width < share * side ? grown(drawn, (share * side - width) / (2 * (1 - share))) : drawn;
  }

  function grown(mask, radius) {
    const reach = Math.floor(radius), result = picture(mask.rows, mask.columns), disc = [];
    for (let dy = -reach; dy <= reach; dy++)
      for (let dx = -reach; dx <= reach; dx++) if (dy * dy + dx * dx <= radius * radius) disc.push([dy, dx]);
    for (let y = 0; y < mask.rows; y++)
      for (let x = 0; x < mask.columns; x++)
        if (mask.at[y * mask.columns + x])
          for (const [dy, dx] of disc) {
            const v = y + dy, u = x + dx;
            if (v >= 0 && u >= 0 && v < mask.rows && u < mask.columns) result.at[v * mask.columns + u] = 1;
          }
    return result;
  }

  function centreOfMass(ink) {
    let total = 0, row = 0, column = 0;
    for (let y = 0; y < ink.rows; y++)
      for (let x = 0; x < ink.columns; x++) {
        const value = ink.at[y * ink.columns + x];
        total += value; row += value * (y + 0.5); column += value * (x + 0.5);
      }
    return [row / total, column / total];
  }

  function frame(ink) {
    const like = data.framing, [rows, columns] = data.image_shape;
    const drawn = asDrawnWith(stoodUp(cutOut(ink))), { top, bottom, left, right } = bounds(drawn);
    const scale = Math.max((bottom - top) / Math.min(like.side, rows), (right - left) / Math.min(like.side, columns));
    const small = resize(drawn, [top, bottom], [left, right], scale), [y, x] = centreOfMass(small);
    const place = (wanted, found, length, size) =>
      Math.min(Math.max(Math.floor(wanted - found + 0.5), 0), length - size);
    const row = place(like.row, y, rows, small.rows), column = place(like.column, x, columns, small.columns);
    const image = picture(rows, columns);
    for (let v = 0; v < small.rows; v++)
      for (let u = 0; u < small.columns; u++)
        image.at[(row + v) * columns + column + u] = Math.floor(small.at[v * small.columns + u] * 255 + 0.5 + 1e-6);
    return image;
  }

  // ---- from the image to the input of the net: datasets/features.py

  const shown = {
    pixels: (image) => image.at.map((value) => (data.normalize ? value / 255 : value)),

    edges(image) {
      const { rows, columns } = image, result = new Float64Array(rows * columns);
      const at = (y, x) => (y < 0 || x < 0 || y >= rows || x >= columns ? 0 : image.at[y * columns + x] / 255);
      const slope = (f) => f(-1) + 2 * f(0) + f(1);
      for (let y = 0; y < rows; y++)
        for (let x = 0; x < columns; x++) {
          const dx = slope((i) => at(y + i, x + 1) - at(y + i, x - 1));
          const dy = slope((i) => at(y + 1, x + i) - at(y - 1, x + i));
          result[y * columns + x] = Math.sqrt(dx * dx + dy * dy) / 4.5;
        }
      return result;
    },

    fourier(image) {
      const { rows, columns } = image, high = Math.min(8, rows >> 1), wide = Math.min(8, columns >> 1), result = [];
      const table = (wave, length) =>
        Array.from({ length }, (_, i) => Math.round(wave((2 * Math.PI * i) / length) * 2 ** 14) / 2 ** 14);
      const [cosY, sinY, cosX, sinX] = [rows, columns].flatMap((n) => [table(Math.cos, n), table(Math.sin, n)]);
      const turn = (frequency, place, length) => (((frequency * place) % length) + length) % length;
      for (let f = 0; f < high; f++) {
        const real = new Float64Array(columns), imaginary = new Float64Array(columns);
        image.at.forEach((value, i) => {
          const at = turn(f, Math.floor(i / columns), rows);
          real[i % columns] += cosY[at] * value;
          imaginary[i % columns] += sinY[at] * value;
        });
        for (let g = 1 - wide; g < wide; g++) {
          let re = 0, im = 0;
          for (let x = 0; x < columns; x++) {
            const at = turn(g, x, columns);
            re += real[x] * cosX[at] - imaginary[x] * sinX[at];
            im += real[x] * sinX[at] + imaginary[x] * cosX[at];
          }
          result.push(Math.log1p(Math.hypot(re, im)) / Math.log1p(255 * rows * columns));
        }
      }
      return Float64Array.from(result);
    },
  };

  // ---- the net: nn/layers.py

  const arrays = (stored) => Object.fromEntries(Object.entries(stored).map(([name, { shape, step, numbers }]) => {
    const bytes = Uint8Array.from(atob(numbers), (letter) => letter.charCodeAt(0)), view = new DataView(bytes.buffer);
    const array = new Float64Array(bytes.length / 2).map((_, i) => view.getInt16(2 * i, true) * step);
    return [name, { shape, array }];
  }));
  const weights = arrays(given.weights), detector = given.detector && arrays(given.detector.weights);

  const tensor = (channels, rows, columns, at) => // the arrays between layers; a row of numbers is the channels of one pixel
    ({ channels, rows, columns, at: at || new Float64Array(channels * rows * columns) });

  const each = (x, f) => tensor(x.channels, x.rows, x.columns, x.at.map(f));

  function pooled(x, size, join) {
    const { channels, columns } = x, y = tensor(channels, Math.floor(x.rows / size), Math.floor(columns / size));
    for (let c = 0, to = 0; c < channels; c++)
      for (let v = 0; v < y.rows; v++)
        for (let u = 0; u < y.columns; u++, to++) {
          const from = (c * x.rows + v * size) * columns + u * size;
          let value = x.at[from];
          for (let i = 0; i < size; i++)
            for (let j = i ? 0 : 1; j < size; j++) value = join(value, x.at[from + i * columns + j]);
          y.at[to] = value;
        }
    return y;
  }

  // for each word, its layer: a function of x, of a function that takes the next weights, and of the word's numbers
  const layers = {
    affine(x, take) {
      const { W, b } = take(), y = b.array.slice(), outputs = y.length;
      for (let i = 0, at = 0; i < x.at.length; i++, at += outputs) {
        const value = x.at[i];
        if (value) for (let j = 0; j < outputs; j++) y[j] += value * W.array[at + j];
      }
      return tensor(outputs, 1, 1, y);
    },

    conv(x, take, filters, kernel, padding = 0, stride = 1) { // filters innermost: a pixel of 0 costs nothing
      const { W, b } = take(), { channels, rows, columns } = x, taps = channels * kernel * kernel;
      const [high, wide] = [rows, columns].map((side) => Math.floor((side + 2 * padding - kernel) / stride) + 1);
      const turned = new Float64Array(W.array.length), sums = new Float64Array(filters * high * wide);
      for (let f = 0; f < filters; f++) for (let t = 0; t < taps; t++) turned[t * filters + f] = W.array[f * taps + t];
      for (let c = 0, from = 0; c < channels; c++)
        for (let v = padding; v < rows + padding; v++)
          for (let u = padding; u < columns + padding; u++) {
            const value = x.at[from++];
            if (!value) continue;
            for (let i = v % stride; i < kernel && i <= v; i += stride) {
              const row = (v - i) / stride;
              if (row >= high) continue;
              for (let j = u % stride; j < kernel && j <= u; j += stride) {
                const column = (u - j) / stride;
                if (column >= wide) continue;
                const to = (row * wide + column) * filters, tap = ((c * kernel + i) * kernel + j) * filters;
                for (let f = 0; f < filters; f++) sums[to + f] += value * turned[tap + f];
              }
            }
          }
      return tensor(filters, high, wide, sums.map((_, i) => {
        const f = Math.floor(i / (high * wide));
        return b.array[f] + sums[(i % (high * wide)) * filters + f];
      }));
    },

    max_pool: (x, take, size) => pooled(x, size, Math.max),

    mean_pool: (x, take, size) => each(pooled(x, size, (a, b) => a + b), (sum) => sum / (size * size)),

    sigmoid: (x) => each(x, (a) => 1 / (1 + Math.exp(-a))),

    tanh: (x) => each(x, Math.tanh),

    relu: (x) => each(x, (a) => Math.max(a, 0)),

    dropout: (x) => x, // outside training
  };

  function logits(numbers, weights) {
    let taken = 0;
    const take = () => { taken += 1; return { W: weights[`W${taken}`], b: weights[`b${taken}`] }; };
    return net.layers.map((layer) => layer.split(" ")).reduce(
      (x, [word, ...rest]) => layers[word](x, take, ...rest.map(Number)), tensor(...net.input_shape, numbers)).at;
  }

  // ---- how an answer is judged: nn/calibration.py, nn/subspaces.py

  function softmax(logits, temperature) {
    const most = Math.max(...logits), y = logits.map((value) => Math.exp((value - most) / temperature));
    const total = y.reduce((sum, value) => sum + value);
    return y.map((value) => value / total);
  }

  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const flats = given.subspaces && {
    ...given.subspaces,
    means: bytesOf(given.subspaces.means),
    axes: new Int8Array(bytesOf(given.subspaces.axes).buffer),
  };

  function distance(numbers, k) { // from the input of the net to the subspace of class k; null where it is not known
    if (!flats) return null;
    const scale = data.features === "pixels" && !data.normalize ? 1 : 255, size = numbers.length;
    const beside = Float64Array.from(numbers, (value, i) =>
      Math.min(Math.max(Math.round(value * scale), 0), 255) - flats.means[k * size + i]);
    let squares = beside.reduce((sum, value) => sum + value * value, 0);
    for (let m = 0, at = k * flats.count * size; m < flats.count; m++, at += size) {
      const along = beside.reduce((sum, value, i) => sum + value * flats.axes[at + i], 0) / 2 ** flats.bits;
      squares -= along * along;
    }
    return squares;
  }

  function percent(share) { // base/text.py
    const text = (100 * share).toFixed(1);
    if (text === "100.0") return ">99.9%";
    return share > 0 && text === "0.0" ? "<0.1%" : `${text}%`;
  }

  // ---- the page

  const element = (id) => document.getElementById(id);
  const unknown = net.layers.map((layer) => layer.split(" ")[0]).find((word) => !Object.hasOwn(layers, word));
  if (unknown) {
    const said = document.createElement("p");
    said.textContent = `This page does not know the layer ${unknown}.`;
    element("pad").replaceChildren(element("pad-title"), said);
    return;
  }
  const canvas = element("canvas"), seen = element("seen"), pen = element("pen");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const rows = [...element("shares").querySelectorAll("tr")];
  const api = { // for page.js and tests
    probabilities: null, refused: null, image: null, digits: [], milliseconds: 0, answer: () => announce(), open, say, load,
  };
  window.pad = api;

  function onPad() {
    const found = context.getImageData(0, 0, canvas.width, canvas.height), levels = picture(found.height, found.width);
    for (let i = 0; i < levels.at.length; i++) levels.at[i] = found.data[4 * i + 3] / 255;
    return ink.drawn(levels, () => ink.colours(found));
  }

  function ask(image) {
    const numbers = shown[data.features](image), shares = softmax(logits(numbers, weights), given.temperature);
    const best = shares.indexOf(Math.max(...shares)), away = distance(numbers, best);
    const likely = detector ? softmax(logits(numbers, detector), 1)[best] : null; // of that class, to the detector
    const refused = flats ? away > flats.limit || (detector !== null && likely < given.detector.limit) : null;
    return { shares, distance: away, likely, refused };
  }

  const apart = data.class_names.every((name) => "0123456789".includes(name)); // parts of a shoe belong together

  let marks = 0; // that were found last
  function read(found) { // the digits of some ink: predict.py
    marks = 0;
    if (!found || !found.at.some((value) => value > HALF)) return [];
    const pieces = apart ? ink.pieces(found) : [{ ink: found, box: bounds(inked(found)), line: 0 }];
    marks = pieces.length;
    if (marks > MOST_DIGITS) return [];
    return pieces.map(({ ink: one, box, line }) => { const image = frame(one); return { image, box, line, ...ask(image) }; });
  }

  function answer() {
    const start = performance.now();
    show(read(onPad()));
    api.milliseconds = performance.now() - start;
  }

  function show(digits) {
    const best = ({ shares }) => shares.indexOf(Math.max(...shares)), name = (one) => data.class_names[best(one)];
    const alone = digits.length === 1 ? digits[0] : null, lines = [...new Set(digits.map(({ line }) => line))];
    const text = (line) => digits.filter((one) => one.line === line).map((one) => (one.refused ? "?" : name(one))).join("");
    const sure = (one) => percent(one.shares[best(one)]);
    const refused = flats && digits.length ? digits.some((one) => one.refused) : null;
    Object.assign(api, { digits, refused, distance: alone && alone.distance,
      image: alone && [...alone.image.at], probabilities: alone && [...alone.shares] });
    element("answer").textContent = lines.map(text).join(" ") || "?";
    element("answer").classList.toggle("word", element("answer").textContent.length > 2);
    element("sure").textContent = !alone ? digits.map((one) => `${one.refused ? "?" : name(one)} ${sure(one)}`).join(", ")
      : alone.refused ? `like no image that the net was trained on; nearest is ${name(alone)}` : `${sure(alone)} sure`;
    rows.forEach((row, k) => {
      row.querySelector(".bar div").style.width = alone ? `${100 * alone.shares[k]}%` : "0";
      row.querySelector(".share").textContent = alone ? percent(alone.shares[k]) : "";
    });
    const [high, wide] = data.image_shape;
    [seen.height, seen.width] = [high, wide * Math.max(digits.length, 1)];
    digits.forEach(({ image }, k) => {
      const grey = new ImageData(wide, high);
      image.at.forEach((value, i) => grey.data.set([0, 0, 0, value], 4 * i));
      seen.getContext("2d").putImageData(grey, k * wide, 0);
    });
  }

  function announce(digits) { // without digits: those on the pad
    if (digits) show(digits); else answer();
    element("said").textContent = api.digits.length
      ? `${element("answer").textContent}, ${element("sure").textContent}` : "The pad is empty.";
  }

  function say(text) { element("said").textContent = element("sure").textContent = text; }

  // what was on the pad before each change
  const past = [];
  function remember() {
    past.push(context.getImageData(0, 0, canvas.width, canvas.height));
    if (past.length > PAST) past.shift();
  }
  function undo() {
    if (past.length) context.putImageData(past.pop(), 0, 0);
    announce();
  }

  let waiting = false;
  function soon() { // at most once a frame while drawing
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; answer(); });
  }

  function stroke(from, to) {
    Object.assign(context, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }

  function clear() {
    remember();
    context.clearRect(0, 0, canvas.width, canvas.height);
    announce();
  }

  // mouse, finger, pen
  let last = null, finger = null; // the one that draws: a palm or a second finger does not
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * canvas.width,
      y: ((event.clientY - box.top) / box.height) * canvas.height,
    };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || last) return;
    finger = event.pointerId;
    canvas.setPointerCapture(finger);
    last = place(event);
    remember();
    stroke(last, last);
    soon();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last || event.pointerId !== finger) return;
    for (const one of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) {
      const here = place(one);
      stroke(last, here);
      last = here;
    }
    soon();
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => { if (last && event.pointerId === finger) { last = null; announce(); } });

  // keys
  const tip = { x: canvas.width / 2, y: canvas.height / 4, down: false };
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  function showTip() {
    pen.style.left = `${(100 * tip.x) / canvas.width}%`;
    pen.style.top = `${(100 * tip.y) / canvas.height}%`;
    pen.classList.toggle("down", tip.down);
  }
  canvas.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (move) {
      const from = { ...tip };
      tip.x = Math.min(Math.max(tip.x + STEP * move[0], 0), canvas.width);
      tip.y = Math.min(Math.max(tip.y + STEP * move[1], 0), canvas.height);
      if (tip.down) { stroke(from, tip); soon(); }
    } else if (event.key === " ") {
      tip.down = !tip.down;
      if (tip.down) { remember(); stroke(tip, tip); }
      announce();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
    } else return;
    event.preventDefault();
    pen.hidden = false;
    showTip();
  });
  canvas.addEventListener("blur", () => { pen.hidden = true; tip.down = false; });
  element("clear").addEventListener("click", clear);
  element("undo").addEventListener("click", undo);
  addEventListener("keydown", (event) => {
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    undo();
  });

  // a file
  async function open(file) {
    const bitmap = await createImageBitmap(file).catch(() => null);
    clear();
    if (bitmap) load(bitmap);
    else say(`${file.name} is no picture that this browser can read; save it as PNG or JPEG.`);
  }
  function load(bitmap) { // read the ink of the picture, and show it on the pad, where it can be changed
    const scratch = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    scratch.drawImage(bitmap, 0, 0);
    const found = ink.findInk(ink.colours(scratch.getImageData(0, 0, bitmap.width, bitmap.height)));
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (found) put(found);
    const digits = read(found);
    announce(digits);
    if (marks > MOST_DIGITS) say(`That picture holds ${marks} marks, more than ${MOST_DIGITS}; cut out one number.`);
    else if (!digits.length) say("No digit was found in that picture.");
  }

  function put(found) {
    const { top, bottom, left, right, side } = bounds(found), room = 0.1 * side, step = (1.2 * side) / canvas.width;
    const small = resize(found, [top - room, bottom + room], [left - room, right + room], step);
    const drawn = new ImageData(small.columns, small.rows);
    small.at.forEach((value, i) => { drawn.data[4 * i + 3] = 255 * value; });
    context.putImageData(drawn, (canvas.width - small.columns) >> 1, (canvas.height - small.rows) >> 1);
  }

  show([]);
  const blot = picture(canvas.height, canvas.width); // a first answer to a dot, so that all code is compiled
  blot.at.fill(1, 140 * 280 + 70, 180 * 280);
  read(blot);
})();
