"use strict";
// The browser of single predictions. What the rows say is text to be shown, never markup: every
// node is made by name and filled through textContent.
(() => {
  const SHOWN = 25;
  const NAMES = ["not DE", "up", "down", "unread"];
  const OUTCOMES = ["right", "wrong", "unread", "not in the file"];
  const SVG = "http://www.w3.org/2000/svg";
  const at = (id) => document.getElementById(id);
  const state = { rows: null, hits: [], from: 0, open: new Set(), pages: new Map() };

  function make(name, text, className) {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  // Base64 of gzipped JSON, from a block that the browser does not run.
  async function unpack(id) {
    const packed = at(id).textContent.trim();
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  function page(number) {
    if (!state.pages.has(number)) state.pages.set(number, unpack(`texts-${number}`));
    return state.pages.get(number);
  }

  const name = (column, row) => state.rows[column].names[state.rows[column].at[row]];
  const system = () => state.rows.systems[Number(at("system").value)];
  const code = (digits, row) => digits.charCodeAt(row) - 48;

  // How likely the system held each class; null where it said nothing.
  function chances(who, row) {
    if (code(who.outcome, row) > 1) return null;
    const up = who.up[row] / 1000;
    const down = who.down[row] / 1000;
    return [Math.max(0, 1 - up - down), up, down];
  }

  function search() {
    const rows = state.rows;
    const who = system();
    const asked = at("text").value.trim().toLowerCase();
    const whole = asked.length > 2 && asked.startsWith('"') && asked.endsWith('"');
    const wanted = whole ? asked.slice(1, -1) : asked;
    const fits = (names) => names.map((each) => {
      const lower = each.toLowerCase();
      return whole ? lower === wanted : lower.includes(wanted);
    });
    const perts = fits(rows.pert.names);
    const genes = fits(rows.gene.names);
    const line = at("line").value;
    const label = at("label").value;
    const outcome = at("outcome").value;
    const answer = at("answer").value;
    const told = at("told").checked;
    const hits = [];
    for (let row = 0; row < rows.n; row += 1) {
      if (line !== "" && rows.cell_line.at[row] !== Number(line)) continue;
      if (label !== "" && code(rows.label, row) !== Number(label)) continue;
      if (outcome !== "" && code(who.outcome, row) !== Number(outcome)) continue;
      if (answer !== "" && code(who.answer, row) !== Number(answer)) continue;
      if (told && !state.text.has(row)) continue;
      if (wanted && !perts[rows.pert.at[row]] && !genes[rows.gene.at[row]]) continue;
      hits.push(row);
    }
    const order = at("order").value;
    if (order) {
      const sure = new Float32Array(rows.n);
      for (const row of hits) {
        const p = chances(who, row);
        if (p) sure[row] = Math.max(p[0], p[1], p[2]);
      }
      const sign = order === "sure" ? -1 : 1;
      hits.sort((a, b) => sign * (sure[a] - sure[b]) || a - b);
    }
    state.hits = hits;
    state.from = 0;
    state.open.clear();
    show();
  }

  function bar(values) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 72 10");
    svg.setAttribute("class", "bar");
    svg.setAttribute("aria-hidden", "true");
    let x = 0;
    values.forEach((value, place) => {
      const part = document.createElementNS(SVG, "rect");
      part.setAttribute("x", x.toFixed(2));
      part.setAttribute("width", (72 * value).toFixed(2));
      part.setAttribute("height", "10");
      part.setAttribute("class", `b${place}`);
      svg.append(part);
      x += 72 * value;
    });
    return svg;
  }

  function probabilities(values) {
    const cell = make("td", undefined, "n");
    if (values) {
      cell.append(bar(values), values.map((value) => value.toFixed(2)).join(" / "));
    } else {
      cell.textContent = "–";
    }
    return cell;
  }

  function line(row) {
    const rows = state.rows;
    const who = system();
    const ended = code(who.outcome, row);
    const tr = make("tr");
    for (const column of ["pert", "gene", "cell_line"]) tr.append(make("td", name(column, row)));
    tr.append(make("td", NAMES[code(rows.label, row)]));
    tr.append(make("td", ended > 1 ? "–" : NAMES[code(who.answer, row)]));
    tr.append(probabilities(chances(who, row)));
    const sign = ["✓ ", "✗ ", "? ", "– "][ended];
    tr.append(make("td", sign + OUTCOMES[ended], ["right", "wrong", "unread", "unread"][ended]));
    const button = make("button", state.text.has(row) ? "reasoning" : "answers", "open");
    button.type = "button";
    button.setAttribute("aria-expanded", String(state.open.has(row)));
    const whose = `${name("pert", row)}, ${name("gene", row)}, ${name("cell_line", row)}`;
    button.setAttribute("aria-label", `${button.textContent} on ${whose}`);
    button.dataset.row = String(row);
    const last = make("td");
    last.append(button);
    tr.append(last);
    return tr;
  }

  function answers(row) {
    const rows = state.rows;
    const all = [...rows.systems, ...rows.references];
    return all.map((who) => {
      const given = code(who.answer, row);
      const told = given > 2 ? "no answer" : NAMES[given];
      const p = who.outcome && chances(who, row);
      const odds = p ? ` (${p.map((value) => value.toFixed(2)).join(" / ")})` : "";
      return `${who.name}: ${told}${odds}`;
    }).join("\n");
  }

  const TEXTS = [
    ["reasoning", "reasoning"], ["response", "response as written"],
    ["parse_status", "reading of the answer"], ["finish_reason", "end of the response"],
  ];

  async function detail(row) {
    const tr = make("tr", undefined, "detail");
    const cell = make("td");
    cell.colSpan = 8;
    const box = make("div", undefined, "told");
    box.append(make("p", "All answers (not DE / up / down)"), make("div", answers(row)));
    cell.append(box);
    tr.append(cell);
    const place = state.text.get(row);
    if (place === undefined) return tr;
    const size = Number(at("browser").dataset.page);
    const told = (await page(Math.floor(place / size)))[place % size];
    told.forEach((texts, number) => {
      for (const [key, title] of TEXTS) {
        if (!texts || !texts[key]) continue;
        const cut = texts.cut && texts.cut[key];
        const more = cut ? ` (the first ${texts[key].length} of ${cut} characters)` : "";
        const whose = told.length > 1 ? `${at("browser").dataset[`text${number}`]}: ` : "";
        box.append(make("p", `${whose}${title}${more}`), make("div", texts[key]));
      }
    });
    return tr;
  }

  async function show() {
    const body = at("rows");
    const shown = state.hits.slice(state.from, state.from + SHOWN);
    const lines = [];
    for (const row of shown) {
      lines.push(line(row));
      if (state.open.has(row)) lines.push(await detail(row));
    }
    body.replaceChildren(...lines);
    const n = state.hits.length;
    const range = n ? `${state.from + 1} to ${state.from + shown.length} of ` : "";
    at("count").textContent = `${range}${n.toLocaleString("en")} predictions`;
    at("before").disabled = state.from === 0;
    at("after").disabled = state.from + SHOWN >= n;
  }

  async function toggle(event) {
    const button = event.target.closest("button[data-row]");
    if (!button) return;
    const row = Number(button.dataset.row);
    const line = button.closest("tr");
    if (state.open.delete(row)) {
      line.nextElementSibling.remove();
    } else {
      state.open.add(row);
      line.after(await detail(row));
    }
    button.setAttribute("aria-expanded", String(state.open.has(row)));
  }

  function turn(by) {
    state.from = Math.max(0, state.from + by * SHOWN);
    state.open.clear();
    show();
  }

  function options(select, names) {
    names.forEach((text, number) => {
      const option = make("option", text);
      option.value = String(number);
      select.append(option);
    });
  }

  async function start() {
    if (typeof DecompressionStream === "undefined") {
      at("count").textContent = "This browser is too old to unpack the predictions.";
      return;
    }
    state.rows = await unpack("columns");
    state.text = new Map(state.rows.text.map((row, place) => [row, place]));
    options(at("system"), state.rows.systems.map((each) => each.name));
    options(at("line"), state.rows.cell_line.names);
    at("told").disabled = state.text.size === 0;
    const form = at("filters");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", search);
    let waiting = 0;
    at("text").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(search, 120);
    });
    at("before").addEventListener("click", () => turn(-1));
    at("after").addEventListener("click", () => turn(1));
    at("rows").addEventListener("click", toggle);
    search();
    at("browser").dataset.ready = "true";
  }

  // A printed page cannot be unfolded.
  window.addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
  });
  start();
})();
