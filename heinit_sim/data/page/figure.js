// The figure around this script: sliders, both panels, the verdict in words. No name is global.
(() => {
"use strict";
const root = document.currentScript.closest("figure");
const data = JSON.parse(root.querySelector("script[type]").textContent);
const PASSES = ["forward", "backward"];
const COLOURS = {
  light: ["#41049d", "#6a00a8", "#8f0da4", "#b12a90", "#cc4778", "#e16462"],
  dark: ["#b12a90", "#cc4778", "#e16462", "#f2844b", "#fca636", "#fcce25"],
};
const STEP = 0.02; // decades from one stop of the σ² slider to the next
const HALF = data.quantity === "std" ? 0.5 : 1; // a standard deviation has half the decades
const log10 = Math.log10, LN10 = Math.LN10;

// ---- numbers: null is not known, "-Infinity" is log10 of an exact 0

const read = (values) => values.map((v) => (v === null ? NaN : Number(v)));
const finite = (values) => values.filter(Number.isFinite);
for (const network of data.networks) {
  for (const sample of network.samples) {
    for (const pass of PASSES) {
      const seen = sample[pass];
      for (const name of ["low", "median", "high", "theory"]) seen[name] = read(seen[name]);
      for (const name of ["slope", "error", "theory_slope"]) seen[name] = read([seen[name]])[0];
    }
  }
}

// ---- the scale law: σ² times r multiplies Var h_k by r^k and Var ∂ℓ/∂h_k by r^(2K+2−k)

const power = (pass, { depth, probe }, k) => (pass === "forward" ? k : (probe ? 1 : 2) * (depth + 1) - k);

function scaled(network, sample, x) {
  const shift = network.law ? x - sample.at : 0;
  const curves = { layers: network.layers, depth: network.depth };
  for (const pass of PASSES) {
    const found = sample[pass], moved = (name) => found[name].map(
      (v, i) => v + HALF * shift * power(pass, network, network.layers[i]));
    const stretch = found.words.find(([upper]) => upper === null || shift <= upper);
    curves[pass] = {
      low: moved("low"), median: moved("median"), high: moved("high"), theory: moved("theory"),
      slope: found.slope + shift, error: found.error, theory_slope: found.theory_slope + shift,
      stable: found.stable, word: stretch[1], doubt: stretch[2], fate: found.fate, exact: found.exact,
    };
  }
  return curves;
}

// ---- theory of networks that were not simulated: exact where it can be, else infinite width

function predicted(free, width, depth, x) {
  const { mean, p2, p4 } = free, N = free.n_inputs, units = (k) => (k === 0 ? free.input_dim : width);
  const ln_v = (k) => LN10 * x - (data.scale === "fan_in" ? Math.log(units(k)) : 0);
  const add = (a, b) => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
  const spread = data.quantity === "second_moment" ? 0 : 1;
  const norm = [LN10 * free.input_second + Math.log(free.input_dim)]; // ln E‖h_k‖²
  for (let k = 0; k < depth; k++) norm.push(norm[k] + ln_v(k) + Math.log(width * p2));
  const forward = norm.map((ln, k) => {
    if (!spread) return ln - Math.log(units(k));
    const few = free.exact.forward ? Math.log1p(-1 / (units(k) * N)) : 0;
    if (k === 0) return LN10 * free.input_variance + few;
    return ln_v(k - 1) + norm[k - 1] + Math.log(p2 - mean * mean) + few;
  });
  const outputs = free.output_dim, backward = [];
  if (free.exact.backward && !free.probe) { // E[g gᵀ] = a ‖h‖² I + b h hᵀ, see theory/finite_width/moments.py
    let a = Math.log(outputs) + 2 * ln_v(depth), b = a + Math.log(outputs + 1);
    for (let k = depth; k >= 0; k--) {
      if (k < depth) {
        const n = width, alike = Math.log(n * p4), different = n * (n - 1) * p2 * p2;
        const across = add(Math.log(n * p4 + different) + a, alike + b);
        const along = add(Math.LN2 + alike + a, Math.log(2 * n * p4 + different) + b);
        [a, b] = [across + 2 * ln_v(k), along + 2 * ln_v(k)];
      }
      const isotropic = a + norm[k] + (spread ? Math.log1p(-1 / units(k)) : 0);
      backward[k] = Math.log(4) + add(isotropic, b + (spread ? forward[k] : norm[k] - Math.log(units(k))));
    }
  } else { // the textbook's: gradients know nothing of the activations
    const few = (k) => (free.probe && free.exact.backward && spread ? Math.log1p(-1 / units(k)) : 0);
    let ln = Math.log(outputs) + ln_v(depth);
    if (!free.probe) ln += Math.log(4) + ln_v(depth) + norm[depth];
    for (let k = depth; k >= 0; k--) {
      if (k < depth) ln += ln_v(k) + Math.log(width * p2);
      backward[k] = ln + few(k);
    }
  }
  const last = depth < 250 ? depth : 250, curves = { depth, layers: [], theory_only: true };
  for (let i = 0; i <= last; i++) curves.layers.push(Math.round((i * depth) / last));
  const slope = (data.scale === "fan_in" ? x : x + log10(width)) + log10(p2);
  const drift = -((3 * p4) / (p2 * p2) - 1) / width / 2 / LN10;
  for (const [pass, ln] of [["forward", forward], ["backward", backward]]) {
    const theory = curves.layers.map((k) => (HALF * ln[k]) / LN10), unknown = theory.map(() => NaN);
    curves[pass] = {
      low: unknown, median: unknown, high: unknown, theory, exact: free.exact[pass],
      theory_slope: slope, word: wordOfTheory(slope, drift, depth), doubt: "",
    };
  }
  return curves;
}

function wordOfTheory(slope, drift, depth) {
  const allowed = data.allowed_decades / depth;
  if (Math.abs(slope) > allowed) return slope > 0 ? "exploding" : "vanishing";
  return -drift > allowed ? "undecided" : "stable";
}

// ---- state: where the controls stand

const same = (a, b) => a.every((v, i) => v === b[i]);
const start = data.networks[data.start[0]];
const state = {
  choices: start.choices.slice(), width: start.width, depth: start.depth,
  x: start.swept[data.start[1]].at, zoom: data.zoom,
};
const alike = () => data.networks.filter((n) => same(n.choices, state.choices));
const simulated = () => alike().find((n) => n.width === state.width && n.depth === state.depth);
const base = () => simulated() || alike().find((n) => n.free);
const nearest = (list, x) => list.reduce((a, b) => (Math.abs(b.at - x) < Math.abs(a.at - x) ? b : a));

function show(network, x) {
  return scaled(network, nearest(network.samples, x), x);
}
function current() {
  const network = simulated();
  return network ? show(network, state.x) : predicted(base().free, state.width, state.depth, state.x);
}

// ---- words for numbers

const local = (text) => text.replaceAll(".", data.decimal);
const plain = (v) => local(String(Number(v.toPrecision(3))));
function parts(log) { // mantissa and exponent, or a number that reads well as it is
  if (!Number.isFinite(log)) return [log < 0 ? "0" : "not known", null];
  if (log >= -2 && log < 3) return [local(String(Number((10 ** log).toPrecision(2)))), null];
  let e = Math.floor(log), m = (10 ** (log - e)).toFixed(1);
  if (m === "10.0") [m, e] = ["1.0", e + 1];
  return [local(m), e];
}
const minus = (text) => String(text).replace("-", "−");
const spelt = (log) => { const [m, e] = parts(log); return e === null ? m : `${m}e${e}`; };
function inHtml(log) {
  const [m, e] = parts(log);
  if (e === null) return [m];
  return [`${m}\u00a0×\u00a010`, make("sup", {}, minus(e))];
}
const signed = (v) => (Number.isFinite(v) ? (v < 0 ? "−" : "+") + local(Math.abs(v).toFixed(3)) : "—");
const factor = (slope) => "×\u202f" + (slope === -Infinity ? "0" : plain(10 ** slope));
function strength(x) { // what the σ² slider stands at
  const value = Math.abs(x) < 5 ? plain(10 ** x) : spelt(x);
  if (data.scale === "variance") return value;
  return data.scale === "fan_in" ? `${value}/${data.unit}` : `× ${value}`;
}

// ---- elements

function make(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}
function svg(name, attributes = {}, ...content) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}
const within = (name) => root.querySelector(".heinit-" + name);
const pen = document.createElement("canvas").getContext("2d");
const { fontFamily } = getComputedStyle(root);
const widths = new Map();
function measure(text, size, weight = 400) {
  const font = `${weight} ${size}px ${fontFamily}`, known = font + text;
  if (!widths.has(known)) {
    pen.font = font;
    widths.set(known, pen.measureText(text).width);
  }
  return widths.get(known);
}

// ---- controls: each tells its stops, and which of them it stands at

function sigmaStops() {
  const network = base(), stops = [];
  for (const n of alike().filter((n) => n === network)) {
    for (const at of n.swept) stops.push({ x: at.at, text: at.text, known: true });
  }
  if (network.law) {
    const fan = data.scale === "variance" ? (data.unit === "D" ? state.width : network.fan_in) : 1;
    if (fan && data.scale !== "factor") {
      for (const n of [1, 2]) {
        const x = log10(n / fan), there = stops.find((s) => Math.abs(s.x - x) < 1e-9);
        if (there) there.mark = `${n}/${data.unit}`;
        else if (x > data.range[0] && x < data.range[1]) stops.push({ x, mark: `${n}/${data.unit}` });
      }
    }
    const marks = stops.slice(), count = Math.round((data.range[1] - data.range[0]) / STEP);
    for (let i = 0; i <= count; i++) {
      const x = data.range[0] + i * STEP;
      if (marks.every((m) => Math.abs(m.x - x) > STEP / 2)) stops.push({ x });
    }
  }
  return stops.sort((a, b) => a.x - b.x);
}

function sizeStops(name) { // widths or depths: those simulated, and others where theory is known
  const known = new Set(alike().map((n) => n[name])), values = new Set(known);
  if (alike().some((n) => n.free)) {
    const most = name === "width" ? 1000 : 200;
    for (let p = 1; p <= 1000; p *= 10) {
      for (const m of [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]) {
        if ((m * p) % 1 === 0 && m * p > 1 && m * p <= most) values.add(m * p);
      }
    }
  }
  return [...values].sort((a, b) => a - b).map((x) => ({ x, text: String(x), known: known.has(x) }));
}

const controls = [];

function slider({ label, wide, stops, get, set, text, spoken }) {
  const output = make("span", { class: "heinit-value" });
  const input = make("input", { type: "range", min: 0, step: 1, "aria-label": label.spoken });
  const marks = make("div", { class: "heinit-marks", "aria-hidden": "true" });
  const box = make("div", { class: "heinit-control" + (wide ? " heinit-wide" : "") },
    make("label", {}, make("span", {}, label.shown), output, input), marks);
  let now = [];
  input.addEventListener("input", () => { set(now[input.value].x); update(); });
  const control = {
    box,
    refresh() {
      now = stops();
      const at = now.indexOf(now.reduce((a, b) => (Math.abs(b.x - get()) < Math.abs(a.x - get()) ? b : a)));
      set(now[at].x);
      input.max = now.length - 1;
      input.value = at;
      input.dataset.at = now[at].x;
      box.hidden = now.length < 2;
      output.textContent = text(now[at]);
      marks.replaceChildren();
      const rows = [now.some((s) => s.text), now.some((s) => s.mark)].filter(Boolean).length;
      marks.style.height = `${8 + 18 * rows}px`;
      const placed = [], room = input.clientWidth - 24; // px between the first stop and the last
      const order = now.map((stop, i) => [stop, i]).filter(([stop]) => stop.known || stop.mark);
      const ends = ([stop, i]) => (i === at ? 0 : stop.mark?.startsWith("2/") ? 1 : i === 0 || i === now.length - 1 ? 2 : 3);
      for (const [stop, i] of order.sort((a, b) => ends(a) - ends(b) || a[1] - b[1])) {
        const part = i / Math.max(now.length - 1, 1), tick = make("i");
        tick.style.left = `${100 * part}%`;
        marks.append(tick);
        for (const [name, written] of [["", stop.known && stop.text], [rows === 2 && "heinit-below", stop.mark]]) {
          if (!written) continue;
          const bold = stop.mark === written, half = measure(written, 14, bold ? 700 : 400) / 2 + 2;
          if (placed.some((a) => a.name === name && Math.abs(a.middle - part * room) < a.half + half)) continue;
          placed.push({ name, half, middle: part * room });
          const mark = make("span", name ? { class: name } : {}, bold ? make("b", {}, written) : written);
          mark.style.left = tick.style.left;
          mark.addEventListener("click", () => { set(stop.x); update(); });
          marks.append(mark);
        }
      }
      return control;
    },
    speak(verdict) { input.setAttribute("aria-valuetext", `${spoken(now[input.value])}; ${verdict}`); },
  };
  controls.push(control);
}

function choice(i) {
  const { name, texts } = data.controls[i];
  const select = make("select");
  texts.forEach((text, n) => select.append(make("option", { value: n }, text)));
  select.addEventListener("change", () => { choose(i, Number(select.value)); update(); });
  const box = make("div", { class: "heinit-control" }, make("label", {}, make("span", {}, name), select));
  controls.push({ box, refresh() { select.value = state.choices[i]; }, speak() {} });
}

function choose(i, n) {
  const others = data.networks.filter((a) => a.choices[i] === n);
  const alikeMost = others.filter((a) => a.choices.every((c, j) => j === i || c === state.choices[j]));
  const to = alikeMost.find((a) => a.width === state.width && a.depth === state.depth) || alikeMost[0] || others[0];
  state.choices = to.choices.slice();
  if (!(to.free && base().free)) [state.width, state.depth] = [to.width, to.depth];
  if (!to.swept.some((s) => Math.abs(s.at - state.x) < 1e-9) && to.swept.length < 2) state.x = to.samples[0].at;
}

function build() {
  if (data.networks.some((n) => n.law || n.samples.length > 1)) {
    const shown = { variance: "Variance of the weights, σ²", fan_in: `Variance of the weights, σ²`, factor: "Every σ² of the run" };
    slider({
      label: { shown: shown[data.scale], spoken: data.scale === "factor" ? "factor of every variance of the weights" : "variance of the weights, sigma squared" },
      wide: true, stops: sigmaStops, get: () => state.x, set: (x) => { state.x = x; },
      text: (stop) => strength(stop.x) + (stop.mark && data.scale === "variance" ? ` = ${stop.mark}` : ""),
      spoken: (stop) => strength(stop.x) + (stop.mark ? `, ${stop.mark.replace("/", " over ")}` : "") + (stop.known ? ", as simulated" : ""),
    });
  }
  data.controls.forEach((control, i) => {
    if (!control.numeric) return choice(i);
    slider({
      label: { shown: control.name, spoken: control.name },
      stops: () => control.texts.map((text, x) => ({ x, text, known: true })),
      get: () => state.choices[i], set: (n) => { if (n !== state.choices[i]) choose(i, n); },
      text: (stop) => stop.text, spoken: (stop) => stop.text,
    });
  });
  for (const [name, shown, unit] of [["width", "Width of the hidden layers, D", "units"], ["depth", "Hidden layers, K", "layers"]]) {
    const many = new Set(data.networks.map((n) => n[name])).size > 1;
    if (!many && !data.networks.some((n) => n.free)) continue;
    slider({
      label: { shown, spoken: name === "width" ? "width of the hidden layers" : "number of hidden layers" },
      stops: () => sizeStops(name), get: () => state[name], set: (v) => { state[name] = v; },
      text: (stop) => stop.text,
      spoken: (stop) => `${stop.text} ${unit}` + (simulated() ? "" : ", not simulated, theory alone"),
    });
  }
  const zoom = make("input", { type: "checkbox" });
  zoom.checked = state.zoom;
  zoom.addEventListener("change", () => { state.zoom = zoom.checked; update(); });
  within("controls").append(...controls.map((c) => c.box));
  within("top").append(make("label", { class: "heinit-zoom" }, zoom, "Zoom in on the curve"));
}

const panels = {};
for (const [pass, title] of [["forward", "a) Forward pass"], ["backward", "b) Backward pass"]]) {
  const word = make("span", { class: "heinit-word" }), facts = make("p", { class: "heinit-facts" });
  const drawing = svg("svg", { role: "img" });
  const box = make("div", { class: "heinit-panel" },
    make("p", { class: "heinit-head" }, make("span", {}, title), word), drawing, facts);
  panels[pass] = { word, facts, drawing };
  within("panels").append(box);
}

// ---- drawing

const inPrint = matchMedia("print"), inDark = matchMedia("(prefers-color-scheme: dark)");
function colour(t) {
  const list = COLOURS[inDark.matches && !inPrint.matches ? "dark" : "light"];
  const at = Math.min(Math.max(t, 0), 1) * (list.length - 1), i = Math.min(Math.floor(at), list.length - 2);
  const mix = (n) => {
    const [a, b] = [list[i], list[i + 1]].map((c) => parseInt(c.slice(n, n + 2), 16));
    return Math.round(a + (b - a) * (at - i));
  };
  return `rgb(${mix(1)}, ${mix(3)}, ${mix(5)})`;
}

// The conditions of the run that are drawn faintly: along σ², or along the first other key.
function others() {
  const network = simulated();
  if (!network) return [];
  if (network.swept.length > 1) {
    return network.swept.map((s, i) => ({
      text: s.text, t: i / (network.swept.length - 1), x: s.at, curves: show(network, s.at),
    }));
  }
  const keys = [...state.choices.keys(), "width", "depth"];
  const value = (n, key) => (typeof key === "number" ? n.choices[key] : n[key]);
  const along = keys.find((key) => new Set(data.networks.map((n) => value(n, key))).size > 1);
  if (along === undefined) return [];
  const rest = (n) => keys.every((key) => key === along || value(n, key) === value(network, key));
  const list = data.networks.filter(rest);
  return list.map((n, i) => ({
    text: typeof along === "number" ? data.controls[along].texts[n.choices[along]] : String(n[along]),
    t: list.length > 1 ? i / (list.length - 1) : 0, here: n === network,
    own: n === network && Math.abs(state.x - n.samples[0].at) < 1e-9, curves: show(n, n.samples[0].at),
  }));
}

function shade(list) { // where the current curve is among the others' colours
  const here = list.find((o) => o.here);
  if (here) return here.t;
  const x = state.x, after = list.findIndex((o) => o.x >= x);
  if (list.length < 2) return 0.35;
  if (after <= 0) return after < 0 ? 1 : 0;
  const [a, b] = [list[after - 1], list[after]];
  return a.t + ((b.t - a.t) * (x - a.x)) / (b.x - a.x);
}

const drawn = (curves) => PASSES.flatMap((p) => ["low", "median", "high", "theory"].flatMap((n) => finite(curves[p][n])));
function limits(now, list) {
  if (data.decades && !state.zoom && !now.theory_only) return data.decades;
  const shown = state.zoom ? [now] : [now, ...list.map((o) => o.curves)], values = shown.flatMap(drawn);
  if (!values.length) return [-2, 2];
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  const margin = Math.max(0.04 * (high - low), (3 - (high - low)) / 2);
  return [low - margin, high + margin];
}

function stepOf(range, most) { // a round step, at least 1, so that there are at most so many
  for (let p = 1; ; p *= 10) for (const m of [1, 2, 5]) if (range / (m * p) <= most) return m * p;
}

// A panel is drawn in pixels of its own width; its frame says where everything goes.
function frameOf(pass, now, list, [low, high]) {
  const { drawing } = panels[pass], forward = pass === "forward";
  const width = Math.max(drawing.clientWidth || 480, 260), size = width > 620 ? 17 : 13;
  const height = Math.round(Math.min(Math.max(width * 0.56, 230), 400));
  const depth = Math.max(now.depth, ...list.map((o) => o.curves.depth));
  const step = stepOf(high - low, height / (size * 2.6)), ticks = [];
  for (let e = Math.ceil(low / step) * step; e <= high; e += step) ticks.push(e);
  const outer = 14 + Math.max(...ticks.map((e) => measure("10", size) + measure(minus(e), size * 0.72)));
  const tip = now.theory_only ? "theory" : list.find((o) => o.own)?.text || strength(state.x);
  const bold = [tip, strength(-3.33)].map((name) => measure(name, size, 700)); // or as long, elsewhere
  const names = list.filter((o) => !o.own).map((o) => measure(o.text, size));
  const inner = Math.min(24 + Math.max(...bold, ...names), width * 0.38);
  const left = forward ? outer : inner, right = width - (forward ? inner : outer);
  const top = size * 2.6, bottom = height - size * 3;
  const text = (x, y, anchor, name, ...content) => {
    const made = svg("text", { x, y, "text-anchor": anchor, ...(name && { class: name }) }, ...content);
    drawing.append(made);
    return made;
  };
  return {
    pass, forward, drawing, width, height, size, depth, low, high, ticks, tip, inner, left, right, top, bottom, text,
    x: (k) => left + ((right - left) * k) / depth,
    y: (v) => top + ((bottom - top) * (high - v)) / (high - low),
  };
}

function drawAxes({ forward, drawing, width, height, size, depth, ticks, left, right, top, bottom, x, y, text }) {
  const line = (x1, y1, x2, y2, stroke) => drawing.append(svg("line", { x1, y1, x2, y2, stroke }));
  const outside = forward ? "end" : "start", small = { "font-size": size * 0.72 };
  for (const e of ticks) {
    line(left, y(e), right, y(e), "var(--rule)");
    if (y(e) > bottom - size * 0.6) continue; // the layers are named there
    const exponent = svg("tspan", { ...small, dy: -size * 0.35 }, minus(e));
    text(forward ? left - 8 : right + 8, y(e) + size * 0.35, outside, "heinit-faint", "10", exponent);
  }
  const side = forward ? left : right;
  line(side, top, side, bottom, "var(--rail)");
  line(left, bottom, right, bottom, "var(--rail)");
  const every = stepOf(depth, (right - left) / (size * 3.5)), layers = [depth];
  for (let k = 0; k <= depth - 0.6 * every; k += every) layers.push(k);
  for (const k of layers) {
    line(x(k), bottom, x(k), bottom + 5, "var(--rail)");
    text(x(k), bottom + size * 1.4, "middle", "heinit-faint", String(k));
  }
  text((left + right) / 2, height - 3, "middle", "heinit-faint", "layer k");
  const index = svg("tspan", { ...small, dy: size * 0.25 }, "k"), inside = forward ? "start" : "end";
  text(forward ? 2 : width - 2, size * 1.1, inside, "", `${data.word} of ${forward ? "" : "∂ℓ/∂"}h`, index);
}

function drawCurves({ pass, forward, drawing, low, left, right, top, bottom, x, y }, now, list, main) {
  const c = now[pass], size = { width: right - left, height: bottom - top };
  const box = svg("svg", { x: left, y: top, ...size, overflow: "hidden" }); // which cuts what leaves it
  drawing.append(box);
  const at = (curves, i, v) => `${(x(curves.layers[i]) - left).toFixed(1)} ${(y(v) - top).toFixed(1)}`;
  const path = (values, curves, attributes) => {
    let d = "", move = "M";
    values.forEach((v, i) => {
      const known = Number.isFinite(v);
      if (known) d += move + at(curves, i, v);
      move = known ? "L" : "M";
    });
    if (d) box.append(svg("path", { d, fill: "none", "stroke-linejoin": "round", ...attributes }));
  };
  let band = "", run = [];
  const close = () => {
    if (run.length > 1) {
      const upper = run.map((i) => at(now, i, c.high[i]));
      const lower = run.reverse().map((i) => at(now, i, c.low[i] === -Infinity ? low - 1 : c.low[i]));
      band += `M${[...upper, ...lower].join("L")}Z`;
    }
    run = [];
  };
  c.high.forEach((v, i) => { if (Number.isFinite(v) && !Number.isNaN(c.low[i])) run.push(i); else close(); });
  close();
  if (band) box.append(svg("path", { d: band, fill: main, opacity: 0.25 }));
  for (const o of list) {
    if (!o.own) path(o.curves[pass].median, o.curves, { stroke: colour(o.t), "stroke-width": 1.4 });
  }
  if (!forward) path(now.forward.median, now, { stroke: main, "stroke-width": 1.4, "stroke-dasharray": "5 4" });
  path(c.median, now, { stroke: main, "stroke-width": 5.5 });
  const ink = "var(--ink)";
  if (now.theory_only) return path(c.theory, now, { stroke: ink, "stroke-width": 2.5, "stroke-dasharray": "9 5" });
  path(c.theory, now, { stroke: "var(--ground)", "stroke-width": 2.6 });
  path(c.theory, now, { stroke: ink, "stroke-width": 1.2 });
}

function endOf({ forward, low, high, x, y }, curves, values) { // where a pass is last seen, and its direction
  const order = [...values.keys()];
  if (!forward) order.reverse();
  const seen = order.filter((i) => values[i] >= low && values[i] <= high);
  if (!seen.length) return null;
  const last = seen[seen.length - 1], next = order[order.indexOf(last) + 1];
  const from = seen[Math.max(seen.length - 1 - Math.ceil(seen.length / 20), 0)]; // long enough to be steady
  const end = { x: x(curves.layers[last]), y: y(values[last]) };
  if (next !== undefined && Number.isFinite(values[next])) { // it leaves the panel on the way to the next
    const edge = values[next] > high ? high : low, part = (edge - values[last]) / (values[next] - values[last]);
    end.x += part * (x(curves.layers[next]) - end.x);
    end.y = y(edge);
  }
  const along = end.x - x(curves.layers[from]) || (forward ? 1 : -1);
  return { ...end, degrees: (180 / Math.PI) * Math.atan2(end.y - y(values[from]), along) };
}

function drawNames(frame, now, list, main) { // an arrow head, and names that keep clear of each other
  const { pass, forward, drawing, size, tip, inner, top, bottom, x, text } = frame, taken = [];
  const name = (end, whole, weight, faint) => {
    let shown = whole;
    while (shown.length > 2 && measure(shown, size, weight) > inner - 22) shown = `${shown.slice(0, -2)}…`;
    const middle = Math.min(Math.max(end.y, top - size * 0.2), bottom);
    if (taken.some((other) => Math.abs(other - middle) < size * 1.25)) return;
    taken.push(middle);
    const made = text(end.x + (forward ? 20 : -20), middle + size * 0.35, forward ? "start" : "end", faint, shown);
    made.setAttribute("font-weight", weight);
  };
  const head = endOf(frame, now, now.theory_only ? now[pass].theory : now[pass].median);
  if (head) {
    const place = `translate(${head.x.toFixed(1)} ${head.y.toFixed(1)}) rotate(${head.degrees.toFixed(1)})`;
    const fill = now.theory_only ? "var(--ink)" : main;
    drawing.append(svg("path", { d: "M14 0L-6 7L-2 0L-6 -7Z", fill, transform: place }));
    name(head, tip, 700, "");
  }
  for (const o of list) {
    const end = o.own ? null : endOf(frame, o.curves, o.curves[pass].median);
    if (end && Math.abs(end.x - x(forward ? o.curves.depth : 0)) < 1) name(end, o.text, 400, "heinit-faint");
  }
}

function draw(pass, now, list, range) {
  const frame = frameOf(pass, now, list, range), title = frame.forward ? "Forward pass" : "Backward pass";
  frame.drawing.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  frame.drawing.setAttribute("font-size", frame.size);
  frame.drawing.replaceChildren(svg("title", {}, `${title}: ${now[pass].word}`), svg("desc", {}, said(pass, now)));
  const main = colour(shade(list));
  drawAxes(frame);
  drawCurves(frame, now, list, main);
  drawNames(frame, now, list, main);
}

// ---- what the curves say

function lastOf(pass, curves) { // the end of the pass, and what it is called
  const i = pass === "forward" ? curves.layers.length - 1 : 0;
  return [i, (pass === "forward" ? "h" : "∂ℓ/∂h"), curves.layers[i]];
}
function said(pass, now) {
  const c = now[pass], [i, letter, k] = lastOf(pass, now), what = `${letter}_${k}`;
  if (now.theory_only) return `Theory alone: ${data.word.toLowerCase()} of ${what} is ${spelt(c.theory[i])}.`;
  return `Median network: ${data.word.toLowerCase()} of ${what} is ${spelt(c.median[i])}; ${signed(c.slope)} decades of variance per layer.`;
}
function facts(pass, now) {
  const c = now[pass], [i, letter, k] = lastOf(pass, now), lines = [];
  const kind = Number.isFinite(c.theory[i]) ? (c.exact ? "exact mean" : "infinite width") : "";
  const head = [make("b", {}, `${data.word} of ${letter}`, make("sub", {}, String(k)), ": ")];
  const each = "In each layer the variance goes ";
  if (now.theory_only) return [[...head, ...inHtml(c.theory[i]), ` by theory (${kind})`], [each + factor(c.theory_slope)]];
  const range = data.trials > 1 && !Number.isNaN(c.median[i]) ? ["; 5–95 %: ", ...inHtml(c.low[i]), " to ", ...inHtml(c.high[i])] : [];
  lines.push([...head, ...inHtml(c.median[i]), ...range]);
  if (Number.isNaN(c.slope)) lines.push(["No slope: fewer than two layers have a variance that is known"]);
  else if (c.slope === -Infinity) lines.push(["The median network is dead"]);
  else {
    const theory = Number.isFinite(c.theory_slope) ? `; by theory ${factor(c.theory_slope)}` : "";
    const error = Number.isNaN(c.error) ? "" : ` ± ${local(c.error.toFixed(3))}`;
    lines.push([each + factor(c.slope) + theory]);
    lines.push([`${signed(c.slope)}${error} decades; stable is ${local(minus(c.stable))}`]);
  }
  if (!kind) lines.push(["No theory is known here"]);
  if (c.fate) lines.push([c.fate]);
  if (c.doubt) lines.push([local(c.word === "undecided" ? `Undecided: ${c.doubt}` : c.doubt)]);
  return lines;
}

function fillTable(now) {
  const within = root.querySelector(".heinit-twin");
  if (!within.open) return;
  const names = now.theory_only ? { theory: "theory" } : { low: "5 %", median: "median", high: "95 %", theory: "theory" };
  const keys = Object.keys(names), table = make("table");
  table.append(make("caption", {}, `${data.word} over networks: of h_k (forward) and of ∂ℓ/∂h_k (backward)`));
  const head = make("tr", {}, make("th", { scope: "col" }, "layer k"));
  for (const pass of PASSES) for (const key of keys) head.append(make("th", { scope: "col" }, `${pass}, ${names[key]}`));
  table.append(make("thead", {}, head));
  const body = make("tbody"), every = Math.ceil(now.layers.length / 101);
  now.layers.forEach((k, i) => {
    if (i % every && i !== now.layers.length - 1) return;
    const row = make("tr", {}, make("th", { scope: "row" }, String(k)));
    for (const pass of PASSES) for (const key of keys) row.append(make("td", {}, spelt(now[pass][key][i])));
    body.append(row);
  });
  table.append(body);
  within.querySelector("div").replaceChildren(table);
}

function key(now, list) {
  const kinds = [...new Set(PASSES.filter((p) => finite(now[p].theory).length).map((p) => (now[p].exact ? "exact mean" : "infinite width")))];
  const theory = kinds.join(" or ");
  if (now.theory_only) return `Dashed: theory (${theory}).`;
  const thick = data.trials > 1 ? `median of ${data.trials} networks; band: 5–95 %` : "one network";
  return `Thick: ${thick}. ` + (theory ? `Thin: theory (${theory}). ` : "No theory is known for this network. ") +
    (list.length > 1 ? "Other colours: what else was simulated. " : "") + "Dashed in b: the forward pass." +
    (base().law ? " Between simulated σ² the same networks are shown, exactly, by the scale law." : "");
}

function update() {
  for (const control of controls) control.refresh();
  const now = current(), list = others(), range = limits(now, list);
  for (const pass of PASSES) {
    const panel = panels[pass];
    draw(pass, now, list, range);
    panel.word.textContent = now[pass].word + (now.theory_only ? " (theory)" : "");
    panel.word.dataset.word = now[pass].word;
    panel.facts.replaceChildren(...facts(pass, now).map((line) => make("span", {}, ...line)));
  }
  const verdict = PASSES.map((pass) => `${pass} ${now[pass].word}`).join(", ");
  for (const control of controls) control.speak(verdict);
  within("note").textContent = now.theory_only
    ? `Theory alone: ${state.depth} layers of ${state.width} units were not simulated.` : "";
  within("key").textContent = key(now, list);
  fillTable(now);
}

build();
update();
let seen = within("panels").clientWidth;
new ResizeObserver(([{ contentRect }]) => {
  if (Math.round(contentRect.width) === seen) return;
  seen = Math.round(contentRect.width);
  update();
}).observe(within("panels"));
within("twin").addEventListener("toggle", () => update());
for (const media of [inPrint, inDark]) media.addEventListener("change", () => update());
})();
