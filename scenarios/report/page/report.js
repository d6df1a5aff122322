"use strict";
const report = JSON.parse(document.getElementById("report").textContent);
const byId = (id) => document.getElementById(id);

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
function drawn(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
function duration(seconds) {
  if (seconds >= 3600) return (seconds / 3600).toFixed(1) + " h";
  if (seconds >= 60) return (seconds / 60).toFixed(1) + " min";
  if (seconds >= 1) return seconds.toFixed(2) + " s";
  return (seconds * 1000).toFixed(1) + " ms";
}
function clock(ms) {
  if (ms >= 3600000) return Math.floor(ms / 3600000) + "h" + String(Math.floor(ms / 60000) % 60).padStart(2, "0") + "m" + ((ms / 1000) % 60).toFixed(1).padStart(4, "0");
  if (ms >= 60000) return Math.floor(ms / 60000) + "m" + ((ms / 1000) % 60).toFixed(3).padStart(6, "0");
  return (ms / 1000).toFixed(3);
}

// ---- from a trace to the rows of a diagram ------------------------------------------------------

function stanza(data) {
  const words = [data.tag, data.type, data.xmlns, data.child].filter(Boolean);
  return words.join(" ") + (data.more ? "  × " + data.more : "");
}
const lane_of = (data) => data.device || (data.connection ? "#" + data.connection : "");
const details = (data) => Object.entries(data).filter(([key, value]) => !["connection", "device"].includes(key) && value !== "")
  .map(([key, value]) => key + "=" + (typeof value === "object" ? JSON.stringify(value) : value)).join(" ");

// {t, kind, lane, text}: in, out, connect, end, fault, broken, state, mark, verb, note, gap
function row_of([t, actor, kind, data]) {
  const device = actor.startsWith("device ") ? actor.slice(7) : null;
  if (kind === "elided") return {t, kind: "gap", text: data.count + " events left out; the whole trace is in " + (data.file || "the trace file")};
  if (device !== null) {
    const lane = device.replace(/^engine\//, "");
    switch (kind) {
      case "state": return {t, kind: "state", lane, state: data.state, text: data.state + (data.reason ? " (" + data.reason + ")" : "")};
      case "status": return {t, kind: "mark", lane, text: (data.code ? "code " + data.code + " " : "") + (data.next_attempt_ms !== undefined ? "next attempt in " + clock(data.next_attempt_ms) + " s" : "status")};
      case "qr": return {t, kind: "mark", lane, text: "QR " + data.sequence + (data.stale ? ", stale" : "")};
      case "qr_gone": return {t, kind: "mark", lane, text: "QR gone"};
      case "log": return data.level === "warning" ? {t, kind: "mark", lane, text: data.text} : null;
      case "done": return null;
      default: return {t, kind: "mark", lane, text: kind + (details(data) ? " " + details(data) : "")};
    }
  }
  if (actor === "server") {
    const lane = lane_of(data);
    switch (kind) {
      case "stanza_in": return {t, kind: "in", lane, text: stanza(data)};
      case "stanza_out": return {t, kind: "out", lane, text: stanza(data)};
      case "connected": return {t, kind: "connect", lane, text: "connection " + data.connection};
      case "closed": return {t, kind: "end", lane, by: data.by, text: "closed by " + data.by + (data.detail ? ": " + data.detail : "")};
      case "fault": return {t, kind: "fault", lane, text: "fault " + data.id};
      case "violation": return {t, kind: "broken", lane, text: "violation " + data.rule + (data.detail ? ": " + data.detail : "")};
      case "verb": return {t, kind: "verb", text: data.what};
      default: return {t, kind: "note", lane, text: kind.replace(/_/g, " ") + (details(data) ? " " + details(data) : "")};
    }
  }
  if (actor === "script") return {t, kind: "verb", text: (kind === "matched" ? "✓ " : kind + " ") + (data.what || details(data))};
  return null;
}

// Keep-alives and the like: an exchange that is repeated is shown once, with a count.
function folded(rows) {
  const out = [];
  const arrow = (row) => row && (row.kind === "in" || row.kind === "out");
  for (let i = 0; i < rows.length;) {
    const pair = arrow(rows[i]) && arrow(rows[i + 1]) && same(out[out.length - 2], rows[i]) && same(out[out.length - 1], rows[i + 1]);
    const length = pair ? 2 : arrow(rows[i]) && same(out[out.length - 1], rows[i]) ? 1 : 0;
    for (const row of out.slice(out.length - length, length ? undefined : 0)) row.times = (row.times || 1) + 1;
    if (length === 0) out.push(rows[i]);
    i += length || 1;
  }
  return out;
}
const same = (a, b) => a && b && a.kind === b.kind && a.lane === b.lane && a.text === b.text;

// ---- the diagram --------------------------------------------------------------------------------

function diagram(run) {
  const began = run.events.length ? run.events[0][0] : 0;
  const rows = folded(run.events.map(row_of).filter(Boolean));
  const lanes = [];
  for (const row of rows) if (row.lane && !lanes.includes(row.lane)) lanes.push(row.lane);
  if (!lanes.length) lanes.push("client");
  const widths = {time: 74, script: 220, lane: 190, gap: 250};
  const script_x = widths.time + 10;
  const lane_x = (lane) => widths.time + widths.script + 95 + Math.max(0, lanes.indexOf(lane)) * widths.lane;
  const server_x = lane_x(lanes[lanes.length - 1]) + widths.gap;
  const width = server_x + 420;
  const height = 46 + rows.length * 22;
  const svg = drawn("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "what happened, in order"});
  const put = (tag, attributes, text, parent) => (parent || svg).appendChild(drawn(tag, attributes, text));
  put("text", {x: script_x, y: 16, class: "head"}, "scenario");
  for (const lane of [...lanes, null]) {
    const x = lane === null ? server_x : lane_x(lane);
    put("text", {x, y: 16, "text-anchor": "middle", class: "head"}, lane === null ? "server" : lane);
    put("line", {x1: x, x2: x, y1: 24, y2: height - 6, class: "lane"});
  }
  const pill = (row, y, x, kind, anchor) => {
    const group = put("g", {class: kind});
    const chars = Math.min(row.text.length, 64);
    const w = chars * 7.1 + 12;
    const left = anchor === "start" ? x : x - w / 2;
    put("rect", {x: left, y: y - 14, width: w, height: 18, rx: 4}, undefined, group);
    put("text", {x: left + 6, y: y - 1}, short(row.text, 64), group);
    group.appendChild(drawn("title", {}, row.text));
  };
  let last_time = null;
  rows.forEach((row, index) => {
    const y = 46 + index * 22;
    const x = row.lane ? lane_x(row.lane) : server_x;
    const time = clock(row.t - began);
    if (time !== last_time) put("text", {x: widths.time - 6, y: y - 1, "text-anchor": "end", class: "time"}, time);
    last_time = time;
    const times = row.times > 1 ? "  × " + row.times : "";
    switch (row.kind) {
      case "in": case "out": case "connect": {
        const from = row.kind === "out" ? server_x : x;
        const to = row.kind === "out" ? x : server_x;
        const tip = to > from ? -7 : 7;
        put("line", {x1: from, x2: to + tip, y1: y - 3, y2: y - 3, class: "arrow", ...(row.kind === "connect" ? {"stroke-dasharray": "4 3"} : {})});
        put("path", {d: `M ${to} ${y - 3} l ${tip} -4 l 0 8 z`, class: "tip"});
        const label = put("text", {x: server_x + 12, y: y, class: row.kind === "connect" ? "dim" : ""}, short(row.text, 50) + times);
        label.appendChild(drawn("title", {}, row.text));
        break;
      }
      case "end":
        put("line", {x1: x, x2: server_x, y1: y - 3, y2: y - 3, class: "end", "stroke-dasharray": "2 3"});
        put("path", {d: `M ${server_x - 5} ${y - 8} l 10 10 m 0 -10 l -10 10`, class: "end"});
        put("text", {x: server_x + 12, y, class: "dim"}, short(row.text, 54));
        break;
      case "fault": case "broken": pill(row, y, server_x + 8, row.kind === "fault" ? "fault" : "fault broken", "start"); break;
      case "state": pill(row, y, x, "state " + row.state, "middle"); break;
      case "mark": put("text", {x: x + 8, y, class: "dim"}, short(row.text, 44)).appendChild(drawn("title", {}, row.text)); break;
      case "verb": put("text", {x: script_x, y, class: "verb"}, short(row.text, 34)).appendChild(drawn("title", {}, row.text)); break;
      case "note": put("text", {x: server_x + 12, y, class: "dim"}, short(row.text, 56)).appendChild(drawn("title", {}, row.text)); break;
      case "gap":
        put("rect", {x: 0, y: y - 15, width, height: 20, class: "stripe"});
        put("text", {x: script_x, y, class: "dim"}, row.text);
        break;
    }
  });
  return element("div", {class: "diagram"}, svg);
}
const short = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);

// ---- the list -----------------------------------------------------------------------------------

function body(run) {
  const box = element("div", {class: "body"});
  if (run.tags.length) box.append(element("p", {class: "tags"}, ...run.tags.map((tag) => element("span", {}, tag))));
  if (run.reason) box.append(element("p", {class: "soft"}, run.reason));
  for (const failure of run.failures) {
    const shown = element("div", {class: "failure"}, element("b", {}, failure.message), " ",
      element("span", {class: "soft mono"}, [failure.kind, failure.rule, failure.where].filter(Boolean).join(" · ")));
    if (failure.expected || failure.found) {
      shown.append(element("div", {class: "beside"},
        element("div", {}, element("h4", {}, "expected"), element("span", {class: "mono"}, failure.expected || "—")),
        element("div", {}, element("h4", {}, "what did arrive"), element("span", {class: "mono"}, failure.found || "—"))));
    }
    box.append(shown);
  }
  const copy = element("button", {type: "button"}, "Copy");
  copy.addEventListener("click", () => navigator.clipboard && navigator.clipboard.writeText(run.replay).then(() => { copy.textContent = "Copied"; }));
  box.append(element("div", {class: "replay"}, element("pre", {}, run.replay), copy));
  const facts = [run.scale !== 1 ? "durations × " + run.scale.toPrecision(3) : "", run.trace_hash ? "trace hash " + run.trace_hash : "", run.trace_file].filter(Boolean);
  if (facts.length) box.append(element("p", {class: "soft mono"}, facts.join(" · ")));
  if (run.events.length) box.append(diagram(run));
  if (run.output) box.append(element("h4", {}, "Output"), element("pre", {}, run.output));
  return box;
}

function card(run) {
  const details = element("details", {class: "run"},
    element("summary", {},
      element("span", {class: "badge " + run.verdict}, run.verdict),
      element("span", {class: "name"}, run.name, " ", element("span", {class: "soft mono"}, run.path)),
      element("span", {class: "mode soft"}, run.mode),
      element("span", {class: "figures soft"}, run.verdict === "skipped" ? "" : duration(run.scenario_seconds) + " · wall " + duration(run.wall_seconds))));
  details.addEventListener("toggle", () => {
    if (details.open && !details.querySelector(".body")) details.append(body(run));
  });
  return details;
}

function overview() {
  const total = report.results.length || 1;
  const failed = report.failed;
  for (const [name, count] of [["passed", report.passed], ["failed", failed], ["skipped", report.skipped]]) {
    byId("bar").append(element("i", {class: name, style: `width:${100 * count / total}%`}));
    byId("counts").append(element("span", {}, element("b", {}, String(count)), " " + name));
  }
  if (report.field_rows) byId("counts").append(element("span", {}, element("b", {}, report.field_rows.held + " / " + report.field_rows.all), " field bugs have a scenario that holds"));
  const wall = report.results.reduce((sum, run) => sum + run.wall_seconds, 0);
  byId("counts").append(element("span", {}, element("b", {}, duration(wall)), " of work"));
}

function matches(run) {
  const words = byId("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const haystack = [run.name, run.path, run.tags.join(" "), ...run.failures.map((failure) => failure.message)].join(" ").toLowerCase();
  const verdict = byId("verdict").value;
  const mode = byId("mode").value;
  return words.every((word) => haystack.includes(word)) && (!mode || run.mode === mode) &&
    (!verdict || run.verdict === verdict || (verdict === "failed" && run.verdict === "error"));
}
const cards = report.results.map((run) => [run, card(run)]);
function filter() {
  let shown = 0;
  for (const [run, shown_card] of cards) {
    shown_card.hidden = !matches(run);
    if (!shown_card.hidden) ++shown;
  }
  byId("nothing").hidden = shown > 0;
}

overview();
byId("runs").append(...cards.map(([, shown]) => shown));
for (const id of ["text", "verdict", "mode"]) byId(id).addEventListener("input", filter);
byId("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});
// #dark, #light, #filter=TEXT, #open=TEXT: for links and for pictures of the page.
for (const word of location.hash.slice(1).split("&")) {
  if (word === "dark" || word === "light") document.documentElement.dataset.theme = word;
  if (word.startsWith("filter=")) byId("text").value = decodeURIComponent(word.slice(7));
  if (word.startsWith("open=")) {
    const wanted = decodeURIComponent(word.slice(5));
    const found = cards.find(([run]) => (run.path + " " + run.mode).includes(wanted));
    if (found) found[1].open = true;
  }
}
// What failed is open from the start.
for (const [run, shown] of cards.slice(0, 500)) if (run.failures.length) shown.open = true;
filter();
