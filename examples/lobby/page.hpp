#pragma once

// The page served at "/". It stands by itself: no file, font or script from anywhere else. What
// people have typed is only ever put into it as text.

inline constexpr char kPage[] = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lobby</title>
<link rel="icon" href="data:,">
<style>
:root {
  color-scheme: light dark;
  --ground: #f4f3ef; --card: #ffffff; --text: #20232a; --soft: #5a6070; --line: #dddbd4;
  --accent: #2f55c8; --accent-text: #ffffff; --tint: #e9eefc; --bad: #b3261e; --good: #1c6b3a;
  --warn: #8a5a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14161b; --card: #1d2027; --text: #e9e9ec; --soft: #a5abb9; --line: #343945;
    --accent: #93b2ff; --accent-text: #0f1219; --tint: #262d42; --bad: #ff9d94; --good: #86d6a4;
    --warn: #f2c572;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html, body { height: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  display: grid; grid-template-rows: auto minmax(0, 1fr);
}
header {
  display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center;
  padding: .8rem 1.25rem; border-bottom: 1px solid var(--line); background: var(--card);
}
h1 { margin: 0; font-size: 1.3rem; letter-spacing: -.02em; }
h2 { margin: 0 0 .6rem; font-size: .8rem; font-weight: 650; color: var(--soft);
  text-transform: uppercase; letter-spacing: .06em; }
#status { display: flex; align-items: center; gap: .5rem; font-size: .9rem; color: var(--soft); }
#status::before { content: ""; width: .7rem; height: .7rem; border-radius: 50%; background: var(--warn); }
#status[data-state=here]::before { background: var(--good); }
#status[data-state=away]::before { background: var(--bad); }
form.name { margin-left: auto; display: flex; gap: .5rem; align-items: center; font-size: .9rem; }
main {
  display: grid; grid-template-columns: 14rem minmax(0, 1fr) 17rem; gap: 1rem;
  padding: 1rem 1.25rem; width: 100%; max-width: 86rem; margin: 0 auto; min-height: 0;
}
.card { background: var(--card); border: 1px solid var(--line); border-radius: .9rem; padding: 1rem; }
aside { display: flex; flex-direction: column; gap: 1rem; min-height: 0; overflow-y: auto; }
ul, ol { list-style: none; margin: 0; padding: 0; }
input, textarea {
  font: inherit; color: var(--text); background: var(--ground); border: 1px solid var(--line);
  border-radius: .6rem; padding: .5rem .7rem; min-width: 0;
}
button {
  font: inherit; cursor: pointer; color: var(--text); background: transparent;
  border: 1px solid var(--line); border-radius: .6rem; padding: .5rem .9rem;
}
button:hover:not(:disabled) { border-color: var(--accent); }
button:disabled { opacity: .55; cursor: default; }
button.main { background: var(--accent); border-color: var(--accent); color: var(--accent-text); }
button.bad { color: var(--bad); width: 100%; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
#rooms button { width: 100%; text-align: left; border-color: transparent; display: flex; gap: .5rem; }
#rooms button[aria-current=true] { background: var(--tint); font-weight: 650; }
#rooms .count { margin-left: auto; color: var(--soft); font-weight: 400; font-variant-numeric: tabular-nums; }
#people li { display: flex; gap: .6rem; align-items: center; padding: .2rem 0; overflow-wrap: anywhere; }
.face {
  flex: none; width: 1.9rem; height: 1.9rem; border-radius: 50%; display: grid; place-items: center;
  font-size: .8rem; font-weight: 700; color: #fff; background: hsl(var(--hue) 42% 40%);
}
section.chat { display: grid; grid-template-rows: auto minmax(0, 1fr) auto; padding: 0; min-height: 0;
  overflow: hidden; }
.chat > .top { padding: .8rem 1.1rem; border-bottom: 1px solid var(--line); }
.chat > .top h2 { margin: 0; font-size: 1.05rem; color: var(--text); text-transform: none; letter-spacing: 0; }
#scroll { overflow-y: auto; padding: .9rem 1.1rem; }
.line { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 .7rem; padding: .4rem 0; }
.line .who { font-weight: 650; unicode-bidi: isolate; overflow-wrap: anywhere; }
.line time, .line .wait { color: var(--soft); font-size: .8rem; margin-left: .5rem; font-weight: 400; }
.line .text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext; margin: 0; }
#pending .line { opacity: .65; }
.note { color: var(--soft); font-size: .9rem; padding: .35rem 0; text-align: center; overflow-wrap: anywhere; }
.note.bad { color: var(--bad); } .note.good { color: var(--good); }
#say { display: flex; gap: .6rem; padding: .8rem 1.1rem; border-top: 1px solid var(--line); align-items: end; }
#say textarea { flex: 1; resize: none; height: 2.65rem; max-height: 9rem; }
dl { display: grid; grid-template-columns: 1fr auto; gap: .3rem .8rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; font-weight: 650; font-variant-numeric: tabular-nums; text-align: right; }
p.hint { margin: .7rem 0 0; font-size: .85rem; color: var(--soft); }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 62rem) {
  main { grid-template-columns: 12rem minmax(0, 1fr); }
  aside.right { grid-column: 1 / -1; overflow: visible; }
}
@media (max-width: 42rem) {
  body { display: block; }
  main { grid-template-columns: minmax(0, 1fr); }
  section.chat { height: 70vh; order: -1; }
  form.name { margin-left: 0; }
}
@media (prefers-reduced-motion: no-preference) { .line { animation: in .18s ease-out; } }
@keyframes in { from { opacity: 0; transform: translateY(.3rem); } }
</style>
</head>
<body>
<header>
  <h1>Lobby</h1>
  <div id="status" role="status" data-state="coming"><span id="status-text">Connecting …</span></div>
  <button id="now" type="button" hidden>Try now</button>
  <form class="name" id="rename">
    <label for="name">Your name</label>
    <input id="name" maxlength="24" required autocomplete="nickname">
    <button>Change</button>
  </form>
</header>
<main>
  <aside>
    <nav class="card" aria-labelledby="rooms-title">
      <h2 id="rooms-title">Rooms</h2>
      <ul id="rooms"></ul>
    </nav>
    <section class="card" aria-labelledby="people-title">
      <h2 id="people-title">Who is here</h2>
      <ul id="people"></ul>
    </section>
  </aside>

  <section class="card chat" aria-labelledby="room-title">
    <div class="top"><h2 id="room-title"># lobby</h2></div>
    <div id="scroll" tabindex="0" role="region" aria-label="What was said">
      <ol id="log" role="log" aria-live="polite" aria-relevant="additions" aria-label="Messages"></ol>
      <ol id="pending" aria-label="Waiting to be sent"></ol>
    </div>
    <form id="say">
      <label class="sr" for="text">Message</label>
      <textarea id="text" maxlength="1000" rows="1" placeholder="Say something" enterkeyhint="send"></textarea>
      <button class="main">Send</button>
    </form>
  </section>

  <aside class="right">
    <section class="card" aria-labelledby="counts-title">
      <h2 id="counts-title">The server counts</h2>
      <dl>
        <dt>People connected</dt><dd id="c-people">–</dd>
        <dt>Messages</dt><dd id="c-messages">–</dd>
        <dt>Crashes survived</dt><dd id="c-crashes">–</dd>
        <dt>Up for</dt><dd id="c-uptime">–</dd>
      </dl>
    </section>
    <section class="card" aria-labelledby="crash-title">
      <h2 id="crash-title">Let it crash</h2>
      <button class="bad" id="crash" type="button" disabled>Crash this room</button>
      <p class="hint">Every room is an actor. Crash this one: its supervisor starts it again, everybody
      in it comes back by themselves, and the other rooms notice nothing.</p>
    </section>
    <section class="card" aria-labelledby="memory-title">
      <h2 id="memory-title">For now in memory</h2>
      <p class="hint" style="margin:0">A room keeps its last 100 messages for as long as the server
      runs. A restarted server begins with empty rooms; this page keeps what it has seen.</p>
    </section>
  </aside>
</main>
<script>
"use strict";
const at = id => document.getElementById(id);
const kOutboxMax = 100, kLinesMax = 500;
const ROOMS = ["lobby", "kitchen", "library", "workshop"];

function remembered(key) { try { return localStorage.getItem(key); } catch { return null; } }
function remember(key, value) { try { localStorage.setItem(key, value); } catch { /* then not */ } }
function random(bytes) {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)),
    byte => byte.toString(16).padStart(2, "0")).join("");
}

const pageId = random(12);   // begins the ids of what is said here
let said = 0;                // how much that was
let outbox = [];             // what the server has not confirmed: {id, room, text}
let shown = new Set();       // the ids of the messages on this page
let people = new Set();
let counts = null;
let room = ROOMS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "lobby";
let name = remembered("lobby-name") || "Guest " + (1000 + Math.floor(Math.random() * 9000));
let socket = null, entered = false, wasHere = false, tries = 0, retryAt = 0, heardAt = 0;

// ---- the connection ----

function connect() {
  retryAt = 0;
  heardAt = Date.now();
  show("coming", "Connecting …");
  const scheme = location.protocol === "https:" ? "wss://" : "ws://";
  const mine = new WebSocket(scheme + location.host + "/chat");
  socket = mine;
  mine.onopen = () => { if (mine === socket) enter(); };
  mine.onmessage = event => {
    if (mine !== socket) return;
    heardAt = Date.now();
    hear(JSON.parse(event.data));
  };
  mine.onclose = () => { if (mine === socket) lost(); };
}

/** Comes back by itself: soon at first, then with more patience, and not all pages at once. */
function lost() {
  socket = null;
  if (entered) note("The connection is lost. What you write now is sent when it is back.", "bad");
  entered = false;
  const delay = Math.min(15000, 500 * 2 ** tries) * (0.5 + Math.random() / 2);
  tries = Math.min(tries + 1, 10);
  retryAt = Date.now() + delay;
  at("crash").disabled = true;
  waitOn();
}

function waitOn() {
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  show("away", "Not connected; next try in " + seconds + " s");
}

setInterval(() => {
  if (socket === null && retryAt !== 0) {
    if (Date.now() >= retryAt) connect(); else waitOn();
  } else if (socket !== null && Date.now() - heardAt > 10000) {
    // The server counts aloud every second: silence means that nobody is there.
    const dead = socket;
    lost();
    dead.close();
  }
}, 250);
function tryNow() { if (socket === null) connect(); }
addEventListener("online", tryNow);
at("now").onclick = tryNow;

function send(frame) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}
function enter() { send({ do: "enter", room, name }); }
function sendWaiting() {
  for (const one of outbox) if (one.room === room) send({ do: "say", id: one.id, text: one.text });
}

// ---- what the server says ----

function hear(frame) {
  switch (frame.is) {
    case "entered": return haveEntered(frame);
    case "said": return haveSaid(frame);
    case "known": return confirmed(frame.id);
    case "came": people.add(frame.name); showPeople(); return note(frame.name + " has come.");
    case "left": people.delete(frame.name); showPeople(); return note(frame.name + " has left.");
    case "crashed":
      entered = false;
      at("crash").disabled = true;
      show("coming", "The room has crashed; it is being started again …");
      return note("This room has crashed: " + frame.why, "bad");
    case "counts": counts = frame; return showCounts();
    case "error": return refused(frame);
  }
}

function haveEntered(frame) {
  if (frame.room !== room) return;
  const again = wasHere;
  entered = wasHere = true;
  tries = 0;
  people = new Set(frame.present);
  frame.history.forEach(haveSaid);
  if (again) note("You are back in #" + room + " as " + frame.name + ".", "good");
  show("here", "Connected as " + frame.name);
  at("crash").disabled = false;
  showPeople();
  sendWaiting();
}

function haveSaid(line) {
  confirmed(line.id);
  if (shown.has(line.id)) return;
  shown.add(line.id);
  append(lineElement(line));
}

function confirmed(id) {
  if (!outbox.some(one => one.id === id)) return;
  outbox = outbox.filter(one => one.id !== id);
  showPending();
}

function refused(frame) {
  if (frame.code === "busy") return void setTimeout(sendWaiting, 1000);
  if (frame.id) confirmed(frame.id);
  note("Refused: " + frame.text, "bad");
}

// ---- what is shown ----

function show(state, text) {
  at("status").dataset.state = state;
  if (at("status-text").textContent !== text) at("status-text").textContent = text;
  at("now").hidden = state !== "away";
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function face(of) {
  const made = element("span", "face", (Array.from(of)[0] || "?").toUpperCase());
  let hue = 0;
  for (const c of of) hue = (hue * 31 + c.codePointAt(0)) % 360;
  made.style.setProperty("--hue", hue);
  made.setAttribute("aria-hidden", "true");
  return made;
}

function lineElement(line) {
  const made = element("li", "line");
  const body = element("div");
  const who = element("span", "who", line.name);
  body.append(who);
  if (line.at) {
    const time = element("time", "",
      new Date(line.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    time.dateTime = new Date(line.at).toISOString();
    body.append(time);
  } else {
    body.append(element("span", "wait", "waiting to be sent"));
  }
  body.append(element("p", "text", line.text));
  made.append(face(line.name), body);
  return made;
}

function append(line) {
  const box = at("scroll");
  const follow = box.scrollHeight - box.scrollTop - box.clientHeight < 120;
  at("log").append(line);
  while (at("log").children.length > kLinesMax) at("log").firstChild.remove();
  if (follow) box.scrollTop = box.scrollHeight;
}
function note(text, kind) { append(element("li", "note " + (kind || ""), text)); }

function showPending() {
  const waiting = outbox.filter(one => one.room === room);
  at("pending").replaceChildren(...waiting.map(one => lineElement({ name, text: one.text })));
  at("scroll").scrollTop = at("scroll").scrollHeight;
}

function showPeople() {
  at("people").replaceChildren(...Array.from(people, one => {
    const made = element("li");
    made.append(face(one), element("span", "", one));
    return made;
  }));
}

function showRooms() {
  const focused = document.activeElement && document.activeElement.dataset.room;
  at("rooms").replaceChildren(...ROOMS.map(one => {
    const button = element("button", "", "# " + one);
    button.type = "button";
    button.dataset.room = one;
    button.setAttribute("aria-current", one === room);
    const known = counts && counts.rooms.find(other => other.name === one);
    if (known) {
      const back = known.present < 0;
      const count = element("span", "count", back ? "restarting" : known.present);
      if (!back) count.append(element("span", "sr", " people"));
      button.append(count);
    }
    button.onclick = () => go(one);
    const made = element("li");
    made.append(button);
    return made;
  }));
  if (focused) at("rooms").querySelector("[data-room='" + focused + "']")?.focus();
}

function showCounts() {
  at("c-people").textContent = counts.people;
  at("c-messages").textContent = counts.messages;
  at("c-crashes").textContent = counts.crashes;
  const up = counts.uptime;
  at("c-uptime").textContent = up < 60 ? up + " s" : up < 3600 ? Math.floor(up / 60) + " min"
    : Math.floor(up / 3600) + " h " + Math.floor(up % 3600 / 60) + " min";
  showRooms();
}

// ---- what people do ----

function go(where) {
  if (where === room) return;
  room = where;
  entered = wasHere = false;
  history.replaceState(null, "", "#" + room);
  at("room-title").textContent = "# " + room;
  at("log").replaceChildren();
  shown = new Set();
  people = new Set();
  showRooms();
  showPeople();
  showPending();
  enter();
}
addEventListener("hashchange", () => {
  if (ROOMS.includes(location.hash.slice(1))) go(location.hash.slice(1));
});

at("rename").onsubmit = event => {
  event.preventDefault();
  name = at("name").value.trim();
  if (name === "") return;
  remember("lobby-name", name);
  enter();
};

at("say").onsubmit = event => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (text === "") return;
  if (outbox.length >= kOutboxMax) return note("Too much waits to be sent already.", "bad");
  at("text").value = "";
  const one = { id: pageId + "-" + ++said, room, text };
  outbox.push(one);
  showPending();
  if (entered) send({ do: "say", id: one.id, text });
};
at("text").onkeydown = event => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("say").requestSubmit();
  }
};
at("crash").onclick = () => send({ do: "crash" });

at("name").value = name;
at("room-title").textContent = "# " + room;
showRooms();
connect();
</script>
</body>
</html>
)html";
