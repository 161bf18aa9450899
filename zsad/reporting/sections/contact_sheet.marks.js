// Marks: stored in the browser, written as a table that `layout: csv` reads as labels, and read from such a table.

// ---- Tables

// No spreadsheet may compute a cell, even if it splits at ";" or tabs (see zsad/files/csv_cells.py). "./" before a path
// leads to the same file, and protects a beginning that a reader would trim or expand.
const ACTIVE = "=+\\-@\\t\\r\\n\\0＝＋－＠﹦﹢﹣﹫";
const WOULD_ACT = `(?=['"\\s]*[${ACTIVE}])`;
const UNSAFE = new RegExp(`(?:^|(?<=[;\\t\\r\\n]))${WOULD_ACT}`, "gu");
const MADE_SAFE = new RegExp(`(?:^|(?<=[;\\t\\r\\n]))'${WOULD_ACT}`, "gu");
const NEEDS_PREFIX = new RegExp(`^${WOULD_ACT}|^[\\s\\x1c-\\x1f\\x85~]`, "u");
const harmlessPath = (path) => (NEEDS_PREFIX.test(path) ? `./${path}` : path);
const harmlessText = (text) => text.replace(UNSAFE, "'");
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
    const of = (cells[category] ?? "").replace(MADE_SAFE, "");
    return { path: plainPath(cells[path] ?? ""), category: of, label: LABELS.get(word) };
  });
}

// ---- Storage in the browser

class Marks {
  constructor(key) {
    this.key = `zsad marks ${JSON.stringify(key)}`;
    this.complaint = "";
    this.past = [];
    this.marks = this.stored() ?? new Map();
  }

  // The stored marks; null if the browser does not let the page read them.
  stored() {
    try {
      const found = Object.entries(JSON.parse(localStorage.getItem(this.key) ?? "{}") ?? {});
      return new Map(found.filter(([, mark]) => mark === GOOD || mark === DEFECTIVE));
    } catch (error) {
      if (!(error instanceof SyntaxError)) this.complaint = "This browser does not let the page store marks";
      return null;
    }
  }

  get size() {
    return this.marks.size;
  }

  get canUndo() {
    return this.past.length > 0;
  }

  get(path) {
    return this.marks.get(path) ?? null;
  }

  // Set the marks of several images, as one change that can be undone; null removes a mark.
  set(changes) {
    const before = changes.map(([path]) => [path, this.get(path)]);
    if (changes.every(([, mark], place) => mark === before[place][1])) return;
    this.past.push(before);
    this.change(changes);
  }

  // Undo the last change; return the paths of its images.
  undo() {
    const before = this.past.pop() ?? [];
    this.change(before);
    return before.map(([path]) => path);
  }

  clear() {
    this.set([...this.marks.keys()].map((path) => [path, null]));
  }

  change(changes) {
    if (!this.complaint) this.refresh(); // another window may have changed the marks meanwhile
    changes.forEach(([path, mark]) => (mark === null ? this.marks.delete(path) : this.marks.set(path, mark)));
    try {
      if (this.marks.size) localStorage.setItem(this.key, JSON.stringify(Object.fromEntries(this.marks)));
      else localStorage.removeItem(this.key);
      this.complaint = "";
    } catch (error) {
      const isFull = error.name === "QuotaExceededError";
      this.complaint = `This browser ${isFull ? "has no room left for marks" : "does not let the page store marks"}`;
    }
  }

  refresh() {
    this.marks = this.stored() ?? this.marks;
  }
}
