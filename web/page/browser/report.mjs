// Looks at the page that inspect --html writes, in headless Chromium. Arguments: the file, and a folder for pictures.
import assert from "node:assert";
import { pathToFileURL } from "node:url";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const [file, pictures] = process.argv.slice(2);
const browser = await puppeteer.launch({ args: chromium.args, executablePath: await chromium.executablePath(), headless: "shell" });
const asked = []; // what the page asked the network for

async function open(size, scheme) {
  const tab = await browser.newPage();
  tab.on("pageerror", e => { console.error(e); process.exitCode = 1; });
  tab.on("console", m => { console.error(m.text()); process.exitCode = 1; }); // also of what the page's policy forbids
  tab.on("request", r => asked.push(r.url()));
  await tab.setViewport(size);
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  const start = Date.now();
  await tab.goto(pathToFileURL(file).href);
  console.log(`opened in ${Date.now() - start} ms`);
  return tab;
}

const text = (tab, selector) => tab.$eval(selector, e => e.innerText);
const narrow = tab => tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

// look opens a layer by its name and clicks a step of its graph.
async function look(tab, layer, step) {
  const row = await tab.evaluateHandle(name => [...document.querySelectorAll("details.layer")].find(d => d.querySelector("b").textContent === name), layer);
  if (await row.evaluate(d => d.parentElement.matches("details.run:not([open])"))) await (await row.evaluateHandle(d => d.parentElement.querySelector("summary"))).click();
  await (await row.$("summary")).click();
  await row.waitForSelector(".view svg");
  const mark = await row.waitForSelector(`.step[aria-label="${layer}.${step}"]`);
  await mark.evaluate(e => e.dispatchEvent(new Event("click")));
  return row;
}

const tab = await open({ width: 1200, height: 900 }, "light");
assert.equal(await text(tab, "h1"), "sums");
assert.ok(await narrow(tab));
assert.equal(await tab.$$eval(".view svg", e => e.length), 0, "a layer is drawn when it is opened");
const row = await look(tab, "layer1", "attention.exp");
const about = await row.$eval(".about", e => e.innerText);
for (const said of ["layer1.attention.exp", "committed with every proof", "<img src=x> (Softmax)", "16"]) assert.ok(about.includes(said), `${said}: ${about}`);
assert.equal(await tab.$$eval("img", e => e.length), 0, "a name is an element");
// Every edge goes down, and no two boxes overlap.
const boxes = await row.$$eval(".step rect:first-child", list => list.map(r => ["x", "y", "width", "height"].map(k => Number(r.getAttribute(k)))));
assert.ok(boxes.length > 40, `${boxes.length} steps`);
boxes.forEach(([x, y, w, h], i) => boxes.slice(i + 1).forEach(([u, v, s, t]) => assert.ok(x + w <= u + .01 || u + s <= x + .01 || y + h <= v + .01 || v + t <= y + .01, "steps lie over each other")));
for (const d of await row.$$eval(".edge", list => list.map(e => e.getAttribute("d")))) {
  const numbers = d.match(/-?[\d.]+/g).map(Number);
  assert.ok(numbers.at(-1) > numbers[1], "an edge goes up");
}
const width = () => row.$eval(".view svg", e => Number(e.getAttribute("width")));
const before = await width();
await (await row.$("button[aria-label=larger]")).click();
assert.ok(await width() > 1.2 * before);
await (await row.$("button[aria-label='all of its width']")).click();
await tab.screenshot({ path: `${pictures}/report-light.png`, fullPage: true });

// What is looked for opens the layer that it is in.
await tab.type("#find", "silu layer3");
const found = await tab.$$eval("#found button", list => list.map(b => b.textContent));
assert.ok(found.length && found.every(f => f.startsWith("layer3.")), found.join());
await tab.click("#found button");
await tab.waitForFunction(() => [...document.querySelectorAll("details.layer[open] .about h4")].some(h => h.textContent.startsWith("layer3.silu")));
await tab.$eval("#find", e => { e.value = "no such thing"; e.dispatchEvent(new Event("input")); });
assert.match(await text(tab, "#found"), /nothing of that name/);
// A box of another layer leads there.
await tab.evaluate(() => [...document.querySelectorAll("details.layer[open] .ghost")].find(g => g.getAttribute("aria-label").includes("to output")).dispatchEvent(new Event("click")));
await tab.waitForFunction(() => [...document.querySelectorAll("details.layer[open]")].some(d => d.querySelector("b").textContent === "output" && d.querySelector(".about h4")));

for (const [name, size, scheme] of [["dark", { width: 1200, height: 900 }, "dark"], ["dark-phone", { width: 390, height: 800, deviceScaleFactor: 2 }, "dark"], ["light-phone", { width: 390, height: 800, deviceScaleFactor: 2 }, "light"]]) {
  const tab = await open(size, scheme);
  await look(tab, "layer0", "silu");
  assert.ok(await narrow(tab), "the page is wider than the screen");
  await tab.screenshot({ path: `${pictures}/report-${name}.png`, fullPage: true });
}

// Without scripts the tables are there.
const still = await browser.newPage();
await still.setJavaScriptEnabled(false);
await still.goto(pathToFileURL(file).href);
for (const said of ["layer3", "What is revealed", "embed.weight", "a processor"]) assert.ok((await still.content()).includes(said), said);

for (const url of asked) assert.equal(url, pathToFileURL(file).href);
await browser.close();
console.log("all as it should be");
