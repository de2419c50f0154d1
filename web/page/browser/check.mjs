// Uses the page as customers do, in headless Chromium. Arguments: the page's address, the folder of what a customer got, where it is served,
// the prompt, and a folder for pictures.
import assert from "node:assert";
import { readFileSync } from "node:fs";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const [page, dir, served, prompt, pictures] = process.argv.slice(2);
const id = readFileSync(`${dir}/model.id`, "utf8").trim();
const browser = await puppeteer.launch({ args: chromium.args, executablePath: await chromium.executablePath(), headless: "shell" });
const asked = []; // what the page asked the network for

async function open(hash = "", size = { width: 1100, height: 900 }, scheme = "light") {
  const tab = await browser.newPage();
  tab.on("pageerror", e => { console.error(e); process.exitCode = 1; });
  tab.on("console", m => { if (m.type() === "error") console.error(m.text()); });
  tab.on("request", r => asked.push(r.url()));
  await tab.setViewport(size);
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await tab.goto(page + hash);
  return tab;
}

const give = async (tab, ...names) => (await tab.$("#files")).uploadFile(...names.map(n => `${dir}/${n}`));
const text = (tab, selector) => tab.$eval(selector, e => e.innerText);

// check presses the button and returns the verdict with its words.
async function check(tab) {
  await tab.waitForSelector("#check:not([disabled])");
  await tab.click("#check");
  await tab.waitForFunction(() => !document.getElementById("result").hidden, { timeout: 60000 });
  return (await text(tab, "#verdict")) + " " + (await text(tab, "#why")) + " " + (await text(tab, "#said"));
}

// fill writes into fields as a user does.
const fill = (tab, values) => tab.evaluate(v => {
  for (const [k, x] of Object.entries(v)) {
    const field = document.getElementById(k);
    field.value = x;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}, values);
const hidden = (tab, id) => tab.$eval("#" + id, e => e.hidden);
const picture = (tab, name) => tab.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });

const tab = await open();
assert.equal(await tab.$eval("#check", b => b.disabled), true);
await give(tab, "sums.bundle", "statement.bin", "proof.bin");
let words = await check(tab);
assert.match(words, /^Accepted/);
assert.match(words, new RegExp(id));
assert.match(words, /You gave no ID/);
assert.ok(words.includes(prompt), words);
assert.match(words, /not shown to be the whole answer/);
await picture(tab, "accepted");

await fill(tab, { id, prompt });
const start = Date.now();
words = await check(tab);
console.log(`verified in ${Date.now() - start} ms`);
assert.match(words, /^Accepted/);
assert.doesNotMatch(words, /You gave no ID/);
assert.match(words, /That is the prompt you gave/);

await fill(tab, { prompt: "1+1=" });
assert.equal(await hidden(tab, "result"), true, "a verdict stands beside another question");
words = await check(tab);
assert.match(words, /^Rejected The proof is about another prompt than yours/);
await picture(tab, "another-prompt");

const conversation = content => JSON.stringify([{ role: "user", content }]);
await fill(tab, { prompt: "", messages: conversation("1+1=") });
assert.match(await check(tab), /^Rejected The proof is about another prompt than yours/);
await fill(tab, { messages: conversation(prompt) });
assert.match(await check(tab), /^Accepted[^]*That is the conversation you gave/);
await fill(tab, { messages: "{}" });
await tab.click("#check");
assert.match(await text(tab, "#status"), /The conversation is no list of messages in JSON/);
assert.equal(await tab.$eval("#add", b => b.disabled), true);
await fill(tab, { messages: "" });

// The same by buttons, as a person writes a conversation.
const json = () => tab.$eval("#messages", e => e.value);
const row = async (n, selector) => (await tab.$$(`#turns li:nth-child(${n}) ${selector}`))[0];
await tab.$eval("#form > details", d => { d.open = true; });
await tab.click("#add");
await tab.keyboard.type(prompt);
assert.equal(await json(), conversation(prompt));
assert.equal(await hidden(tab, "result"), true, "a verdict stands beside another conversation");
assert.match(await check(tab), /^Accepted[^]*That is the conversation you gave/);
await tab.click("#add");
await tab.keyboard.type("785;");
await tab.click("#add");
await tab.keyboard.type("And \"2\"\n+2=");
assert.deepEqual(JSON.parse(await json()), [
  { role: "user", content: prompt }, { role: "assistant", content: "785;" }, { role: "user", content: "And \"2\"\n+2=" }]);
assert.match(await check(tab), /^Rejected/);
await picture(tab, "conversation");
await (await row(1, "select")).select("system");
assert.equal(JSON.parse(await json())[0].role, "system");
for (const n of [3, 1]) await (await row(n, "button")).click();
assert.deepEqual(JSON.parse(await json()), [{ role: "assistant", content: "785;" }]);
await (await row(1, "button")).click();
assert.equal(await json(), "", "a conversation without messages is compared");
await fill(tab, { messages: JSON.stringify([{ role: "system", content: "Be kind." }, { role: "user", content: prompt }]) });
assert.deepEqual(await tab.$$eval("#turns li", l => l.map(r => r.querySelector("select").value + ": " + r.querySelector("textarea").value)), ["system: Be kind.", "user: " + prompt]);
await fill(tab, { messages: JSON.stringify([{ role: "user", content: [{ type: "text", text: prompt }] }]) });
assert.equal(await hidden(tab, "unlisted"), false);
assert.equal(await tab.$eval("#messages", e => e.closest("details").open), true);
assert.equal((await tab.$$("#turns li")).length, 0);
await fill(tab, { messages: "" });

await fill(tab, { prompt: "", id: "0".repeat(64) });
assert.match(await check(tab), /^Rejected The bundle .* of another model than the pinned one/);
await fill(tab, { id });
await give(tab, "half.bundle");
assert.match(await check(tab), /^Rejected The bundle is not one to check proofs with: .*not a bundle/);
await give(tab, "sums.bundle", "short.bin");
assert.match(await check(tab), /^Rejected A file is damaged/);
assert.equal(await text(tab, "#said"), "");
await give(tab, "model.vk");
await tab.waitForFunction(() => document.getElementById("status").innerText.includes("model.vk is a verifying key"));

// A forgery: a proof with one bit changed, in a link. Dark, on a phone.
const link = files => "#" + new URLSearchParams({ ...Object.fromEntries(Object.entries(files).map(([k, n]) => [k, `${served}/${n}`])), id });
const phone = await open(link({ bundle: "sums.bundle", statement: "statement.bin", proof: "damaged.bin" }), { width: 390, height: 800 }, "dark");
words = await check(phone);
assert.match(words, /^Rejected The proof does not hold/);
await picture(phone, "forged-dark-phone");
assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than a phone");

const linked = await open(link({ bundle: "sums.bundle", statement: "statement.bin", proof: "proof.bin" }));
words = await check(linked);
assert.match(words, /^Accepted/);
assert.match(words, /The ID is the link's, not yours/);
assert.match(await text(linked, "#linked"), /from the link/);

// Files that come while a check runs are not those that it is about.
await linked.waitForSelector("#check:not([disabled])");
await linked.click("#check");
await give(linked, "damaged.bin");
await new Promise(r => setTimeout(r, 3000));
assert.equal(await hidden(linked, "result"), true, "a verdict stands beside other files");
assert.match(await check(linked), /^Rejected/);
// Nor does a link's ID become the user's when the link goes, or while a check runs.
await linked.evaluate(() => { location.hash = ""; });
await linked.waitForFunction(() => document.getElementById("id").value === "");
assert.equal(await hidden(linked, "linked"), true);

// What a link says of the ID and the prompt is compared, and said to be the link's.
const all = { bundle: "sums.bundle", statement: "statement.bin", proof: "proof.bin" };
const asks = await open(link(all) + "&" + new URLSearchParams({ prompt }));
assert.match(await check(asks), /The prompt it was compared with came with the link/);
const talks = await open(link(all) + "&" + new URLSearchParams({ messages: conversation(prompt) }));
assert.equal(await talks.$eval("#turns textarea", e => e.value), prompt);
assert.match(await check(talks), /came with the link/);
const wrongID = await open(link(all).replace(id, "0".repeat(64)));
assert.match(await check(wrongID), /^Rejected The proof is about the model/);

// A name is the sender's, and stays apart from the page's words.
const named = await open();
await give(named, "named.bundle", "statement.bin", "proof.bin");
assert.match(await check(named), /^Accepted/);
const name = await text(named, "#said .sender bdi");
assert.ok(name.length <= 102 && !/[\u202e\n]/u.test(name), name);

const broken = await open(link({ bundle: "sums.bundle", statement: "nothing.bin", proof: "proof.bin" }));
await broken.waitForFunction(() => document.getElementById("status").innerText.includes("The statement of the link cannot be loaded: 404"));
const strange = await open("#" + new URLSearchParams({ bundle: "javascript:alert(1)" }));
await strange.waitForFunction(() => document.getElementById("status").innerText.includes("a link to files has http or https"));

const own = new URL(page).origin, other = new URL(served).origin;
for (const url of asked) assert.ok(url.startsWith(own) || url.startsWith(other) || url.startsWith("data:") || url.startsWith("blob:"), url);
await browser.close();
console.log("all as it should be");
