// Another threshold of peaks: the images that it calls defective, its errors, and its lines for the configuration.
// A peak is the highest value of a map, or the image score of a method that scores only images.

const STEPS = 1000; // of the slider
const BINS = 60; // of the distribution above it
const HEIGHT = 20; // of the distribution, in units of its drawing
const KINDS = [...WORDS, "unknown"];
const NOTHING = "The workflow's threshold is infinite: no image is called defective.";

// Decisions compared with labels and marks, as in zsad/evaluation/decisions.py; NaN if no image is known as defective.
function costs(items) {
  const count = (decision, truth) => items.filter((item) => item.decision === decision && item.truth === truth).length;
  const [found, wrong, missed, passed] = [count(1, DEFECTIVE), count(1, GOOD), count(0, DEFECTIVE), count(0, GOOD)];
  const share = (part, whole) => (found + missed === 0 ? NaN : whole > 0 ? part / whole : 0);
  return {
    wrong,
    missed,
    known: found + wrong + missed + passed,
    precision: share(found, found + wrong),
    recall: share(found, found + missed),
    f1: share(2 * found, 2 * found + wrong + missed),
  };
}

// The image AUROC of labelled or marked images: the share of pairs of a normal and a defective image in which the
// defective one has the higher score, equal scores counted half; NaN if there is no pair.
function auroc(items) {
  const known = items.filter((item) => item.truth !== null && item.score !== null);
  const byScore = new Map();
  known.sort((one, other) => one.score - other.score).forEach(({ score, truth }) => {
    if (!byScore.has(score)) byScore.set(score, [0, 0]);
    byScore.get(score)[truth] += 1;
  });
  let [below, right] = [0, 0];
  byScore.forEach(([good, defective]) => {
    right += defective * (below + good / 2);
    below += good;
  });
  return right / (below * (known.length - below));
}

class ThresholdPanel {
  constructor(sheet) {
    this.sheet = sheet;
    this.own = sheet.data.methods.map(() => null); // thresholds of the user, instead of the workflow's
    this.bars = draw("svg", { class: "sheet-bars", viewBox: `0 0 ${BINS} ${HEIGHT}`, preserveAspectRatio: "none",
      "aria-hidden": "true" });
    this.slider = make("input", { type: "range", min: "0", max: String(STEPS), step: "1",
      oninput: () => this.set(this.atStep(Number(this.slider.value))) });
    this.number = make("input", { type: "number", step: "any",
      oninput: () => this.typed(), onblur: () => this.update() });
    this.reset = button("Reset to the workflow's", () => { this.own[sheet.method] = null; sheet.update(); });
    this.legend = make("p", { className: "small faint" });
    this.cost = make("p", { className: "sheet-cost", attributes: { "aria-live": "polite" } });
    this.rule = make("p", { className: "sheet-rule small faint" });
    this.yaml = make("pre", { tabIndex: 0 });
    this.copied = make("span", { className: "small faint", role: "status" });
    this.element = fold("Try another threshold",
      make("div", { className: "sheet-scale" }, this.bars, this.slider), this.legend,
      make("div", { className: "sheet-fields" }, make("label", {}, "Threshold ", this.number), this.reset),
      this.cost, this.rule, this.keeping());
  }

  keeping() {
    return make("details", { className: "sheet-keep" },
      make("summary", { textContent: "Use this threshold in the workflow" }),
      make("p", { className: "small", textContent: "Write this into the configuration; it then applies to every category:" }),
      this.yaml, make("p", {}, button("Copy", () => this.copy()), " ", this.copied));
  }

  get chosen() {
    return this.own[this.sheet.method];
  }

  // The value that decides, in words: [one, several].
  get what() {
    return this.sheet.current.localises ? ["peak", "peaks"] : ["image score", "image scores"];
  }

  // The workflow's common threshold of all images: null if each has its own, Infinity if nothing exceeds it.
  get common() {
    const { peaks, thresholds } = this.sheet.current;
    const distinct = new Set(thresholds.filter((_, place) => peaks[place] !== null));
    return distinct.size > 1 ? null : [...distinct][0] ?? Infinity;
  }

  // The common threshold of peaks; null if each image has its own.
  get value() {
    return this.chosen ?? this.common;
  }

  // The threshold of the peak of an image; null if nothing exceeds it.
  of(place) {
    return this.chosen ?? this.sheet.current.thresholds[place];
  }

  // First and last value of the slider: beyond all peaks, and beyond the workflow's threshold if it is near them.
  range() {
    const threshold = this.common;
    const known = this.sheet.current.peaks.filter((peak) => peak !== null);
    if (!known.length) return [0, 1];
    let [low, high] = known.reduce(([least, most], peak) => [Math.min(least, peak), Math.max(most, peak)],
      [Infinity, -Infinity]);
    const span = high - low || Math.abs(high) || 1;
    if (threshold !== null && threshold > low - span && threshold < high + span) {
      [low, high] = [Math.min(low, threshold), Math.max(high, threshold)];
    }
    return [low - 0.02 * span, high + 0.02 * span];
  }

  // The value of a step, with just enough digits to distinguish the steps.
  atStep(step) {
    const [low, high] = this.range();
    const digits = 4 + Math.max(0, Math.ceil(Math.log10(Math.max(Math.abs(low), Math.abs(high)) / (high - low))));
    return Number((low + (step / STEPS) * (high - low)).toPrecision(Math.min(17, digits)));
  }

  set(value) {
    this.own[this.sheet.method] = value;
    this.sheet.update();
  }

  typed() {
    const value = Number(this.number.value);
    if (this.number.value === "" || !Number.isFinite(value)) return;
    this.typing = true;
    this.set(value);
    this.typing = false;
  }

  // Peaks are 32-bit numbers, and the workflow compares them as such.
  decisions() {
    const { peaks, decisions } = this.sheet.current;
    const cut = Math.fround(this.chosen);
    const decide = (peak) => (peak === null ? null : Number(Math.fround(peak) > cut));
    return this.chosen === null ? decisions : peaks.map(decide);
  }

  update() {
    const { chosen, value } = this;
    const [low, high] = this.range();
    const isNumber = value !== null && Number.isFinite(value);
    const at = isNumber ? (value - low) / (high - low) : 1;
    this.slider.ariaLabel = `Threshold of ${this.what[1]}`;
    this.number.ariaLabel = `Threshold of ${this.what[1]}, as a number`;
    this.number.placeholder = value === null ? "as decided" : "";
    this.slider.value = String(Math.round(STEPS * between(at, 0, 1)));
    this.slider.setAttribute("aria-valuetext", isNumber ? significant(value) : "as decided");
    if (!this.typing) this.number.value = isNumber ? String(chosen ?? Number(significant(value))) : "";
    this.reset.disabled = chosen === null;
    setText(this.rule, this.inWords());
    setText(this.yaml, this.configuration());
    setText(this.copied, "");
    this.drawBars(low, high, at);
    this.showCost();
  }

  inWords() {
    const [one] = this.what;
    const above = (value) => `n image is called defective if its ${one} is above ${value}.`;
    if (this.chosen !== null) return `A${above(this.chosen)}`;
    if (this.value === null) {
      return `The workflow gives each image its own threshold. Move the slider to use a common one.`;
    }
    if (this.value === Infinity) return NOTHING;
    return `The workflow's threshold: a${above(significant(this.value))}`;
  }

  configuration() {
    const { method, entry = method, pixel_threshold: pixel = null } = this.sheet.current;
    if (entry === null) return "# This method uses the scores of others: it has no threshold to set.";
    if (this.value === null || this.value === Infinity) return "# Move the slider first.";
    const image = `image: ${yamlNumber(this.value)}`;
    const params = pixel === null || pixel > this.value ? image : `${image}, pixel: ${yamlNumber(pixel)}`;
    return `methods:\n  ${yamlText(entry)}:\n    threshold: {rule: fixed, params: {${params}}}\n`;
  }

  // The distribution of peaks: defective at the bottom, then good, then unknown.
  drawBars(low, high, at) {
    const bins = Array.from({ length: BINS }, () => [0, 0, 0]);
    this.sheet.items.filter(({ peak }) => peak !== null).forEach(({ peak, truth }) => {
      bins[between(Math.floor((BINS * (peak - low)) / (high - low)), 0, BINS - 1)][truth ?? 2] += 1;
    });
    const most = Math.max(...bins.map((counts) => counts[0] + counts[1] + counts[2]));
    const drawn = bins.flatMap((counts, bin) => {
      let y = HEIGHT;
      return [1, 0, 2].filter((kind) => counts[kind]).map((kind) => {
        const height = (HEIGHT * counts[kind]) / most;
        y -= height;
        return draw("rect", { class: `sheet-${KINDS[kind]}`, x: bin + 0.08, y, width: 0.84, height });
      });
    });
    const isCut = this.value !== null && this.value !== Infinity && at >= 0 && at <= 1;
    const cut = isCut ? [draw("path", { class: "sheet-cut", d: `M${BINS * at} 0V${HEIGHT}` })] : [];
    this.bars.replaceChildren(...drawn, ...cut);
    const there = [0, 1, 2].filter((kind) => bins.some((counts) => counts[kind]));
    const names = [...WORDS, "no label or mark"];
    const [first, ...rest] = this.what[1];
    this.legend.replaceChildren(`${first.toUpperCase()}${rest.join("")}:`, ...there.flatMap((kind) =>
      [make("i", { className: `sheet-swatch sheet-${KINDS[kind]}` }), names[kind]]));
  }

  showCost() {
    const { items } = this.sheet;
    const found = costs(items);
    const called = items.filter((item) => item.decision === 1).length;
    const marked = items.filter((item) => item.truth !== item.label).length; // other marks agree with labels
    const labelled = found.known - marked;
    const against = [labelled && counted(labelled, "label", "labels"), marked && counted(marked, "mark", "marks")];
    const bold = (text, className = "") => make("b", { textContent: text, className });
    const wrong = (count, text) => bold(text, count ? "wrong" : "");
    const share = (value) => (Number.isNaN(value) ? "n/a" : `${(100 * value).toFixed(1)} %`);
    const told = found.known === 0 ? [" Mark images to see the errors of this threshold."] : [
      ` Against ${against.filter(Boolean).join(" and ")}: `,
      wrong(found.wrong, counted(found.wrong, "false alarm", "false alarms")), ", ",
      wrong(found.missed, `${found.missed} missed`),
      `; precision ${share(found.precision)}, recall ${share(found.recall)}, F1 ${share(found.f1)}.`,
      ` Image AUROC, for any threshold: ${share(auroc(items))}.`,
    ];
    const images = counted(items.length, "image", "images");
    this.cost.replaceChildren(bold(`${called} of ${images} called defective.`), ...told);
  }

  copy() {
    const select = () => {
      getSelection().selectAllChildren(this.yaml);
      setText(this.copied, "Selected: copy it with the keyboard.");
    };
    if (!navigator.clipboard) select();
    else navigator.clipboard.writeText(this.yaml.textContent).then(() => setText(this.copied, "Copied."), select);
  }
}
