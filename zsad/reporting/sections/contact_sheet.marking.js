// The marks of a sheet: count, undo, clear, download as a table of labels, and load from such a table.

class MarksPanel {
  constructor(sheet, sheets) {
    this.sheet = sheet;
    this.sheets = sheets; // of the page
    this.tally = make("p", { className: "sheet-tally", role: "status" });
    this.notice = make("p", { className: "sheet-notice note", role: "alert", hidden: true });
    this.said = make("p", { className: "small", role: "status" });
    this.undo = button("Undo", () => sheet.undo());
    this.clear = button("Clear marks…", () => this.askToClear());
    const file = make("input", { type: "file", accept: ".csv,text/csv", hidden: true,
      onchange: () => this.load(file) });
    const labelled = sheet.data.images.some((image) => image.label !== null);
    const listed = labelled ? "listed with their present label" : "listed without a label";
    const [unmarked, rest] = choice("Images without a mark are", [["list", listed], ["leave", "left out"]]);
    const [others, together] = tick("with the other categories of this page", sheets.length > 1);
    others.hidden = sheets.length < 2;
    Object.assign(this, { rest, together });
    this.element = fold("Mark images as good or defective", this.help(), this.tally, this.notice,
      buttons("Marks", button("Download marks (CSV)", () => this.download(), { className: "sheet-main" }),
        button("Load marks…", () => file.click()), file, this.undo, this.clear),
      make("div", { className: "sheet-saving" }, unmarked, others), this.said, this.whereTo());
  }

  help() {
    return make("p", { className: "small faint" }, "Open an image, or select one with the arrow keys, and press ",
      key("G"), " good, ", key("D"), " defective or ", key("U"), " no mark. This browser stores the marks.");
  }

  whereTo() {
    const { root, images, references = [] } = this.sheet.data;
    const folder = root === "." ? "the working folder of the workflow"
      : root ? make("code", { textContent: root }) : "the folder of the images (dataset.root)";
    const good = references.length ? ", and the normal references" : "";
    const table = `${(root || "path/to/the/images").replace(/\/+$/, "")}/${this.fileName}`;
    return make("div", { className: "sheet-where small" },
      make("p", {}, `The table lists the images, with marks as labels${good}.`,
        images.some(typeOf) ? " It has no masks and no defect types." : "", " Put it into ", folder,
        " and write this into the configuration, instead of layout, root and params:"),
      make("pre", { tabIndex: 0, textContent: `dataset:\n  layout: csv\n  root: ${yamlText(table)}\n` }));
  }

  get fileName() {
    const { dataset, category } = this.sheet.data;
    const name = this.sheets.length > 1 ? dataset : `${dataset} ${category}`;
    return `${name.replace(/[^\p{L}\p{N}.-]+/gu, "_").replace(/^[._-]+|[._-]+$/g, "") || "images"}_marks.csv`;
  }

  askToClear() {
    const { marks, data, view } = this.sheet;
    const ask = make("dialog", { className: "sheet-ask", ariaLabel: "Clear the marks?", onclose: () => ask.remove() });
    const clear = () => {
      ask.close();
      marks.clear();
      this.sheet.update();
    };
    const question = `Clear ${counted(marks.size, "mark", "marks")} of ${data.category}? `
      + "Undo brings them back while this page is open.";
    ask.append(make("p", { textContent: question }), buttons("Answer",
      button("Keep them", () => ask.close(), { autofocus: true }),
      button("Clear them", clear, { className: "sheet-main" })));
    view.append(ask);
    ask.showModal();
  }

  // The lines of the table for the sheet's category; normal references are listed for training.
  rows(leavesOut) {
    const { category, images, references = [] } = this.sheet.data;
    const tests = images.map(({ path, label }) => ({ path, label, mark: this.sheet.marks.get(path) }))
      .filter(({ mark }) => mark !== null || !leavesOut)
      .map(({ path, label, mark }) => ({ path, category, split: "test", label: WORDS[mark ?? label] ?? "" }));
    return [...tests, ...references.map((path) => ({ path, category, split: "train", label: WORDS[GOOD] }))];
  }

  download() {
    const leavesOut = this.rest.value === "leave";
    const rows = (this.together.checked ? this.sheets : [this.sheet]).flatMap(({ marking }) => marking.rows(leavesOut));
    if (!rows.some((row) => row.split === "test")) {
      setText(this.said, "Nothing is marked: the table would be empty.");
      return;
    }
    const address = URL.createObjectURL(new Blob([tableOf(rows)], { type: "text/csv;charset=utf-8" }));
    make("a", { href: address, download: this.fileName }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    const labelled = rows.filter((row) => row.label).length;
    setText(this.said, `${this.fileName}: ${counted(rows.length, "image", "images")}, ${labelled} with a label.`);
  }

  async load(input) {
    const [file] = input.files;
    if (!file) return;
    try {
      const { images, category } = this.sheet.data;
      const rows = readTable(await file.text());
      const known = new Set(images.map((image) => image.path));
      const own = rows.filter((row) => known.has(row.path) && (!row.category || row.category === category));
      const marked = own.filter((row) => row.label !== null);
      this.sheet.marks.set(marked.map((row) => [row.path, row.label]));
      this.sheet.update();
      const others = rows.length - own.length;
      setText(this.said, `${file.name}: ${counted(marked.length, "mark", "marks")} loaded`
        + `${others ? `; ${counted(others, "line is", "lines are")} not about images of this sheet` : ""}.`);
    } catch (error) {
      setText(this.said, `${file.name} was not loaded: ${error.message}.`);
    }
    input.value = "";
  }

  update() {
    const { items, marks } = this.sheet;
    const count = (mark) => items.filter((item) => item.mark === mark).length;
    setText(this.tally, `${count(GOOD)} marked good, ${count(DEFECTIVE)} defective, ${count(null)} not marked.`);
    this.undo.disabled = !marks.canUndo;
    this.clear.disabled = !marks.size;
    this.notice.hidden = !marks.complaint;
    const lost = "the marks are lost when the page is closed. Download them first.";
    setText(this.notice, marks.complaint && `${marks.complaint}: ${lost}`);
  }
}
