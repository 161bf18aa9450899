// The contact sheets: all images of a category, ranked, filtered and ordered, with the views that open from them.

const FIRST = 48; // images that are shown at first, and added by each "Show more"
const MANY = 200; // with more images, the browser skips the layout of those outside the window
const MARK_KEYS = { __proto__: null, g: GOOD, d: DEFECTIVE, u: null };
const ANYTHING = ["all", () => true];

// By name: the choices, each with its text and the items that it shows.
const FILTERS = {
  decision: {
    [ALL]: ANYTHING,
    defective: ["called defective", (item) => item.decision === 1],
    good: ["called good", (item) => item.decision === 0],
    wrong: ["wrongly called", isWrong],
  },
  label: {
    [ALL]: ANYTHING,
    good: ["good", (item) => item.label === GOOD],
    defective: ["defective", (item) => item.label === DEFECTIVE],
    unknown: ["no label", (item) => item.label === null],
  },
  mark: {
    [ALL]: ANYTHING,
    none: ["not marked", (item) => item.mark === null],
    good: ["marked good", (item) => item.mark === GOOD],
    defective: ["marked defective", (item) => item.mark === DEFECTIVE],
  },
};
const ORDERS = {
  most: ["most anomalous first", (one, other) => (other.score ?? -Infinity) - (one.score ?? -Infinity)],
  least: ["least anomalous first", (one, other) => (one.score ?? Infinity) - (other.score ?? Infinity)],
  nearest: ["nearest to the threshold first", (one, other) => one.distance - other.distance],
  name: ["by name", (one, other) => one.image.path.localeCompare(other.image.path, "en", { numeric: true })],
};
const options = (table) => Object.entries(table).map(([value, [text]]) => [value, text]);
const typeOf = (image) => (image.label === DEFECTIVE && image.defect_type) || "";

function filtersOf(images) {
  const types = [...new Set(images.map(typeOf))].filter(Boolean).sort();
  const byType = types.map((type) => [`=${type}`, [type, (item) => typeOf(item.image) === type]]);
  return { ...FILTERS, defect: { [ALL]: ANYTHING, ...Object.fromEntries(byType) } };
}

class Sheet {
  constructor(view, data) {
    this.view = view;
    this.data = data;
    this.method = 0;
    this.filters = filtersOf(data.images);
    this.chosen = Object.fromEntries(Object.keys(this.filters).map((name) => [name, ALL]));
    this.name = ""; // text that names must contain
    this.order = "most";
    this.limit = FIRST; // number of images that are shown
    this.layers = { map: false, outline: false }; // on the thumbnails
    this.marks = new Marks([data.dataset, data.root ?? "", data.category]);
    this.items = []; // data of all images, with marks and decisions
    this.listed = []; // items that the filters show, in order
    this.cells = new Map(); // by position of the image
    this.common = commonFolder(data.images.map(({ path }) => path)).length;
  }

  get current() {
    return this.data.methods[this.method];
  }

  build(sheets) {
    const { category, colours, images } = this.data;
    const shape = between(median(images.map(({ width, height }) => width / height)), 0.75, 1.6);
    this.view.style.setProperty("--tile", String(shape));
    addRamp(this.view, colours);
    const listed = { "aria-label": `Images of ${category}`, role: "list" };
    this.grid = make("ol", { className: "sheet-grid", attributes: listed,
      onclick: (event) => this.clicked(event), onkeydown: (event) => this.pressed(event) });
    this.more = make("p", { className: "sheet-more" });
    this.status = make("p", { className: "sheet-status", role: "status" });
    this.none = make("p", { textContent: "No image matches.", hidden: true });
    this.threshold = new ThresholdPanel(this);
    this.marking = new MarksPanel(this, sheets);
    this.large = new LargeView(this);
    const panels = make("div", { className: "sheet-panels" }, this.threshold.element, this.marking.element);
    this.view.append(this.controls(), panels, this.status, this.grid, this.none, this.more, this.large.dialog);
    this.update();
    window.addEventListener("storage", (event) => {
      if (event.key !== null && event.key !== this.marks.key) return;
      this.marks.refresh();
      this.update();
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.marks.complaint && this.marks.size) event.preventDefault();
    });
  }

  // ---- Choices

  controls() {
    const { images, methods } = this.data;
    const changed = () => { this.limit = FIRST; this.update(); };
    const titles = methods.map((method, place) => [String(place), method.title]);
    const [method] = choice("Method", titles, (value) => {
      this.method = Number(value);
      this.cells.clear();
      changed();
    });
    method.hidden = methods.length < 2;
    const [decision, label, mark, defect] = ["decision", "label", "mark", "defect"].map((name) =>
      this.filter(name, changed));
    label.hidden = images.every((image) => image.label === null);
    defect.hidden = Object.keys(this.filters.defect).length < 3;
    const [order] = choice("Order", options(ORDERS), (value) => { this.order = value; changed(); });
    const search = make("input", { type: "search", ariaLabel: "Name contains",
      oninput: () => { this.name = search.value.trim().toLowerCase(); changed(); } });
    const name = make("label", { className: "sheet-choice" }, make("span", { textContent: "Name contains" }), search);
    const layers = Object.keys(this.layers).map((layer) => tick(layer, false, (on) => {
      this.layers[layer] = on;
      this.cells.clear();
      this.update();
    })[0]);
    return make("div", { className: "sheet-controls", role: "group", ariaLabel: "Which images are shown, and how" },
      method, decision, label, defect, mark, order, name,
      make("span", { className: "sheet-ticks" }, "On the thumbnails: ", ...layers));
  }

  filter(name, changed) {
    const title = name[0].toUpperCase() + name.slice(1);
    const choose = (value) => { this.chosen[name] = value; changed(); };
    const [label, select] = choice(title, options(this.filters[name]), choose);
    (this.selects ??= {})[name] = select;
    return label;
  }

  matches(item, without = "") {
    return item.image.path.toLowerCase().includes(this.name)
      && Object.entries(this.chosen).every(([name, value]) => name === without || this.filters[name][value][1](item));
  }

  // ---- Marks

  mark(place, mark) {
    this.marks.set([[this.data.images[place].path, mark]]);
    this.update();
  }

  undo() {
    const paths = this.marks.undo();
    this.update();
    return paths;
  }

  // ---- The list

  update() {
    const { scores, peaks, notes } = this.current;
    const decisions = this.threshold.decisions();
    const ranks = new Map();
    scores.filter((score) => score !== null).sort((one, other) => other - one).forEach((score, place) => {
      if (!ranks.has(score)) ranks.set(score, place + 1);
    });
    const mostPeak = Math.max(...peaks.filter((peak) => peak !== null));
    this.items = this.data.images.map((image, place) => {
      const [mark, score, peak] = [this.marks.get(image.path), scores[place], peaks[place]];
      const known = { label: image.label, truth: mark ?? image.label, decision: decisions[place] ?? null };
      return { place, image, mark, score, peak, ...known, note: notes[place], rank: ranks.get(score) ?? "–",
        distance: peak === null ? Infinity : Math.abs(peak - (this.threshold.of(place) ?? mostPeak)) };
    });
    this.listed = this.items.filter((item) => this.matches(item)).sort(ORDERS[this.order][1]);
    this.fillGrid();
    this.showCounts();
    this.threshold.update();
    this.marking.update();
    if (this.large.isOpen) this.large.update();
  }

  // Show the number of images, and for each choice the number that it would show with the other choices unchanged.
  showCounts() {
    Object.entries(this.selects).forEach(([name, select]) => {
      const others = this.items.filter((item) => this.matches(item, name));
      [...select.options].forEach((option) => {
        const [text, shows] = this.filters[name][option.value];
        setText(option, `${text} (${others.filter(shows).length})`);
      });
    });
    const [all, matching, shown] = [this.items.length, this.listed.length, Math.min(this.limit, this.listed.length)];
    const images = counted(all, "image", "images");
    const of = matching === all ? images : `${matching} that match, of ${images}`;
    setText(this.status, `Showing ${shown < matching ? `${shown} of ` : matching === all ? "all " : ""}${of}.`);
    const left = matching - shown;
    this.more.replaceChildren(
      ...(left > 0 ? [button(`Show ${Math.min(FIRST, left)} more`, () => this.showMore(FIRST))] : []),
      ...(left > FIRST ? [button(`Show all ${matching}`, () => this.showMore(Infinity))] : []));
  }

  showMore(count) {
    const first = this.listed[this.limit];
    this.limit += count;
    this.update();
    this.focus(first.place);
  }

  fillGrid() {
    const { grid } = this;
    const cells = this.listed.slice(0, this.limit).map((item) => this.cell(item));
    const focused = grid.contains(document.activeElement) ? document.activeElement.closest("li") : null;
    const at = [...grid.children].indexOf(focused);
    const isSame = cells.length === grid.children.length && cells.every((cell, place) => grid.children[place] === cell);
    if (!isSame) grid.replaceChildren(...cells);
    grid.classList.toggle("sheet-many", cells.length > MANY);
    this.none.hidden = cells.length > 0;
    const shots = cells.map((cell) => cell.firstElementChild);
    if (shots.length && !shots.some((shot) => shot.tabIndex === 0)) shots[0].tabIndex = 0;
    if (focused && !isSame) this.focus(Number(focused.dataset.place), Math.min(at, cells.length - 1), true);
  }

  // The cell of an image, made once and then updated.
  cell(item) {
    const { place } = item;
    if (!this.cells.has(place)) this.cells.set(place, this.newCell(item));
    const cell = this.cells.get(place);
    const state = `${item.decision} ${item.mark}`;
    if (cell.dataset.state !== state) {
      cell.dataset.state = state;
      this.describe(cell.firstElementChild, item);
    }
    return cell;
  }

  newCell({ place, image }) {
    const picture = make("span", { className: "sheet-picture" });
    const [map, polygons] = [this.current.maps[place], this.current.outlines[place]];
    paint(picture, image, this.layers.map ? map : null, this.layers.outline ? polygons : null);
    const parts = ["sheet-badge", "sheet-name", "sheet-words"].map((className) => make("span", { className }));
    const shot = make("button", { type: "button", className: "sheet-shot", tabIndex: -1 },
      make("span", { className: "sheet-frame" }, picture), ...parts);
    return make("li", { dataset: { place: String(place) } }, shot);
  }

  describe(shot, item) {
    const { image, label, mark, rank } = item;
    const [, badge, name, words] = shot.children;
    shot.classList.toggle("sheet-called", item.decision === 1);
    badge.className = `sheet-badge ${mark === null ? "" : `sheet-${WORDS[mark]}`}`;
    badge.textContent = mark === null ? "" : `${mark === GOOD ? "✓" : "✕"} ${WORDS[mark]}`;
    name.replaceChildren(make("b", { textContent: String(rank) }), ` ${image.path.slice(this.common)}`);
    name.title = image.path;
    words.replaceChildren(`${significant(item.score)} · `, decisionWords(item));
    if (label !== null) {
      const textContent = `label: ${image.defect_type || WORDS[label]}`;
      words.append(make("span", { className: "sheet-label", textContent }));
    }
    shot.ariaLabel = `Rank ${rank}: ${image.path}, score ${significant(item.score)}, ${decided(item)}`
      + `${label === null ? "" : `, label: ${labelWords(image)}`}${mark === null ? "" : `, marked ${WORDS[mark]}`}`;
  }

  // Focus an image; if it is not in the list, the image at its position.
  focus(place, position = 0, preventScroll = false) {
    const cell = this.cells.get(place);
    const target = (cell?.isConnected ? cell : this.grid.children[position])?.firstElementChild;
    if (!target) return;
    this.grid.querySelectorAll('[tabindex="0"]').forEach((one) => { one.tabIndex = -1; });
    target.tabIndex = 0;
    target.focus({ preventScroll });
  }

  clicked(event) {
    const cell = event.target.closest("li");
    if (cell) this.large.open(Number(cell.dataset.place));
  }

  pressed(event) {
    const cell = event.target.closest("li");
    if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
    const mark = MARK_KEYS[event.key.toLowerCase()];
    const neighbour = this.neighbour(cell, event.key);
    if (mark !== undefined) this.mark(Number(cell.dataset.place), mark);
    else if (event.key.toLowerCase() === "z") this.undo();
    else if (neighbour) this.focus(Number(neighbour.dataset.place));
    else return;
    event.preventDefault();
  }

  // The cell that a key leads to; the same cell at the borders, and null for other keys.
  neighbour(cell, pressed) {
    const cells = [...this.grid.children];
    const second = cells.findIndex((other) => other.offsetTop > cells[0].offsetTop);
    const columns = second < 0 ? cells.length : second;
    const at = cells.indexOf(cell);
    const to = { __proto__: null, ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns,
      Home: 0, End: cells.length - 1 }[pressed];
    return to === undefined ? null : cells[to] ?? cell;
  }

  // Return from the large view to the list, at the image that was shown last.
  returnTo(place) {
    const at = this.listed.findIndex((item) => item.place === place);
    if (at >= this.limit) {
      this.limit = at + 1;
      this.update();
    }
    this.focus(place);
  }
}

const sheets = [...document.querySelectorAll(".contact-sheet")].flatMap((section) => {
  const data = JSON.parse(section.querySelector("script.contact-sheet-data")?.textContent ?? "null");
  const isEmpty = !data?.images.length || !data.methods.length;
  return isEmpty ? [] : [new Sheet(section.querySelector(".contact-sheet-view"), data)];
});
sheets.forEach((sheet) => sheet.build(sheets));
