// Helpers of the contact sheets: elements, words and numbers. All files contact_sheet.* share one function scope.

const GOOD = 0;
const DEFECTIVE = 1;
const WORDS = ["good", "defective"];
const SVG = "http://www.w3.org/2000/svg";
const ALL = "all"; // the choice that shows everything

// ---- Elements

// An element with properties, data-* values and attributes.
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

const buttons = (ariaLabel, ...children) =>
  make("div", { className: "sheet-buttons", role: "group", ariaLabel }, ...children);

const key = (name) => make("kbd", { textContent: name });

// A label with its list of [value, text], and the list itself.
function choice(name, options, onchange = () => {}) {
  const select = make("select", { ariaLabel: name, onchange: () => onchange(select.value) });
  select.append(...options.map(([value, text]) => make("option", { value, textContent: text })));
  return [make("label", { className: "sheet-choice" }, make("span", { textContent: name }), select), select];
}

function tick(text, checked, onchange = () => {}) {
  const box = make("input", { type: "checkbox", checked, onchange: () => onchange(box.checked) });
  return [make("label", { className: "sheet-tick" }, box, ` ${text}`), box];
}

// A fold of the controls, which is open if the window is wide enough.
function fold(title, ...children) {
  const open = matchMedia("(min-width: 761px)").matches;
  return make("details", { className: "sheet-fold", open }, make("summary", { textContent: title }), ...children);
}

// Unchanged text is not set again, so that screen readers do not read it again.
const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

// ---- Words and numbers

const counted = (number, one, many) => `${number} ${number === 1 ? one : many}`;
const significant = (value) => (value === null ? "unknown" : String(Number(value.toPrecision(4))));
const brief = (value) => (value < 0.001 ? "below 0.001" : String(Number(value.toPrecision(2))));
// Two numbers with just enough digits to differ; the texts are equal only if the numbers are.
const distinctTexts = (one, other) => [4, 6, 9, 17].map((digits) =>
  [one, other].map((value) => String(Number(value.toPrecision(digits))))).find(([first, second]) => first !== second)
  ?? [significant(one), significant(other)];
// How unlikely the peak of an image is in a normal image, by the measure of the rule.
const surprises = {
  __proto__: null,
  p_value: (value) => `P-value ${brief(value)}: about this share of normal images has such a high peak.`,
  false_alarms: (value) => `False alarms ${brief(value)}: expected number of patches as anomalous as this in a normal image.`,
};
const between = (value, low, high) => Math.min(high, Math.max(low, value));
const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];

// YAML 1.1 reads 1e-7 as text: a number with an exponent needs a point.
const yamlNumber = (value) => String(value).replace(/^(-?\d+)e/, "$1.0e");
// A JSON string is also a YAML string, except for control characters beyond ASCII.
const yamlText = (text) => JSON.stringify(text).replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, (sign) =>
  `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);

const isWrong = (item) => item.truth !== null && item.decision !== null && item.decision !== item.truth;
const decided = (item) =>
  (item.decision === null ? "no decision" : `${isWrong(item) ? "wrongly " : ""}called ${WORDS[item.decision]}`);
const decisionWords = (item) => make("span", { className: isWrong(item) ? "wrong" : "", textContent: decided(item) });
const labelWords = ({ label, defect_type: type }) =>
  (label === DEFECTIVE && type && type !== WORDS[DEFECTIVE] ? `defective: ${type}` : WORDS[label]);

// The common folder of all paths, with its "/".
function commonFolder([first, ...others]) {
  const steps = first.split("/").slice(0, -1);
  const folders = steps.map((_, place) => `${steps.slice(0, place + 1).join("/")}/`).reverse();
  return folders.find((folder) => others.every((path) => path.startsWith(folder))) ?? "";
}
