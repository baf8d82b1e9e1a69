// The lobby in two real browsers: they chat, one is killed, the server is restarted, and what was
// typed meanwhile is delivered once. README.md says how to run it.
"use strict";
const { chromium } = require("playwright-core");
const { spawn } = require("node:child_process");
const assert = require("node:assert");

const program = process.argv[2] || "build/release/bin/lobby";
const picture = process.argv[3];
const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";

function start(port) {
  return new Promise((resolve, reject) => {
    const server = spawn(program, ["--port", String(port)], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    server.stdout.on("data", piece => {
      said += piece;
      const found = said.match(/listening on http:\/\/127\.0\.0\.1:(\d+)/);
      if (found) resolve({ server, port: Number(found[1]) });
    });
    server.on("exit", code => reject(new Error("the server ended with " + code + ": " + said)));
  });
}
function ended(server) {
  return new Promise(resolve => server.on("exit", resolve));
}

const browsers = [];
async function visit(port, name, problems) {
  const host = await chromium.launchServer({ executablePath, args: ["--no-sandbox"] });
  browsers.push(host);
  const browser = await chromium.connect(host.wsEndpoint());
  const page = await (await browser.newContext({ viewport: { width: 1240, height: 760 } })).newPage();
  page.on("pageerror", error => problems.push(name + ": " + error));
  await page.addInitScript(given => localStorage.setItem("lobby-name", given), name);
  await page.goto("http://127.0.0.1:" + port + "/");
  await connected(page);
  return { host, page };
}
async function connected(page) {
  await page.waitForSelector("#status[data-state=here]", { timeout: 30000 });
}
async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}
function sees(page, selector, text) {
  return page.locator(selector, { hasText: text }).first().waitFor({ timeout: 30000 });
}
async function texts(page) {
  return page.locator("#log .text").allTextContents();
}
function step(text) { console.log("ok: " + text); }

(async () => {
  const problems = [];
  let { server, port } = await start(0);
  const ann = await visit(port, "Ann", problems);
  const bob = await visit(port, "Bob", problems);
  await sees(ann.page, "#people li", "Bob");
  await sees(bob.page, "#people li", "Ann");
  step("both are here and see each other");

  await say(ann.page, "Good morning, Bob!");
  await sees(bob.page, "#log .text", "Good morning, Bob!");
  await say(bob.page, "<img src=x onerror=\"document.title='broken'\"><b>Hi</b> Ann");
  await sees(ann.page, "#log .text", "<b>Hi</b> Ann");
  assert.equal(await ann.page.title(), "Lobby");
  assert.equal(await ann.page.locator("#log img, #log b").count(), 0);
  step("they chat, and markup stays text");

  await ann.page.click("#crash");
  for (const page of [ann.page, bob.page]) {
    await sees(page, "#log .note.bad", "This room has crashed");
    await sees(page, "#log .note.good", "You are back in #lobby");
  }
  await say(bob.page, "That was the room, and here we are again.");
  await sees(ann.page, "#log .text", "here we are again");
  await ann.page.waitForFunction(() => document.getElementById("c-crashes").textContent === "1");
  step("the room crashes, everybody sees it and is back");

  const eve = await visit(port, "Eve", problems);
  await sees(ann.page, "#people li", "Eve");
  await sees(eve.page, "#log .text", "Good morning, Bob!");
  await say(eve.page, "Hello! I have read what you wrote before I came.");
  await sees(ann.page, "#log .text", "Hello! I have read");
  if (picture) {
    await sees(ann.page, "#rooms .count", "3");
    await ann.page.screenshot({ path: picture });
    step("a picture is taken: " + picture);
  }
  eve.host.process().kill("SIGKILL");
  await ann.page.waitForFunction(
    () => !document.getElementById("people").textContent.includes("Eve"), null, { timeout: 40000 });
  step("one is killed, and is not present any more");

  const before = await texts(ann.page);
  server.removeAllListeners("exit");
  const gone = ended(server);
  server.kill("SIGKILL");
  await gone;
  for (const page of [ann.page, bob.page]) {
    await page.waitForSelector("#status[data-state=away]", { timeout: 30000 });
  }
  await say(ann.page, "typed while nobody listened: 1");
  await say(ann.page, "typed while nobody listened: 2");
  await say(bob.page, "so did I");
  await sees(ann.page, "#pending .text", "typed while nobody listened: 2");
  ({ server } = await start(port));
  await connected(ann.page);
  await connected(bob.page);
  for (const page of [ann.page, bob.page]) {
    await sees(page, "#log .text", "typed while nobody listened: 2");
    await sees(page, "#log .text", "so did I");
    await page.waitForFunction(() => document.querySelectorAll("#pending li").length === 0);
  }
  await sees(ann.page, "#people li", "Bob");
  await sees(bob.page, "#people li", "Ann");
  await say(bob.page, "the last one");
  await sees(ann.page, "#log .text", "the last one");
  for (const page of [ann.page, bob.page]) {
    const all = await texts(page);
    for (const text of ["typed while nobody listened: 1", "typed while nobody listened: 2", "so did I"]) {
      assert.equal(all.filter(one => one === text).length, 1, text + " in " + JSON.stringify(all));
    }
    assert.ok(all.indexOf("typed while nobody listened: 1") < all.indexOf("typed while nobody listened: 2"));
    for (const text of before) assert.ok(all.includes(text), "the page has kept: " + text);
  }
  step("the server restarts, both are back, and what was typed meanwhile came once");

  await bob.page.click("#rooms [data-room=kitchen]");
  await ann.page.waitForFunction(() => !document.getElementById("people").textContent.includes("Bob"));
  await say(ann.page, "Bob is in the kitchen.");
  await say(bob.page, "Nice kitchen.");
  await sees(bob.page, "#log .text", "Nice kitchen.");
  assert.ok(!(await texts(bob.page)).includes("Bob is in the kitchen."));
  step("rooms are apart");

  assert.deepEqual(problems, []);
  server.removeAllListeners("exit");
  const stopped = ended(server);
  server.kill("SIGTERM");
  assert.equal(await stopped, 0);
  step("the server ends as it should");
})().then(() => 0, error => { console.error("FAILED:", error); return 1; }).then(async status => {
  await Promise.all(browsers.map(browser => browser.close().catch(() => {})));
  process.exit(status);
});
