#pragma once

// The page served at "/". It stands by itself: no file, font or script from anywhere else.

inline constexpr char kPage[] = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Counters</title>
<link rel="icon" href="data:,">
<style>
:root {
  color-scheme: light dark;
  --ground: #f6f5f2; --card: #ffffff; --text: #22242a; --soft: #5d6270; --line: #dcdad4;
  --accent: #2456c4; --accent-text: #ffffff; --bad: #b3261e; --good: #1c6b3a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #16181d; --card: #1f2229; --text: #e9e9ec; --soft: #a3a8b5; --line: #363a44;
    --accent: #8fb0ff; --accent-text: #10131a; --bad: #ff9d94; --good: #86d6a4;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 58rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { margin: 0; font-size: 2rem; letter-spacing: -0.02em; }
h2 { margin: 0 0 .9rem; font-size: 1.1rem; }
p.lead { margin: .35rem 0 2rem; color: var(--soft); max-width: 42rem; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: .8rem;
  padding: 1.25rem; margin-bottom: 1.25rem;
}
form { display: flex; flex-wrap: wrap; gap: .9rem; align-items: end; }
label { display: grid; gap: .25rem; font-size: .875rem; color: var(--soft); }
input {
  font: inherit; color: var(--text); background: var(--ground); width: 11rem;
  border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .7rem;
}
input.short { width: 7rem; }
button {
  font: inherit; cursor: pointer; color: var(--text); background: transparent;
  border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem;
}
button:hover { border-color: var(--accent); }
button.main { background: var(--accent); border-color: var(--accent); color: var(--accent-text); }
button.bad { color: var(--bad); }
button.small { padding: .2rem .6rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .5rem .75rem .5rem 0; border-top: 1px solid var(--line); }
thead th { border-top: 0; font-size: .8rem; font-weight: 600; color: var(--soft); }
th[scope=row] { font-weight: 600; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; }
td.value { font-size: 1.15rem; font-weight: 650; }
td.actions { text-align: right; white-space: nowrap; padding-right: 0; }
td.actions button { margin-left: .3rem; }
.empty { color: var(--soft); margin: 0; }
.row { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; }
.row h2 { margin: 0; flex: 1; }
#log { margin: 0; padding: 0; list-style: none; font: .85rem/1.5 ui-monospace, monospace; }
#log li { padding: .45rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
#log li:first-child { border-top: 0; }
#log .status { font-weight: 700; }
.ok { color: var(--good); }
.failed { color: var(--bad); }
</style>
</head>
<body>
<main>
  <h1>Counters</h1>
  <p class="lead">Every name below is an actor of its own. Crash one: whoever asked it hears so at
  once, the next request gets a fresh one, and nobody else notices.</p>

  <section aria-labelledby="add-title">
    <h2 id="add-title">Count something</h2>
    <form id="add">
      <label>Name <input id="name" value="ann" required maxlength="64" autocomplete="off"></label>
      <label>Amount <input id="amount" class="short" value="5" autocomplete="off"
        aria-describedby="amount-hint"></label>
      <button class="main">Add</button>
      <button type="button" id="get">Read</button>
      <button type="button" id="crash" class="bad">Crash</button>
    </form>
    <p class="empty" id="amount-hint" style="margin-top:.8rem;font-size:.875rem">A whole number; try
    “banana” to see it refused.</p>
  </section>

  <section aria-labelledby="list-title">
    <div class="row" style="margin-bottom:.6rem">
      <h2 id="list-title">All counters</h2>
      <button type="button" id="refresh">Refresh</button>
      <button type="button" id="health">Check health</button>
    </div>
    <p class="empty" id="none">None yet. Add to one.</p>
    <div class="scroll">
    <table id="table" hidden>
      <caption hidden>The counters, their values and their mailboxes</caption>
      <thead><tr>
        <th scope="col">Name</th><th scope="col" class="number">Value</th>
        <th scope="col" class="number">In mailbox</th><th scope="col" class="number">Handled</th>
        <th scope="col"><span hidden>Actions</span></th>
      </tr></thead>
      <tbody id="rows"></tbody>
    </table>
    </div>
  </section>

  <section aria-labelledby="log-title">
    <h2 id="log-title">Requests</h2>
    <p class="empty" id="quiet">What you click appears here as a request, with its answer.</p>
    <ol id="log" reversed role="log" aria-live="polite" aria-label="Requests and answers"></ol>
  </section>
</main>
<script>
"use strict";
const at = id => document.getElementById(id);
const path = name => "/counters/" + encodeURIComponent(name);

async function request(method, url, quiet) {
  let status = 0, body = "the server cannot be reached";
  try {
    const answer = await fetch(url, { method });
    status = answer.status;
    body = await answer.text();
  } catch (ignored) { /* status 0 says it */ }
  if (!quiet) note(method + " " + url, status, body);
  return { status, body };
}

function note(what, status, body) {
  at("quiet").hidden = true;
  const line = document.createElement("li");
  const mark = document.createElement("span");
  mark.className = "status " + (status >= 200 && status < 300 ? "ok" : "failed");
  mark.textContent = status || "no answer";
  line.append(what + "  ", mark, "  " + (body.length > 300 ? body.slice(0, 300) + "…" : body));
  at("log").prepend(line);
  while (at("log").children.length > 12) at("log").lastChild.remove();
}

function cell(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className || "";
  return made;
}

function action(text, label, method, url, className) {
  const made = cell("button", text, "small " + (className || ""));
  made.type = "button";
  made.dataset.key = method + url;
  made.setAttribute("aria-label", label);
  made.onclick = () => act(method, url);
  return made;
}

async function refresh(quiet) {
  const { status, body } = await request("GET", "/counters", quiet);
  if (status !== 200) return;
  const counters = JSON.parse(body);
  const focused = document.activeElement && document.activeElement.dataset.key;
  at("none").hidden = counters.length > 0;
  at("table").hidden = counters.length === 0;
  at("rows").replaceChildren(...counters.map(counter => {
    const name = cell("th", counter.name);
    name.scope = "row";
    const actions = cell("td", "", "actions");
    actions.append(
      action("+1", "Add 1 to " + counter.name, "POST", path(counter.name) + "/add?n=1"),
      action("−1", "Subtract 1 from " + counter.name, "POST", path(counter.name) + "/add?n=-1"),
      action("Read", "Read " + counter.name, "GET", path(counter.name)),
      action("Crash", "Crash " + counter.name, "POST", path(counter.name) + "/crash", "bad"));
    const row = document.createElement("tr");
    row.append(name, cell("td", counter.value ?? "ended", "number value"),
      cell("td", counter.mailbox, "number"), cell("td", counter.messages, "number"), actions);
    return row;
  }));
  if (focused) document.querySelector("[data-key='" + CSS.escape(focused) + "']")?.focus();
}

async function act(method, url) {
  await request(method, url);
  await refresh(true);
}

at("add").onsubmit = event => {
  event.preventDefault();
  act("POST", path(at("name").value) + "/add?n=" + encodeURIComponent(at("amount").value));
};
at("get").onclick = () => act("GET", path(at("name").value));
at("crash").onclick = () => act("POST", path(at("name").value) + "/crash");
at("refresh").onclick = () => refresh();
at("health").onclick = () => request("GET", "/health");
refresh(true);
</script>
</body>
</html>
)html";
