// An image with its map and outline, small in the list and large in its own view.

const SWIPE = 48; // px

let ramps = 0;

// Colours for grey maps: a filter, because a page may not read the pixels of files beside it.
function addRamp(view, colours) {
  ramps += 1;
  const identifier = `sheet-ramp-${ramps}`;
  const values = (place) => colours.map((colour) => parseInt(colour.slice(1 + 2 * place, 3 + 2 * place), 16) / 255);
  const functions = ["R", "G", "B"].map((name, place) =>
    draw(`feFunc${name}`, { type: "table", tableValues: values(place).map((value) => value.toFixed(4)).join(" ") }));
  const whole = { "color-interpolation-filters": "sRGB", x: 0, y: 0, width: 1, height: 1 };
  const ramp = draw("filter", { id: identifier, ...whole },
    draw("feComponentTransfer", {}, ...functions));
  view.append(draw("svg", { class: "sheet-ramp", width: 0, height: 0, "aria-hidden": "true" }, ramp));
  view.style.setProperty("--sheet-ramp", `url("#${identifier}")`);
}

// Polygons in shares of width and height as the path of a drawing in pixels.
function outlinePath(polygons, width, height) {
  const sizes = [width, height];
  const lines = polygons.map((shares) => shares.map((share, place) => (share * sizes[place % 2]).toFixed(1)));
  return lines.filter((line) => line.length).map((line) => `M${line.join(" ")}Z`).join("");
}

// Show the photograph, with its map and outline where they are given.
function paint(place, image, map, polygons) {
  const { width, height } = image;
  const layers = [make("img", { loading: "lazy", decoding: "async", alt: "", draggable: false, src: image.thumbnail })];
  if (map) layers.push(make("img", { className: "sheet-map", loading: "lazy", alt: "", draggable: false, src: map }));
  if (polygons?.length) {
    const d = outlinePath(polygons, width, height);
    const box = { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "sheet-outline" };
    layers.push(draw("svg", box, draw("path", { class: "halo", d }), draw("path", { class: "photograph", d })));
  }
  place.style.setProperty("--ratio", String(width / height));
  place.replaceChildren(...layers);
}

class LargeView {
  constructor(sheet) {
    this.sheet = sheet;
    this.layers = { map: true, outline: true };
    this.picture = make("span", { className: "sheet-picture" });
    this.stage = make("div", { className: "sheet-stage" }, this.picture);
    this.title = make("h3", { className: "sheet-title", tabIndex: -1 });
    this.facts = make("div", { className: "sheet-facts", attributes: { "aria-live": "polite" } });
    this.toggles = {
      map: button("Map", () => this.toggle("map")),
      outline: button("Outline", () => this.toggle("outline")),
    };
    this.fade = make("input", { type: "range", min: "0", max: "100", step: "5", value: "55",
      oninput: () => this.setFade() });
    this.choices = [[GOOD, "Good"], [DEFECTIVE, "Defective"], [null, "No mark"]].map(([mark, text]) =>
      [mark, button(text, () => this.mark(mark), { className: mark === null ? "" : `sheet-${WORDS[mark]}` })]);
    [this.onwardLabel, this.onward] = tick("go to the next image after marking", false);
    this.undo = button("Undo", () => this.takeBack());
    this.previous = button("‹ Previous", () => this.go(-1));
    this.next = button("Next ›", () => this.go(1));
    this.dialog = make("dialog", { className: "sheet-large", ariaLabel: "Large view",
      onkeydown: (event) => this.pressed(event), onclose: () => sheet.returnTo(this.shown),
      onclick: (event) => { if (event.target === this.dialog) this.dialog.close(); } },
    this.stage, this.side(), button("×", () => this.dialog.close(), { className: "sheet-close", ariaLabel: "Close" }));
    this.stage.addEventListener("pointerdown", (event) => { this.swipe = [event.clientX, event.clientY]; });
    this.stage.addEventListener("pointerup", (event) => this.swiped(event));
    this.stage.addEventListener("pointercancel", () => { this.swipe = null; });
    this.setFade();
  }

  side() {
    const keys = [[["←", "→"], "previous, next"], [["M"], "map"], [["O"], "outline"], [["G"], "good"],
      [["D"], "defective"], [["U"], "no mark"], [["Z"], "undo"], [["Esc"], "close"]];
    const help = keys.flatMap(([names, does], place) =>
      [place ? " · " : "", ...names.flatMap((name) => [key(name), " "]), does]);
    const fade = make("label", { className: "sheet-fade" }, "opacity of the map ", this.fade);
    return make("div", { className: "sheet-side" }, this.title, this.facts,
      buttons("Mark this image", ...this.choices.map(([, one]) => one), this.undo),
      buttons("Layers", this.toggles.map, this.toggles.outline, fade),
      buttons("Images", this.previous, this.next), this.onwardLabel,
      make("p", { className: "sheet-keys small faint" }, ...help));
  }

  get isOpen() {
    return this.dialog.open;
  }

  // Open an image; previous and next follow the current list, even if marks change it later.
  open(place) {
    this.walk = this.sheet.listed.map((item) => item.place);
    this.shown = place;
    this.update();
    this.dialog.showModal();
    this.title.focus();
  }

  update() {
    const { current, items, marks } = this.sheet;
    const item = items[this.shown];
    const [map, polygons] = [current.maps[this.shown], current.outlines[this.shown]];
    const painted = JSON.stringify([this.sheet.method, this.shown, this.layers]);
    if (this.painted !== painted) {
      paint(this.picture, item.image, this.layers.map ? map : null, this.layers.outline ? polygons : null);
      this.painted = painted;
    }
    setText(this.title, item.image.path);
    this.showFacts(item);
    Object.entries({ map: Boolean(map), outline: Boolean(polygons?.length) }).forEach(([layer, isThere]) => {
      this.toggles[layer].ariaPressed = String(this.layers[layer]);
      this.toggles[layer].title = isThere ? "" : `${current.title} has no ${layer} for this image`;
      this.toggles[layer].classList.toggle("sheet-absent", !isThere);
    });
    this.choices.forEach(([mark, one]) => { one.ariaPressed = String(item.mark === mark); });
    this.undo.disabled = !marks.canUndo;
    const at = this.walk.indexOf(this.shown);
    this.previous.disabled = at <= 0;
    this.next.disabled = at >= this.walk.length - 1;
    if (document.activeElement?.disabled) this.title.focus();
  }

  showFacts(item) {
    const { current, items } = this.sheet;
    const { width, height } = item.image;
    const label = item.label === null ? "" : ` · label: ${labelWords(item.image)}`;
    const mark = item.mark === null ? "Not marked."
      : make("b", { className: `sheet-told sheet-${WORDS[item.mark]}`, textContent: `Marked ${WORDS[item.mark]}.` });
    const ranked = `Rank ${item.rank} of ${items.length} by ${current.title}`;
    const lines = [
      [`${ranked} · score ${significant(item.score)} · `, decisionWords(item)],
      ...(item.peak === null ? [] : [[this.reason(item)]]),
      [`${this.walk.indexOf(this.shown) + 1} of ${this.walk.length} in the list · ${width} × ${height} px${label}`],
      ...(item.note ? [[item.note]] : []),
      [mark],
    ];
    this.facts.replaceChildren(...lines.map((line) => make("p", {}, ...line)));
  }

  // Why the image is called defective or good.
  reason({ place, peak, decision }) {
    const { measure, significance, localises } = this.sheet.current;
    const [threshold, own] = [this.sheet.threshold.of(place), this.sheet.threshold.chosen !== null];
    const [one, other] = threshold === null ? [significant(peak), ""] : distinctTexts(peak, threshold);
    const what = localises ? `Highest value of its map (peak) ${one}` : `Image score ${one}`;
    const compared = threshold === null ? "nothing exceeds the threshold"
      : `${decision === 1 ? "above" : "not above"} ${own ? "your" : "the"} threshold ${other}`;
    const surprise = significance[place] === null || !measure ? "" : ` ${surprises[measure](significance[place])}`;
    return `${what}${threshold === null ? "; " : ", "}${compared}.${surprise}`;
  }

  go(by) {
    this.goTo(this.walk.indexOf(this.shown) + by);
  }

  goTo(at) {
    if (this.walk[at] === undefined) return;
    this.shown = this.walk[at];
    this.update();
  }

  toggle(layer) {
    this.layers[layer] = !this.layers[layer];
    this.update();
  }

  setFade() {
    this.sheet.view.style.setProperty("--sheet-opacity", String(Number(this.fade.value) / 100));
  }

  mark(mark) {
    this.sheet.mark(this.shown, mark);
    if (this.onward.checked && mark !== null) this.go(1);
  }

  // Undo, and go to the image that it changes.
  takeBack() {
    const paths = this.sheet.undo();
    const place = this.sheet.data.images.findIndex((image) => image.path === paths[0]);
    if (paths.length === 1 && this.walk.includes(place)) this.goTo(this.walk.indexOf(place));
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const mark = MARK_KEYS[event.key.toLowerCase()];
    const last = this.walk.length - 1;
    const moves = event.target.type === "range" ? {} : {
      ArrowRight: () => this.go(1),
      ArrowLeft: () => this.go(-1),
      Home: () => this.goTo(0),
      End: () => this.goTo(last),
    };
    const does = { m: () => this.toggle("map"), o: () => this.toggle("outline"), z: () => this.takeBack() };
    const act = mark === undefined ? moves[event.key] ?? does[event.key.toLowerCase()] : () => this.mark(mark);
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
}
