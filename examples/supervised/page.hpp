#pragma once

// The page served at "/". It stands by itself: no file, font or script from anywhere else.

inline constexpr char kPage[] = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Supervised</title>
<link rel="icon" href="data:,">
<style>
:root {
  color-scheme: light dark;
  --ground: #f6f5f2; --card: #fff; --text: #22242a; --soft: #5d6270; --line: #dcdad4;
  --good: #1c6b3a; --bad: #b3261e; --accent: #2456c4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #16181d; --card: #1f2229; --text: #e9e9ec; --soft: #a3a8b5; --line: #363a44;
    --good: #86d6a4; --bad: #ff9d94; --accent: #8fb0ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 58rem; padding: 2.5rem 1.25rem 4rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { margin: 0; font-size: 2rem; }
p { color: var(--soft); max-width: 42rem; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: .8rem;
  padding: 1.25rem; margin: 1.25rem 0; overflow-x: auto;
}
button, input {
  font: inherit; color: var(--text); background: var(--ground);
  border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .8rem;
}
button { cursor: pointer; }
button:hover { border-color: var(--accent); }
input { width: 5rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .45rem .75rem .45rem 0; border-top: 1px solid var(--line); }
thead th { border-top: 0; font-size: .8rem; color: var(--soft); }
.running, .ready { color: var(--good); font-weight: 600; }
.waiting, .down, .missing { color: var(--bad); font-weight: 600; }
.bar { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; }
</style>
</head>
<body>
<h1>Supervised</h1>
<p>Three workers that drop a job now and then, and a desk that hands them jobs. A worker that fails is
built anew at the same address; watch the restarts climb while hardly a job is given up.</p>
<section class="bar" aria-label="Controls">
  <button id="jobs">Send 100 jobs</button>
  <label>Failures in a hundred <input id="rate" type="number" min="0" max="100" value="10"></label>
  <button id="set">Set</button>
  <span id="ready" role="status"></span>
</section>
<section>
  <table>
    <thead><tr><th>Child</th><th>State</th><th>Restarts</th><th>Left</th><th>Ended last</th>
    <th></th></tr></thead>
    <tbody id="tree"></tbody>
  </table>
</section>
<section id="tally" role="status"></section>
<script>
"use strict";
const at = id => document.getElementById(id);
const post = path => fetch(path, {method: "POST"});
const cell = (row, text, kind) => {
  const made = row.insertCell();
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
async function look() {
  try {
    const tree = await (await fetch("/tree")).json();
    const body = at("tree");
    body.textContent = "";
    for (const child of tree) {
      const row = body.insertRow();
      cell(row, child.path);
      cell(row, child.state, child.state);
      cell(row, child.restarts);
      cell(row, child.restarts_left);
      cell(row, child.last_end);
      const last = cell(row, "");
      const name = child.path.split("/")[2];
      if (!name) continue;
      const button = document.createElement("button");
      button.textContent = "Crash";
      button.onclick = () => post("/workers/" + name + "/crash");
      last.append(button);
    }
    const tally = await (await fetch("/tally")).json();
    at("tally").textContent = "Jobs: " + tally.asked + " asked, " + tally.done + " done, " +
      tally.tried_again + " tried again, " + tally.given_up + " given up.";
    const ready = await fetch("/ready");
    at("ready").textContent = ready.ok ? "ready" : "not ready: " + await ready.text();
    at("ready").className = ready.ok ? "ready" : "missing";
  } catch (problem) {
    at("ready").textContent = "the service does not answer";
    at("ready").className = "missing";
  }
}
at("jobs").onclick = async () => {
  for (let i = 1; i <= 100; ++i) await post("/sum?n=" + i);
};
at("set").onclick = () => post("/failures?in_a_hundred=" + at("rate").value);
look();
setInterval(look, 500);
</script>
</body>
</html>
)html";
