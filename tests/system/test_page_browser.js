// What test_page_browser.py looks for in a page: a function after the line that names it.

// move: a slider to the stop that stands nearest to a value
(slider, value) => {
  const at = (stop) => {
    slider.value = stop;
    slider.dispatchEvent(new Event("input"));
    return Number(slider.dataset.at);
  };
  let [low, high] = [0, Number(slider.max)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (at(middle) < value) low = middle;
    else high = middle;
  }
  at(Math.abs(at(low) - value) < Math.abs(at(high) - value) ? low : high);
}

// overlaps: texts of drawings and sliders that lie on each other or are cut
() => {
  const found = [];
  const boxes = (list) => [...list].map((e) => [e.textContent, e.getBoundingClientRect()]);
  const drawings = [...document.querySelectorAll("svg[role=img]")];
  const marks = [...document.querySelectorAll(".heinit-marks")];
  const groups = drawings.map((s) => [s.getBoundingClientRect(), boxes(s.querySelectorAll("text"))]);
  for (const m of marks) groups.push([null, boxes(m.querySelectorAll("span"))]);
  for (const [frame, texts] of groups) {
    texts.forEach(([text, a], i) => {
      for (const [other, b] of texts.slice(0, i)) {
        const across = a.right > b.left && b.right > a.left;
        const down = a.bottom > b.top + 2 && b.bottom > a.top + 2; // boxes are taller than letters
        if (across && down) found.push(`${text} on ${other}`);
      }
      if (!frame) return;
      const across = a.left >= frame.left - 1 && a.right <= frame.right + 1;
      if (!across || a.top < frame.top - 1 || a.bottom > frame.bottom + 1) found.push(`${text} is cut`);
    });
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page is too wide");
  return found;
}

// contrasts: the least contrast of a text, and of a line that is data, to the ground of the figure
() => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).map((v) => v / 255).map(
      (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const figure = document.querySelector("figure");
  const ground = getComputedStyle(figure).backgroundColor;
  const ratio = (colour) => {
    const [a, b] = [luminance(colour), luminance(ground)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const written = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const texts = [...figure.querySelectorAll("*")].filter(
    (e) => written(e) && e.checkVisibility() && !/^(script|style|title|desc)$/i.test(e.tagName));
  const inks = texts.map((e) => getComputedStyle(e)[e.ownerSVGElement ? "fill" : "color"]);
  const paths = [...figure.querySelectorAll("svg svg path")].map((e) => getComputedStyle(e).stroke);
  const lines = paths.filter((colour) => colour.startsWith("rgb") && colour !== ground);
  return [Math.min(...inks.map(ratio)), Math.min(...lines.map(ratio))];
}
