// This script sorts tables, filters by method and opens figures for printing. The page also works without it.
"use strict";

function sortBody(body, column, direction) {
  const rows = [...body.querySelectorAll("tr:not(.setting)")];
  const key = (row) => {
    const cell = row.children[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  const isMissing = (value) => value === "";
  const compare = (first, second) => {
    const [a, b] = [key(first), key(second)];
    if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
    if (typeof a === "number" && typeof b === "number") return direction * (a - b);
    return direction * String(a).localeCompare(String(b), "en", { numeric: true });
  };
  rows.sort(compare).forEach((row) => body.append(row));
}

document.querySelectorAll("table.sortable").forEach((table) => {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      [...table.tBodies].forEach((body) => sortBody(body, column, descending ? -1 : 1));
    });
  });
});

const filter = document.querySelector(".filter");
if (filter) {
  filter.hidden = false;
  filter.addEventListener("change", () => {
    const shown = new Set([...filter.querySelectorAll("input:checked")].map((box) => box.value));
    document.querySelectorAll("[data-method]").forEach((element) => {
      element.hidden = !shown.has(element.dataset.method);
    });
  });
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = target?.closest("details");
  if (!fold || fold.open) return;
  fold.open = true;
  target.scrollIntoView();
}
window.addEventListener("hashchange", openTarget);
openTarget();

// Shrink tables that are wider than the paper, each as much as needed.
const PAPER = "273mm"; // A4 landscape without its margins
function fitToPaper() {
  const rules = [...document.styleSheets[0].cssRules].filter((rule) => rule instanceof CSSMediaRule);
  const media = rules.map((rule) => rule.media.mediaText);
  const tables = [...document.querySelectorAll(".scroll > table")];
  const { width } = document.body.style;
  tables.forEach((table) => table.style.removeProperty("--fit"));
  rules.forEach((rule) => { rule.media.mediaText = rule.media.mediaText === "print" ? "all" : "not all"; });
  document.body.style.width = PAPER;
  const fits = tables.map((table) => (table.offsetWidth ? document.body.clientWidth / table.offsetWidth : 1));
  document.body.style.width = width;
  rules.forEach((rule, place) => { rule.media.mediaText = media[place]; });
  tables.forEach((table, place) => {
    if (fits[place] < 1) table.style.setProperty("--fit", String(0.99 * fits[place]));
  });
}

// For printing, open every figure, and close the galleries, which would need many sheets.
let folds = [];
window.addEventListener("beforeprint", () => {
  folds = [...document.querySelectorAll("details")].map((fold) => [fold, fold.open]);
  folds.forEach(([fold]) => {
    if (fold.matches(".gallery")) fold.open = false;
    else if (fold.querySelector(".plot")) fold.open = true;
  });
  fitToPaper();
});
window.addEventListener("afterprint", () => folds.forEach(([fold, open]) => { fold.open = open; }));
