// The contact sheets: every image of a category by rank, a threshold to try, and marks that become labels.
"use strict";

(() => {
  const FIRST = 48; // images that are drawn at first, and for every "show more"
  const MANY = 200; // from so many on, those out of sight are not laid out
  const STEPS = 1000; // of the slider
  const BINS = 60; // of the distribution above it
  const SWIPE = 48; // px
  const GOOD = 0;
  const DEFECTIVE = 1;
  const WORDS = ["good", "defective"];
  const SVG = "http://www.w3.org/2000/svg";

  // ---- Elements

  function make(tag, properties = {}, ...children) {
    const { dataset, attributes, ...own } = properties;
    const element = Object.assign(document.createElement(tag), own);
    Object.assign(element.dataset, dataset);
    Object.entries(attributes ?? {}).forEach(([name, value]) => element.setAttribute(name, value));
    element.append(...children);
    return element;
  }

  function draw(tag, attributes = {}, ...children) {
    const element = document.createElementNS(SVG, tag);
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, String(value)));
    element.append(...children);
    return element;
  }

  const button = (text, onclick, properties = {}) =>
    make("button", { type: "button", textContent: text, onclick, ...properties });

  function choice(name, options, onchange) {
    const select = make("select", { onchange: () => onchange(select.value) });
    select.append(...options.map(([value, text]) => make("option", { value, textContent: text })));
    return [make("label", { className: "sheet-choice" }, make("span", { textContent: name }), select), select];
  }

  function tick(text, checked, onchange) {
    const box = make("input", { type: "checkbox", checked, onchange: () => onchange(box.checked) });
    return [make("label", { className: "sheet-tick" }, box, ` ${text}`), box];
  }

  const setText = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  // ---- Words and numbers

  const counted = (number, one, many) => `${number} ${number === 1 ? one : many}`;
  const significant = (value) => (value === null || Number.isNaN(value) ? "n/a" : String(Number(value.toPrecision(4))));
  const share = (part, whole) => (whole > 0 ? part / whole : 0);

  // YAML 1.1 takes 1e-7 for a text: a number with an exponent needs a point.
  const yamlNumber = (value) => String(value).replace(/^(-?\d+)e/, "$1.0e");
  const yamlText = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (sign) =>
    (/[\p{L}\p{N}\p{P}\p{S}]/u.test(sign) || /[\ud800-\udfff]/.test(sign)
      ? sign : `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`));

  // ---- Tables of marks

  // A path is left as it is, but "./" goes before what a spreadsheet would compute or a reader would trim or expand.
  const ACTIVE = /^[\s'"\ufeff]*[=+\-@\0＝＋－＠﹦﹢﹣﹫]|^[\s~]/u;
  const harmlessPath = (path) => (ACTIVE.test(path) ? `./${path}` : path);
  const harmlessText = (text) => (ACTIVE.test(text) ? `'${text}` : text);
  const quoted = (cell) => `"${cell.replaceAll('"', '""')}"`;
  const plainPath = (path) => path.split("/").filter((step, place) => step !== "." && (step || !place)).join("/");

  function tableOf(rows) {
    const lines = rows.map(({ path, category, split, label }) =>
      [quoted(harmlessPath(path)), quoted(harmlessText(category)), split, label].join(","));
    return ["path,category,split,label", ...lines, ""].join("\n");
  }

  function readCells(text) {
    const first = text.slice(0, /\r|\n|$/.exec(text).index);
    const separator = [",", ";", "\t"].reduce((most, sign) =>
      (first.split(sign).length > first.split(most).length ? sign : most));
    const rows = [];
    let [row, cell, within, line, started] = [[], "", false, 1, 1];
    const endCell = () => { row.push(cell.trim()); cell = ""; };
    const endRow = () => {
      endCell();
      if (row.some(Boolean)) rows.push({ line: started, cells: row });
      row = [];
    };
    for (let place = 0; place < text.length; place += 1) {
      const sign = text[place];
      if (within && sign === '"' && text[place + 1] === '"') { cell += sign; place += 1; }
      else if (within && sign === '"') within = false;
      else if (within) cell += sign;
      else if (sign === '"' && !cell.trim()) { cell = ""; within = true; }
      else if (sign === separator) endCell();
      else if (sign === "\n") endRow();
      else if (sign !== "\r") cell += sign;
      if (sign === "\n") { line += 1; if (!within) started = line; }
    }
    if (within) throw new Error(`line ${started} has a quote that is not closed`);
    endRow();
    return rows;
  }

  const LABELS = new Map(Object.entries({
    "": null, unknown: null, good: 0, 0: 0, "0.0": 0, normal: 0, ok: 0,
    defective: 1, 1: 1, "1.0": 1, anomaly: 1, anomalous: 1, ko: 1,
  }));

  // Path, category and label of each line of a table.
  function readTable(text) {
    const [head, ...rows] = readCells(text.replace(/^\ufeff/, ""));
    const columns = (head?.cells ?? []).map((title) => title.toLowerCase());
    const [path, category, label] = ["path", "category", "label"].map((title) => columns.indexOf(title));
    if (path < 0 || label < 0) throw new Error("its first line does not name the columns 'path' and 'label'");
    return rows.map(({ line, cells }) => {
      const word = (cells[label] ?? "").toLowerCase();
      if (!LABELS.has(word)) throw new Error(`line ${line}: the label is '${cells[label]}', not good or defective`);
      const of = (cells[category] ?? "").replace(/^'(?=[\s'"]*[=+\-@＝＋－＠﹦﹢﹣﹫])/u, "");
      return { path: plainPath(cells[path] ?? ""), category: of, label: LABELS.get(word) };
    });
  }

  // ---- Marks, kept in the browser

  class Marks {
    constructor(key) {
      this.key = `zsad marks ${JSON.stringify(key)}`;
      this.complaint = "";
      this.past = [];
      this.marks = this.stored() ?? new Map();
    }

    // What the browser keeps; null if it keeps nothing or cannot be asked.
    stored() {
      try {
        const found = Object.entries(JSON.parse(localStorage.getItem(this.key) ?? "{}") ?? {});
        return new Map(found.filter(([, mark]) => mark === GOOD || mark === DEFECTIVE));
      } catch (error) {
        if (!(error instanceof SyntaxError)) this.complaint = "This browser does not let the page keep marks";
        return null;
      }
    }

    get(path) {
      return this.marks.get(path) ?? null;
    }

    // Set the marks of several images, as one change that can be undone; null takes a mark away.
    set(changes) {
      const before = changes.map(([path]) => [path, this.get(path)]);
      if (changes.every(([, mark], place) => mark === before[place][1])) return;
      this.past.push(before);
      this.change(changes);
    }

    // Take the last change back; returns the paths that it concerned.
    undo() {
      const before = this.past.pop() ?? [];
      this.change(before);
      return before.map(([path]) => path);
    }

    clear() {
      this.set([...this.marks.keys()].map((path) => [path, null]));
    }

    change(changes) {
      if (!this.complaint) this.refresh(); // another window may have marked in the meantime
      changes.forEach(([path, mark]) => (mark === null ? this.marks.delete(path) : this.marks.set(path, mark)));
      try {
        if (this.marks.size) localStorage.setItem(this.key, JSON.stringify(Object.fromEntries(this.marks)));
        else localStorage.removeItem(this.key);
        this.complaint = "";
      } catch (error) {
        const why = error.name === "QuotaExceededError" ? "has no room left for marks" : "does not let the page keep marks";
        this.complaint = `This browser ${why}`;
      }
    }

    refresh() {
      this.marks = this.stored() ?? this.marks;
    }
  }

  // ---- Colours of the map: a filter that turns grey into the colours, also for files that a page may not read

  let ramps = 0;

  function addRamp(view, colours) {
    ramps += 1;
    const identifier = `sheet-ramp-${ramps}`;
    const channel = (place) => colours.map((colour) => parseInt(colour.slice(1 + 2 * place, 3 + 2 * place), 16) / 255);
    const functions = ["R", "G", "B"].map((name, place) =>
      draw(`feFunc${name}`, { type: "table", tableValues: channel(place).map((value) => value.toFixed(4)).join(" ") }));
    const ramp = draw("filter", { id: identifier, "color-interpolation-filters": "sRGB", x: 0, y: 0, width: 1, height: 1 },
      draw("feComponentTransfer", {}, ...functions));
    view.append(draw("svg", { class: "sheet-ramp", width: 0, height: 0, "aria-hidden": "true" }, ramp));
    view.style.setProperty("--sheet-ramp", `url("#${identifier}")`);
  }

  function outlinePath(polygons, width, height) {
    const at = (share, whole) => Number((share * whole).toFixed(1));
    return polygons.map((shares) => {
      const points = [];
      for (let place = 0; place + 1 < shares.length; place += 2) {
        points.push(`${at(shares[place], width)} ${at(shares[place + 1], height)}`);
      }
      return points.length ? `M${points.join("L")}Z` : "";
    }).join("");
  }

  // The photograph with its map and its outline on it.
  function paint(place, image, map, polygons) {
    const { width, height } = image;
    const layers = [make("img", { src: image.thumbnail, alt: "", loading: "lazy", decoding: "async", draggable: false })];
    if (map) layers.push(make("img", { className: "sheet-map", src: map, alt: "", draggable: false }));
    if (polygons?.length) {
      const d = outlinePath(polygons, width, height);
      layers.push(draw("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "sheet-outline" },
        draw("path", { class: "halo", d }), draw("path", { class: "photograph", d })));
    }
    place.style.setProperty("--ratio", String(width / height));
    place.replaceChildren(...layers);
  }

  // ---- Decisions against what is known

  function costs(decisions, truths) {
    const count = (decision, truth) =>
      decisions.filter((decided, place) => decided === decision && truths[place] === truth).length;
    const [found, wrong, missed, passed] = [count(1, DEFECTIVE), count(1, GOOD), count(0, DEFECTIVE), count(0, GOOD)];
    return {
      found, wrong, missed, passed,
      known: found + wrong + missed + passed,
      precision: found + missed ? share(found, found + wrong) : NaN,
      recall: found + missed ? share(found, found + missed) : NaN,
      f1: found + missed ? share(2 * found, 2 * found + wrong + missed) : NaN,
    };
  }

  const KEEP = "all";
  const DECISIONS = {
    all: ["all", () => true],
    defective: ["called defective", (it) => it.decision === 1],
    good: ["called good", (it) => it.decision === 0],
    wrong: ["wrongly called", (it) => it.truth !== null && it.decision !== null && it.decision !== it.truth],
  };
  const TRUTHS = {
    all: ["all", () => true],
    good: ["good", (it) => it.label === GOOD],
    defective: ["defective", (it) => it.label === DEFECTIVE],
    unknown: ["no label", (it) => it.label === null],
  };
  const MARKS = {
    all: ["all", () => true],
    none: ["not marked", (it) => it.mark === null],
    good: ["marked good", (it) => it.mark === GOOD],
    defective: ["marked defective", (it) => it.mark === DEFECTIVE],
  };
  const ORDERS = {
    most: ["most anomalous first", (one, other) => other.score - one.score],
    least: ["least anomalous first", (one, other) => one.score - other.score],
    nearest: ["nearest to the threshold first", (one, other) => one.distance - other.distance],
    name: ["by name", (one, other) => one.image.path.localeCompare(other.image.path, "en", { numeric: true })],
  };

  // ---- A category's sheet

  class Sheet {
    constructor(view, data) {
      this.view = view;
      this.data = data;
      this.method = 0;
      this.own = data.methods.map(() => null); // thresholds that a person has set, in place of the workflow's
      this.filters = { decision: KEEP, truth: KEEP, type: KEEP, mark: KEEP, name: "" };
      this.order = "most";
      this.limit = FIRST;
      this.shows = { map: false, outline: false };
      this.large = { map: true, outline: true };
      this.opacity = 0.55;
      this.marks = new Marks([data.dataset, data.root ?? "", data.category]);
      this.cells = new Map();
      this.items = [];
      this.listed = [];
      this.tile = Math.min(1.6, Math.max(0.75, median(data.images.map(({ width, height }) => width / height))));
    }

    get current() {
      return this.data.methods[this.method];
    }

    build() {
      this.view.style.setProperty("--tile", String(this.tile));
      addRamp(this.view, this.data.colours);
      this.grid = make("ol", { className: "sheet-grid", onclick: (event) => this.openClicked(event),
        onkeydown: (event) => this.moveInGrid(event), attributes: { "aria-label": `Images of ${this.data.category}` } });
      this.more = make("p", { className: "sheet-more" });
      this.status = make("p", { className: "sheet-status", role: "status" });
      this.none = make("p", { className: "sheet-none", textContent: "No image matches.", hidden: true });
      const panels = make("div", { className: "sheet-panels" }, this.buildThreshold(), this.buildMarks());
      this.view.append(this.buildControls(), panels, this.status, this.grid, this.none, this.more);
      this.buildLarge();
      this.setOpacity(this.opacity);
      this.update();
      window.addEventListener("storage", (event) => {
        if (event.key !== null && event.key !== this.marks.key) return;
        this.marks.refresh();
        this.update();
      });
      window.addEventListener("beforeunload", (event) => {
        if (this.marks.complaint && this.marks.marks.size) event.preventDefault();
      });
    }

    // -- What is chosen

    buildControls() {
      const { images, methods } = this.data;
      const set = (name) => (value) => { this.filters[name] = value; this.limit = FIRST; this.update(); };
      const titles = methods.map((method, place) => [String(place), method.title ?? method.method]);
      const [byMethod] = choice("Method", titles, (value) => this.chooseMethod(Number(value)));
      const [byDecision, decision] = choice("Decision", options(DECISIONS), set("decision"));
      const [byTruth, truth] = choice("Label", options(TRUTHS), set("truth"));
      const types = [...new Set(images.map((image) => (image.label === DEFECTIVE && image.defect_type) || ""))];
      const named = types.filter(Boolean).sort();
      const [byType, type] = choice("Defect", [[KEEP, "all"], ...named.map((name) => [`=${name}`, name])], set("type"));
      const [byMark, mark] = choice("Mark", options(MARKS), set("mark"));
      const [byOrder] = choice("Order", options(ORDERS), (value) => { this.order = value; this.limit = FIRST; this.update(); });
      const search = make("input", { type: "search", oninput: () => set("name")(search.value.trim().toLowerCase()) });
      const byName = make("label", { className: "sheet-choice" }, make("span", { textContent: "Name has" }), search);
      const [map, mapBox] = tick("map", false, (on) => this.showOnThumbnails("map", on));
      const [outline, outlineBox] = tick("outline", false, (on) => this.showOnThumbnails("outline", on));
      this.ticks = { map: mapBox, outline: outlineBox };
      this.selects = { decision, truth, type, mark };
      byMethod.hidden = methods.length < 2;
      byTruth.hidden = images.every((image) => image.label === null);
      byType.hidden = named.length < 2;
      const ticks = make("span", { className: "sheet-ticks" }, "On the thumbnails: ", map, outline);
      return make("div", { className: "sheet-controls", role: "group", ariaLabel: "Which images are shown" },
        byMethod, byDecision, byTruth, byType, byMark, byOrder, byName, ticks);
    }

    chooseMethod(place) {
      this.method = place;
      this.cells.clear();
      this.limit = FIRST;
      this.update();
    }

    showOnThumbnails(layer, on) {
      this.shows[layer] = on;
      this.cells.clear();
      this.update();
    }

    // -- The threshold

    buildThreshold() {
      this.bars = draw("svg", { class: "sheet-bars", viewBox: `0 0 ${BINS} 20`, preserveAspectRatio: "none", "aria-hidden": "true" });
      this.slider = make("input", { type: "range", min: "0", max: String(STEPS), step: "1", ariaLabel: "Threshold of image scores",
        oninput: () => this.setThreshold(this.atStep(Number(this.slider.value))) });
      this.number = make("input", { type: "number", step: "any", ariaLabel: "Threshold of image scores, as a number",
        oninput: () => { if (this.number.value !== "") this.setThreshold(Number(this.number.value), true); },
        onblur: () => this.updateThreshold() });
      this.reset = button("Back to the workflow's", () => { this.own[this.method] = null; this.update(); });
      this.cost = make("p", { className: "sheet-cost", attributes: { "aria-live": "polite" } });
      this.why = make("p", { className: "sheet-why small faint" });
      this.legend = make("p", { className: "sheet-legend small faint" });
      this.yaml = make("pre", { tabIndex: 0 });
      this.copied = make("span", { className: "small faint", role: "status" });
      const copy = button("Copy", () => this.copy());
      const keep = make("details", { className: "sheet-keep" }, make("summary", { textContent: "Use this threshold in the workflow" }),
        make("p", { className: "small", textContent: "In the configuration, for every category of this method:" }), this.yaml,
        make("p", {}, copy, " ", this.copied));
      const scale = make("div", { className: "sheet-scale" }, this.bars, this.slider);
      const fields = make("div", { className: "sheet-fields" }, make("label", {}, "Threshold ", this.number), this.reset);
      return make("fieldset", { className: "sheet-threshold" }, make("legend", { textContent: "Decide by another threshold" }), scale,
        this.legend, fields, this.cost, this.why, keep);
    }

    // First and last value of the slider: beyond all scores, and the workflow's threshold where it is near them.
    range() {
      const scores = this.current.scores.filter((score) => score !== null);
      let [low, high] = [Math.min(...scores), Math.max(...scores)];
      const span = high - low || Math.abs(high) || 1;
      const { threshold } = this.current;
      if (threshold !== null && threshold > low - span && threshold < high + span) {
        [low, high] = [Math.min(low, threshold), Math.max(high, threshold)];
      }
      return [low - 0.02 * span, high + 0.02 * span];
    }

    atStep(step) {
      const [low, high] = this.range();
      const digits = Math.max(1, Math.ceil(Math.log10(Math.max(Math.abs(low), Math.abs(high)) / (high - low))) + 4);
      return Number((low + (step / STEPS) * (high - low)).toPrecision(Math.min(digits, 17)));
    }

    setThreshold(value, typed = false) {
      if (!Number.isFinite(value)) return;
      this.own[this.method] = value;
      this.typing = typed;
      this.update();
      this.typing = false;
    }

    // Scores are 32-bit numbers, and the workflow compares them as such.
    decisions() {
      const own = this.own[this.method];
      if (own === null) return this.current.decisions;
      return this.current.scores.map((score) => (score === null ? null : Number(Math.fround(score) > Math.fround(own))));
    }

    updateThreshold() {
      const own = this.own[this.method];
      const { threshold, method, decides_by: by } = this.current;
      const value = own ?? threshold;
      const [low, high] = this.range();
      const at = value === null ? 1 : (value - low) / (high - low);
      this.slider.value = String(Math.round(STEPS * Math.min(1, Math.max(0, at))));
      this.slider.setAttribute("aria-valuetext", value === null ? "not set" : significant(value));
      if (!this.typing) this.number.value = value === null ? "" : String(own ?? Number(significant(value)));
      this.reset.disabled = own === null;
      const regions = by === "regions";
      setText(this.why, own !== null
        ? `${regions ? "The workflow calls an image defective if a region of it is marked; the slider decides by the image score. " : ""}An image is called defective if its score is above ${own}.`
        : regions || value === null
          ? "The workflow calls an image defective if a region of it is marked. The slider decides by the image score."
          : `The workflow's threshold: an image is called defective if its score is above ${significant(value)}.`);
      const pixel = this.current.pixel_threshold ?? null;
      const pixels = pixel === null ? "" : `, pixel: ${yamlNumber(pixel)}`;
      setText(this.yaml, value === null ? "# Move the slider first: so far, marked regions decide."
        : `methods:\n  ${yamlText(this.current.entry ?? method)}:\n    threshold: {rule: fixed, params: {image: ${yamlNumber(value)}${pixels}}}\n`);
      this.drawBars(low, high, at);
    }

    drawBars(low, high, at) {
      const bins = Array.from({ length: BINS }, () => [0, 0, 0]);
      this.items.forEach(({ score, truth }) => {
        if (score === null) return;
        const bin = Math.min(BINS - 1, Math.max(0, Math.floor((BINS * (score - low)) / (high - low))));
        bins[bin][truth ?? 2] += 1;
      });
      const most = Math.max(1, ...bins.map((counts) => counts[0] + counts[1] + counts[2]));
      const marks = [];
      bins.forEach((counts, bin) => {
        let top = 20;
        [2, 0, 1].forEach((kind) => {
          const height = (20 * counts[kind]) / most;
          top -= height;
          if (height) marks.push(draw("rect", { class: `sheet-${WORDS[kind] ?? "unknown"}`, x: bin + 0.08, y: top, width: 0.84, height }));
        });
      });
      if (at >= 0 && at <= 1) marks.push(draw("path", { class: "sheet-cut", d: `M${BINS * at} 0V20` }));
      this.bars.replaceChildren(...marks);
      const kinds = [0, 1, 2].filter((kind) => bins.some((counts) => counts[kind]));
      this.legend.replaceChildren("Image scores: ", ...kinds.flatMap((kind) => [
        make("i", { className: `sheet-swatch sheet-${WORDS[kind] ?? "unknown"}` }), `${WORDS[kind] ?? "no label or mark"} `]));
    }

    updateCost() {
      const decisions = this.items.map((item) => item.decision);
      const called = decisions.filter((decision) => decision === 1).length;
      const found = costs(decisions, this.items.map((item) => item.truth));
      const marked = this.items.filter((item) => item.mark !== null).length;
      const labelled = found.known - marked;
      const source = [labelled ? counted(labelled, "label", "labels") : "", marked ? counted(marked, "mark", "marks") : ""];
      const told = [make("b", { textContent: `${called} of ${counted(decisions.length, "image", "images")} called defective.` })];
      if (found.known) {
        told.push(` Against ${source.filter(Boolean).join(" and ")}: `, make("b", { className: found.wrong ? "wrong" : "",
          textContent: counted(found.wrong, "false alarm", "false alarms") }), ", ",
        make("b", { className: found.missed ? "wrong" : "", textContent: `${found.missed} missed` }),
        `; precision ${fixed(found.precision)}, recall ${fixed(found.recall)}, F1 ${fixed(found.f1)}.`);
      } else told.push(" What that costs can be said as soon as images are marked.");
      this.cost.replaceChildren(...told);
    }

    copy() {
      const done = () => setText(this.copied, "Copied.");
      const selected = () => {
        getSelection().selectAllChildren(this.yaml);
        setText(this.copied, "Selected: copy it with the keyboard.");
      };
      if (navigator.clipboard) navigator.clipboard.writeText(this.yaml.textContent).then(done, selected);
      else selected();
    }

    // -- Marks

    buildMarks() {
      this.tally = make("p", { className: "sheet-tally", role: "status" });
      this.notice = make("p", { className: "sheet-notice note", role: "alert", hidden: true });
      this.undoButton = button("Undo", () => this.undo());
      this.clearButton = button("Clear marks…", () => this.askToClear());
      const save = button("Download marks (CSV)", () => this.download(), { className: "sheet-main" });
      const file = make("input", { type: "file", accept: ".csv,text/csv", hidden: true, onchange: () => this.load(file) });
      const load = button("Load marks…", () => file.click());
      const [unmarked, rest] = choice("Images without a mark are", [["list", this.hasLabels() ? "listed with the label that they have" : "listed without a label"], ["leave", "left out"]], () => {});
      const others = sheets.length > 1 ? tick(`with the other categories of this page`, true, () => {}) : null;
      this.saving = { rest, others: others?.[1] };
      this.said = make("p", { className: "small", role: "status" });
      const name = this.fileName();
      const folder = this.data.root ?? "path/to/the/images";
      const where = make("div", { className: "sheet-where small" },
        make("p", {}, "The table lists the images with your marks as labels. Put it into ", this.data.root ? make("code", { textContent: folder }) : "the folder of the images (dataset.root)",
          " and write in the configuration, in place of the layout, root and params that stand there:"),
        make("pre", { tabIndex: 0, textContent: `dataset:\n  layout: csv\n  root: ${yamlText(`${folder.replace(/\/+$/, "")}/${name}`)}\n` }));
      return make("fieldset", { className: "sheet-marks" }, make("legend", { textContent: "Mark images as good or defective" }),
        make("p", { className: "small faint" }, "Open an image, or go to one with the arrow keys, and press ", key("G"), " good, ", key("D"), " defective or ", key("U"), " no mark. Marks stay in this browser."),
        this.tally, this.notice,
        make("div", { className: "sheet-buttons" }, save, load, file, this.undoButton, this.clearButton),
        make("div", { className: "sheet-saving" }, unmarked, ...(others ? [others[0]] : [])), this.said, where);
    }

    hasLabels() {
      return this.data.images.some((image) => image.label !== null);
    }

    fileName() {
      const of = sheets.length > 1 ? this.data.dataset : `${this.data.dataset} ${this.data.category}`;
      return `${of.replace(/[^\p{L}\p{N}.-]+/gu, "_").replace(/^[._-]+|[._-]+$/g, "") || "images"}_marks.csv`;
    }

    mark(places, value) {
      this.marks.set(places.map((place) => [this.data.images[place].path, value]));
      this.update();
    }

    undo() {
      const paths = this.marks.undo();
      this.update();
      return paths;
    }

    askToClear() {
      const marked = this.items.filter((item) => item.mark !== null).length;
      const ask = make("dialog", { className: "sheet-ask", onclose: () => ask.remove(), ariaLabel: "Clear the marks?" },
        make("p", { textContent: `Clear ${counted(marked, "mark", "marks")} of ${this.data.category}? Undo brings them back while this page is open.` }),
        make("div", { className: "sheet-buttons" }, button("Keep them", () => ask.close(), { autofocus: true }),
          button("Clear them", () => { ask.close(); this.marks.clear(); this.update(); }, { className: "sheet-main" })));
      this.view.append(ask);
      ask.showModal();
    }

    // The lines of the table for this category.
    rows() {
      const leave = this.saving.rest.value === "leave";
      const known = (value) => (value === null ? "" : WORDS[value]);
      const { category, images, references } = this.data;
      const tests = images.map((image) => ({ image, mark: this.marks.get(image.path) }))
        .filter(({ mark }) => mark !== null || !leave)
        .map(({ image, mark }) => ({ path: image.path, category, split: "test", label: known(mark ?? image.label) }));
      return [...tests, ...(references ?? []).map((path) => ({ path, category, split: "train", label: "good" }))];
    }

    download() {
      const of = this.saving.others?.checked ? sheets : [this];
      of.forEach((sheet) => { sheet.saving.rest.value = this.saving.rest.value; });
      const rows = of.flatMap((sheet) => sheet.rows());
      if (!rows.length) {
        setText(this.said, "Nothing is marked yet, so that the table would list no image.");
        return;
      }
      const address = URL.createObjectURL(new Blob([tableOf(rows)], { type: "text/csv;charset=utf-8" }));
      make("a", { href: address, download: this.fileName() }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60000);
      setText(this.said, `Downloaded ${this.fileName()}: ${counted(rows.length, "image", "images")}, ${rows.filter((row) => row.label).length} with a label.`);
    }

    async load(input) {
      const [file] = input.files;
      if (!file) return;
      try {
        const rows = readTable(await file.text());
        const known = new Set(this.data.images.map((image) => image.path));
        const own = rows.filter((row) => known.has(row.path) && (!row.category || row.category === this.data.category));
        this.marks.set(own.filter((row) => row.label !== null).map((row) => [row.path, row.label]));
        this.update();
        const marked = own.filter((row) => row.label !== null).length;
        setText(this.said, `${file.name}: ${counted(marked, "mark", "marks")} loaded; ${counted(rows.length - own.length, "line is", "lines are")} not about images of this sheet.`);
      } catch (error) {
        setText(this.said, `${file.name} was not loaded: ${error.message}.`);
      }
      input.value = "";
    }

    updateMarks() {
      const count = (mark) => this.items.filter((item) => item.mark === mark).length;
      setText(this.tally, `${count(GOOD)} marked good, ${count(DEFECTIVE)} defective, ${count(null)} not marked.`);
      this.undoButton.disabled = !this.marks.past.length;
      this.clearButton.disabled = !this.marks.marks.size;
      this.notice.hidden = !this.marks.complaint;
      setText(this.notice, this.marks.complaint && `${this.marks.complaint}: they are lost when the page is closed. Download them first.`);
    }

    // -- The list

    update() {
      const decisions = this.decisions();
      const { scores, threshold, notes } = this.current;
      const cut = this.own[this.method] ?? threshold ?? Math.max(...scores);
      const sorted = scores.filter((score) => score !== null).sort((one, other) => other - one);
      const ranks = new Map();
      sorted.forEach((score, place) => { if (!ranks.has(score)) ranks.set(score, place + 1); });
      this.items = this.data.images.map((image, place) => {
        const mark = this.marks.get(image.path);
        const score = scores[place];
        return { place, image, score, mark, decision: decisions[place] ?? null, label: image.label, note: notes?.[place] ?? "",
          truth: mark ?? image.label, rank: ranks.get(score) ?? null, distance: score === null ? Infinity : Math.abs(score - cut) };
      });
      this.listed = this.items.filter((item) => this.matches(item)).sort(ORDERS[this.order][1]);
      this.updateGrid();
      this.updateCounts();
      this.updateThreshold();
      this.updateCost();
      this.updateMarks();
      if (this.dialog?.open) this.updateLarge();
    }

    matches(item, without = "") {
      const { decision, truth, type, mark, name } = this.filters;
      return (without === "decision" || DECISIONS[decision][1](item))
        && (without === "truth" || TRUTHS[truth][1](item))
        && (without === "type" || type === KEEP || (item.label === DEFECTIVE && `=${item.image.defect_type}` === type))
        && (without === "mark" || MARKS[mark][1](item))
        && item.image.path.toLowerCase().includes(name);
    }

    // How many images each choice would show, with the other choices as they are.
    updateCounts() {
      const tests = { decision: DECISIONS, truth: TRUTHS, mark: MARKS };
      Object.entries(this.selects).forEach(([name, select]) => {
        const others = this.items.filter((item) => this.matches(item, name));
        [...select.options].forEach((option) => {
          const test = tests[name]?.[option.value]?.[1] ?? ((item) => option.value === KEEP || (item.label === DEFECTIVE && `=${item.image.defect_type}` === option.value));
          option.dataset.text ??= option.textContent;
          setText(option, `${option.dataset.text} (${others.filter(test).length})`);
        });
      });
      const [all, shown] = [this.items.length, Math.min(this.limit, this.listed.length)];
      const match = this.listed.length === all ? `all ${counted(all, "image", "images")}` : `${this.listed.length} of ${counted(all, "image", "images")} that match`;
      setText(this.status, shown < this.listed.length ? `Showing ${shown} of ${match.replace(/^all /, "")}.` : `Showing ${match}.`);
      const left = this.listed.length - shown;
      this.more.replaceChildren(...(left > 0 ? [
        button(`Show ${Math.min(FIRST, left)} more`, () => this.showMore(FIRST)),
        ...(left > FIRST ? [button(`Show all ${this.listed.length}`, () => this.showMore(Infinity))] : [])] : []));
    }

    showMore(count) {
      const first = this.listed[this.limit];
      this.limit += count;
      this.update();
      this.focusCell(first.place);
    }

    updateGrid() {
      const shown = this.listed.slice(0, this.limit);
      const cells = shown.map((item) => this.cell(item));
      const focused = this.grid.contains(document.activeElement) ? document.activeElement.closest("li") : null;
      if (cells.length !== this.grid.children.length || cells.some((cell, place) => this.grid.children[place] !== cell)) {
        this.grid.replaceChildren(...cells);
      }
      this.grid.classList.toggle("sheet-many", cells.length > MANY);
      this.none.hidden = cells.length > 0;
      const buttons = cells.map((cell) => cell.firstElementChild);
      if (!buttons.some((one) => one.tabIndex === 0)) buttons.slice(0, 1).forEach((one) => { one.tabIndex = 0; });
      if (focused) this.focusCell(Number(focused.dataset.place));
    }

    // The cell of an image, made once and then kept up to date.
    cell(item) {
      let cell = this.cells.get(item.place);
      if (!cell) {
        const picture = make("span", { className: "sheet-picture" });
        paint(picture, item.image, this.shows.map ? this.current.maps[item.place] : null, this.shows.outline ? this.current.outlines[item.place] : null);
        cell = make("li", { dataset: { place: String(item.place) } }, make("button", { type: "button", className: "sheet-shot", tabIndex: -1 },
          make("span", { className: "sheet-frame" }, picture), make("span", { className: "sheet-badge" }),
          make("span", { className: "sheet-name" }), make("span", { className: "sheet-words" })));
        this.cells.set(item.place, cell);
      }
      const state = `${item.decision} ${item.mark} ${item.rank} ${item.score}`;
      if (cell.dataset.state !== state) {
        cell.dataset.state = state;
        this.describe(cell, item);
      }
      return cell;
    }

    describe(cell, item) {
      const [shot] = cell.children;
      const [, badge, name, words] = shot.children;
      shot.classList.toggle("sheet-called", item.decision === 1);
      badge.className = `sheet-badge ${item.mark === null ? "" : `sheet-${WORDS[item.mark]}`}`;
      badge.textContent = item.mark === null ? "" : `${item.mark === GOOD ? "✓" : "✕"} ${WORDS[item.mark]}`;
      name.replaceChildren(make("b", { textContent: String(item.rank ?? "–") }), ` ${item.image.path.split("/").at(-1)}`);
      name.title = item.image.path;
      words.replaceChildren(`${significant(item.score)} · `, decisionWords(item));
      if (item.label !== null) words.append(` · label: ${item.image.defect_type || WORDS[item.label]}`);
      shot.ariaLabel = `Rank ${item.rank ?? "unknown"}: ${item.image.path}, score ${significant(item.score)}, ${plainDecision(item)}`
        + `${item.label === null ? "" : `, labelled ${truthWords(item.image)}`}${item.mark === null ? "" : `, marked ${WORDS[item.mark]}`}`;
    }

    focusCell(place) {
      const target = this.cells.get(place)?.firstElementChild;
      const reached = target?.isConnected ? target : this.grid.querySelector(".sheet-shot");
      if (!reached) return;
      this.grid.querySelectorAll('[tabindex="0"]').forEach((one) => { one.tabIndex = -1; });
      reached.tabIndex = 0;
      reached.focus({ preventScroll: false });
    }

    moveInGrid(event) {
      const shot = event.target.closest(".sheet-shot");
      if (!shot || event.ctrlKey || event.metaKey || event.altKey) return;
      const place = Number(shot.parentElement.dataset.place);
      const marked = markOf(event.key);
      if (marked !== undefined) this.mark([place], marked);
      else if (event.key.toLowerCase() === "z") this.undo();
      else if (!this.step(event.key, shot.parentElement)) return;
      event.preventDefault();
    }

    step(pressed, cell) {
      const cells = [...this.grid.children];
      const columns = cells.findIndex((other) => other.offsetTop > cells[0].offsetTop);
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns < 0 ? cells.length : columns, ArrowUp: -(columns < 0 ? cells.length : columns) }[pressed];
      const at = cells.indexOf(cell);
      const to = { Home: 0, End: cells.length - 1 }[pressed] ?? (by === undefined ? undefined : at + by);
      if (to === undefined) return false;
      const target = cells[to];
      if (target) this.focusCell(Number(target.dataset.place));
      return true;
    }

    openClicked(event) {
      const cell = event.target.closest("li");
      if (cell) this.open(Number(cell.dataset.place));
    }

    // -- The large view

    buildLarge() {
      this.stage = make("div", { className: "sheet-stage" }, make("span", { className: "sheet-picture" }));
      this.title = make("h3", { className: "sheet-title", tabIndex: -1 });
      this.facts = make("div", { className: "sheet-facts", attributes: { "aria-live": "polite" } });
      this.toggles = Object.fromEntries(["map", "outline"].map((layer) => [layer, button(layer === "map" ? "Map" : "Outline", () => this.toggle(layer))]));
      this.fade = make("input", { type: "range", min: "0", max: "100", step: "5", oninput: () => this.setOpacity(Number(this.fade.value) / 100) });
      this.choices = [[GOOD, "Good"], [DEFECTIVE, "Defective"], [null, "No mark"]].map(([value, text]) =>
        [value, button(text, () => this.markShown(value), { className: value === null ? "" : `sheet-${WORDS[value]}` })]);
      const [onward, onwardBox] = tick("go to the next image after a mark", false, () => {});
      this.onward = onwardBox;
      this.takeBack = button("Undo", () => this.undoShown());
      this.previous = button("‹ Previous", () => this.go(-1));
      this.next = button("Next ›", () => this.go(1));
      const side = make("div", { className: "sheet-side" }, this.title, this.facts,
        make("div", { className: "sheet-buttons", role: "group", ariaLabel: "Mark" }, ...this.choices.map(([, one]) => one), this.takeBack),
        make("div", { className: "sheet-buttons", role: "group", ariaLabel: "Layers" }, this.toggles.map, this.toggles.outline,
          make("label", { className: "sheet-fade" }, "map's opacity ", this.fade)),
        make("div", { className: "sheet-buttons sheet-walk", role: "group", ariaLabel: "Images" }, this.previous, this.next), onward,
        make("p", { className: "sheet-keys small faint" }, key("←"), " ", key("→"), " previous, next · ", key("M"), " map · ", key("O"), " outline · ",
          key("G"), " good · ", key("D"), " defective · ", key("U"), " no mark · ", key("Z"), " undo · ", key("Esc"), " close"));
      this.dialog = make("dialog", { className: "sheet-large", ariaLabel: "Large view",
        onkeydown: (event) => this.pressed(event), onclose: () => this.closed(),
        onclick: (event) => { if (event.target === this.dialog) this.dialog.close(); } },
      this.stage, side, button("×", () => this.dialog.close(), { className: "sheet-close", ariaLabel: "Close" }));
      this.stage.addEventListener("pointerdown", (event) => { this.swipe = [event.clientX, event.clientY]; });
      this.stage.addEventListener("pointerup", (event) => this.swiped(event));
      this.stage.addEventListener("pointercancel", () => { this.swipe = null; });
      this.view.append(this.dialog);
    }

    // Open an image; the images beside it are those of the list as it is now, whatever is marked meanwhile.
    open(place) {
      this.walk = this.listed.map((item) => item.place);
      this.shown = place;
      this.painted = "";
      this.updateLarge();
      this.dialog.showModal();
      this.title.focus();
    }

    updateLarge() {
      const item = this.items[this.shown];
      const at = this.walk.indexOf(this.shown);
      const map = this.current.maps[this.shown];
      const polygons = this.current.outlines[this.shown];
      const painted = JSON.stringify([this.method, this.shown, this.large]);
      if (this.painted !== painted) {
        paint(this.stage.firstElementChild, item.image, this.large.map ? map : null, this.large.outline ? polygons : null);
        this.painted = painted;
      }
      setText(this.title, item.image.path);
      const lines = [
        [`Rank ${item.rank ?? "unknown"} of ${this.items.length} by ${this.current.title ?? this.current.method} · score ${significant(item.score)} · `, decisionWords(item)],
        [`${at + 1} of ${this.walk.length} in the list · ${item.image.width} × ${item.image.height} px${item.label === null ? "" : ` · labelled ${truthWords(item.image)}`}`],
        ...(item.note ? [[item.note]] : []),
        [item.mark === null ? "Not marked." : make("b", { className: `sheet-told sheet-${WORDS[item.mark]}`, textContent: `Marked ${WORDS[item.mark]}.` })],
      ];
      this.facts.replaceChildren(...lines.map((line) => make("p", {}, ...line)));
      Object.entries(this.toggles).forEach(([layer, toggle]) => {
        const there = layer === "map" ? Boolean(map) : Boolean(polygons?.length);
        toggle.ariaPressed = String(this.large[layer]);
        toggle.title = there ? "" : `this image has no ${layer}`;
        toggle.classList.toggle("sheet-absent", !there);
      });
      this.choices.forEach(([value, one]) => { one.ariaPressed = String(item.mark === value); });
      this.takeBack.disabled = !this.marks.past.length;
      this.previous.disabled = at <= 0;
      this.next.disabled = at >= this.walk.length - 1;
    }

    go(by) {
      this.goTo(this.walk.indexOf(this.shown) + by);
    }

    goTo(at) {
      if (this.walk[at] === undefined) return;
      this.shown = this.walk[at];
      this.updateLarge();
      if (document.activeElement?.disabled) this.title.focus();
    }

    toggle(layer) {
      this.large[layer] = !this.large[layer];
      this.updateLarge();
    }

    setOpacity(opacity) {
      this.opacity = opacity;
      this.fade.value = String(Math.round(100 * opacity));
      this.view.style.setProperty("--sheet-opacity", String(opacity));
    }

    markShown(value) {
      this.mark([this.shown], value);
      if (this.onward.checked && value !== null) this.go(1);
    }

    undoShown() {
      const paths = this.undo();
      const place = this.data.images.findIndex((image) => image.path === paths[0]);
      if (paths.length === 1 && this.walk.includes(place)) this.goTo(this.walk.indexOf(place));
    }

    pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const marked = markOf(event.key);
      const moves = event.target.type === "range" ? {} : {
        ArrowRight: () => this.go(1), ArrowLeft: () => this.go(-1),
        Home: () => this.goTo(0), End: () => this.goTo(this.walk.length - 1) };
      const does = { m: () => this.toggle("map"), o: () => this.toggle("outline"), z: () => this.undoShown() };
      const act = marked !== undefined ? () => this.markShown(marked) : moves[event.key] ?? does[event.key.toLowerCase()];
      if (!act) return;
      event.preventDefault();
      act();
    }

    swiped(event) {
      if (!this.swipe || event.pointerType === "mouse") return;
      const [across, down] = [event.clientX - this.swipe[0], event.clientY - this.swipe[1]];
      this.swipe = null;
      if (Math.abs(across) > SWIPE && Math.abs(across) > 2 * Math.abs(down)) this.go(across < 0 ? 1 : -1);
    }

    closed() {
      const at = this.listed.findIndex((item) => item.place === this.shown);
      if (at >= this.limit) {
        this.limit = at + 1;
        this.update();
      }
      this.focusCell(this.shown);
    }
  }

  const key = (name) => make("kbd", { textContent: name });
  const options = (table) => Object.entries(table).map(([value, [text]]) => [value, text]);
  const markOf = (pressed) => ({ g: GOOD, d: DEFECTIVE, u: null })[pressed.toLowerCase()];
  const fixed = (value) => (Number.isNaN(value) ? "n/a" : value.toFixed(3));
  const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1] ?? 1;
  const truthWords = (image) => WORDS[image.label]
    + (image.label === DEFECTIVE && image.defect_type && image.defect_type !== WORDS[DEFECTIVE] ? `: ${image.defect_type}` : "");
  const isWrong = (item) => DECISIONS.wrong[1](item);
  const plainDecision = (item) => (item.decision === null ? "no decision"
    : `${isWrong(item) ? "wrongly " : ""}called ${WORDS[item.decision]}`);
  const decisionWords = (item) => make("span", { className: isWrong(item) ? "wrong" : "", textContent: plainDecision(item) });

  const sheets = [];
  document.querySelectorAll(".contact-sheet").forEach((section) => {
    const view = section.querySelector(".contact-sheet-view");
    const source = section.querySelector("script.contact-sheet-data");
    if (!view || !source) return;
    const data = JSON.parse(source.textContent);
    if (data.images.length && data.methods.length) sheets.push(new Sheet(view, data));
  });
  sheets.forEach((sheet) => sheet.build());
})();
