"use strict";
(() => {
  const layers = JSON.parse(document.getElementById("graph").textContent);
  const rows = new Map([...document.querySelectorAll("details.layer")].map(d => [Number(d.dataset.layer), d]));
  const steps = [], home = [], users = [];
  layers.forEach((list, at) => (list || []).forEach(s => { steps[s.i] = s; home[s.i] = at; }));
  for (const s of steps) for (const f of s.f || []) (users[f] ||= []).push(s.i);
  const title = at => rows.get(at).querySelector("b").textContent;

  const calls = {
    Input: "input", Weight: "weight", Const: "constant", Mask: "mask", Affine: "map of indices", Embed: "lines of a table", Virtual: "sums of products",
    VirtualBound: "sums of products", Rescale: "round", Table: "function by table", RescaleTable: "round, function by table", Rsqrt: "inverse root",
    Attn: "softmax, zkAttn", Output: "output", Max: "greater of two", Reciprocal: "quotient", PiecewiseLinear: "piecewise linear",
  };
  const classes = {
    weight: "private: a weight, committed once, in the verifying key", witness: "private: committed with every proof",
    virtual: "private: computed from others, never committed", public: "public: follows from the statement", const: "public: part of the circuit", affine: "public: part of the circuit",
  };
  const short = s => s.n.replace(/^layer\d+\./, "");
  const cut = (t, n) => t.length > n ? t.slice(0, n - 1) + "…" : t;

  const ns = "http://www.w3.org/2000/svg";
  function svg(name, attributes, ...children) {
    const e = document.createElementNS(ns, name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  }
  function html(name, attributes, ...children) {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  }

  // boxes are what a layer's graph shows: its steps, what comes from other layers, and where its results go.
  function boxes(at) {
    const list = [], of = new Map(), edges = [];
    const add = b => { b.index = list.length; list.push(b); return b; };
    for (const s of layers[at]) for (const f of s.f || []) {
      if (home[f] !== at && !of.has(f)) of.set(f, add({ step: f, ghost: true, text: cut(short(steps[f]), 24), sub: "from " + title(home[f]) }));
    }
    for (const s of layers[at]) {
      const thin = s.c === "Rescale";
      const sub = [s.o && s.k !== "weight" ? s.o : "", s.h].filter(Boolean).join(" · ");
      of.set(s.i, add({ step: s.i, thin, text: thin ? `round to ${s.b} bits` : cut(short(s), 24), sub: thin ? "" : cut(sub, 30) }));
    }
    for (const s of layers[at]) {
      for (const f of s.f || []) edges.push([of.get(f).index, of.get(s.i).index]);
      const away = [...new Set((users[s.i] || []).map(u => home[u]).filter(l => l !== at))];
      if (away.length && s.k !== "const" && s.k !== "affine") {
        const sub = away.length > 1 ? `to ${title(away[0])} and ${away.length - 1} more` : "to " + title(away[0]);
        edges.push([of.get(s.i).index, add({ step: users[s.i].find(u => home[u] === away[0]), ghost: true, text: cut(short(s), 24), sub }).index]);
      }
    }
    for (const b of list) {
      b.w = Math.min(210, Math.max(76, 24 + Math.max(b.text.length * 7.1, b.sub.length * 5.7)));
      b.h = b.thin ? 22 : 40;
    }
    return { list, edges };
  }

  // layout places boxes in rows, every edge downwards, with few crossings: longest paths, barycentres, and rows that keep their distances as
  // near to the neighbours' middles as least squares allow.
  function layout({ list, edges }) {
    const into = list.map(() => []), out = list.map(() => []);
    for (const [a, b] of edges) { into[b].push(a); out[a].push(b); }
    const rank = list.map(() => 0);
    for (let b = 0; b < list.length; b++) for (const a of into[b]) rank[b] = Math.max(rank[b], rank[a] + 1);
    for (let a = list.length - 1; a >= 0; a--) if (!into[a].length && out[a].length) rank[a] = Math.min(...out[a].map(b => rank[b])) - 1;
    const least = Math.min(...rank);
    const grid = [];
    const cells = list.map((b, i) => ({ box: b, w: b.w, up: [], down: [], r: rank[i] - least }));
    const put = c => { (grid[c.r] ||= []).push(c); c.o = grid[c.r].length; };
    cells.forEach(put);
    const paths = edges.map(([a, b]) => {
      const path = [cells[a]];
      for (let r = cells[a].r + 1; r < cells[b].r; r++) {
        const c = { w: 6, up: [], down: [], r };
        put(c);
        path.push(c);
      }
      path.push(cells[b]);
      for (let i = 1; i < path.length; i++) { path[i - 1].down.push(path[i]); path[i].up.push(path[i - 1]); }
      return path;
    });
    const rowsOf = [...grid].map(r => r || []);
    const middle = list => list.reduce((s, c) => s + c.o, 0) / list.length;
    for (let sweep = 0; sweep < 16; sweep++) {
      const down = sweep % 2 === 0;
      for (const row of down ? rowsOf : [...rowsOf].reverse()) {
        for (const c of row) { const near = down ? c.up : c.down; c.m = near.length ? middle(near) : c.o; }
        row.sort((a, b) => a.m - b.m || a.o - b.o);
        row.forEach((c, i) => { c.o = i - row.length / 2; });
      }
    }
    const gap = 22;
    for (const row of rowsOf) { let x = 0; for (const c of row) { c.x = x + c.w / 2; x += c.w + gap; } for (const c of row) c.x -= x / 2; }
    for (let sweep = 0; sweep < 24; sweep++) {
      for (const row of sweep % 2 ? [...rowsOf].reverse() : rowsOf) {
        const off = [];
        row.forEach((c, i) => { off[i] = i ? off[i - 1] + (row[i - 1].w + c.w) / 2 + gap : 0; });
        const pools = [];
        row.forEach((c, i) => {
          const near = [...c.up, ...c.down];
          const weight = c.box ? 1 : 3;
          const want = near.length ? near.reduce((s, n) => s + n.x, 0) / near.length : c.x;
          pools.push({ sum: (want - off[i]) * weight, n: weight, from: i });
          while (pools.length > 1 && pools.at(-2).sum / pools.at(-2).n > pools.at(-1).sum / pools.at(-1).n) {
            const last = pools.pop();
            pools.at(-1).sum += last.sum;
            pools.at(-1).n += last.n;
          }
        });
        pools.forEach((p, k) => {
          const to = k + 1 < pools.length ? pools[k + 1].from : row.length;
          for (let i = p.from; i < to; i++) row[i].x = p.sum / p.n + off[i];
        });
      }
    }
    let y = 0, left = Infinity, right = -Infinity;
    for (const row of rowsOf) {
      const h = Math.max(12, ...row.map(c => c.box ? c.box.h : 0));
      for (const c of row) { c.y = y + h / 2; left = Math.min(left, c.x - c.w / 2); right = Math.max(right, c.x + c.w / 2); }
      y += h + 30;
    }
    return { cells, paths, left: left - 8, width: right - left + 16, height: y - 30 + 16 };
  }

  function draw(at) {
    const row = rows.get(at), holder = row.querySelector(".graph");
    if (holder.childElementCount || !(layers[at] || []).length) {
      if (!holder.childElementCount) holder.append(html("p", { class: "about" }, "The numbers that lookups are looked up in, and how often each is; for all layers."));
      return;
    }
    const plan = layout(boxes(at));
    const picture = svg("svg", { viewBox: `${plan.left} -8 ${plan.width} ${plan.height}`, role: "group" });
    const lines = plan.paths.map(path => {
      const first = path[0], last = path.at(-1);
      const points = [[first.x, first.y + first.box.h / 2], ...path.slice(1, -1).map(c => [c.x, c.y]), [last.x, last.y - last.box.h / 2]];
      let d = `M${points[0][0].toFixed(1)} ${points[0][1].toFixed(1)}`;
      for (let i = 1; i < points.length; i++) {
        const [x0, y0] = points[i - 1], [x1, y1] = points[i], m = (y1 - y0) / 2;
        d += `C${x0.toFixed(1)} ${(y0 + m).toFixed(1)} ${x1.toFixed(1)} ${(y1 - m).toFixed(1)} ${x1.toFixed(1)} ${y1.toFixed(1)}`;
      }
      return { from: first.box, to: last.box, e: picture.appendChild(svg("path", { class: "edge", d })) };
    });
    const marks = new Map();
    for (const c of plan.cells) {
      const b = c.box, s = steps[b.step], x = c.x - b.w / 2, y = c.y - b.h / 2;
      const g = svg("g", { class: `step k-${s.k}${b.ghost ? " ghost" : ""}`, tabindex: 0, role: "button", "aria-label": b.ghost ? `${b.text}, ${b.sub}` : s.n });
      g.append(svg("rect", { x, y, width: b.w, height: b.h, rx: b.thin ? 11 : 7 }), svg("rect", { class: "side", x, y: y + b.h * .22, width: 4, height: b.h * .56, rx: 2 }));
      g.append(svg("text", { x: c.x, y: c.y + (b.sub ? -2.5 : 4), "text-anchor": "middle" }, b.text));
      if (b.sub) g.append(svg("text", { class: "sub", x: c.x, y: c.y + 12, "text-anchor": "middle" }, b.sub));
      g.append(svg("title", {}, b.ghost ? `${s.n}: open ${title(home[b.step])}` : s.n));
      const act = () => b.ghost ? show(b.step) : choose(b.step);
      g.addEventListener("click", act);
      g.addEventListener("keydown", e => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); act(); } });
      picture.append(g);
      if (!b.ghost) marks.set(b.step, g);
    }

    const view = html("div", { class: "view", tabindex: 0, "aria-label": "graph of " + title(at) }, picture), about = html("div", { class: "about" });
    about.hidden = true;
    let scale = 1;
    const zoom = to => {
      const box = view.getBoundingClientRect(), cx = (view.scrollLeft + box.width / 2) / scale, cy = (view.scrollTop + box.height / 2) / scale;
      scale = Math.min(3, Math.max(.25, to));
      picture.setAttribute("width", plan.width * scale);
      picture.setAttribute("height", plan.height * scale);
      view.scrollLeft = cx * scale - box.width / 2;
      view.scrollTop = cy * scale - box.height / 2;
    };
    const fit = () => { zoom(Math.min(1, (view.clientWidth - 24) / plan.width)); };
    const button = (text, label, act) => { const b = html("button", { type: "button", title: label, "aria-label": label }, text); b.addEventListener("click", act); return b; };
    holder.append(html("div", { class: "stage" }, html("div", { class: "zoom" }, button("−", "smaller", () => zoom(scale / 1.3)), button("+", "larger", () => zoom(scale * 1.3)), button("fit", "all of its width", fit)), view), about);
    view.addEventListener("wheel", e => { if (e.ctrlKey || e.metaKey) { e.preventDefault(); zoom(scale * Math.exp(-e.deltaY / 300)); } }, { passive: false });
    view.addEventListener("pointerdown", e => {
      if (e.pointerType !== "mouse" || e.button) return;
      const from = [e.clientX + view.scrollLeft, e.clientY + view.scrollTop];
      const move = e => { view.classList.add("drag"); view.scrollLeft = from[0] - e.clientX; view.scrollTop = from[1] - e.clientY; };
      const end = () => { view.classList.remove("drag"); removeEventListener("pointermove", move); removeEventListener("pointerup", end); };
      addEventListener("pointermove", move);
      addEventListener("pointerup", end);
    });
    zoom(Math.max(.6, Math.min(1, (view.clientWidth - 24) / plan.width)));
    view.scrollTop = 0;
    view.scrollLeft = (plan.width * scale - view.clientWidth + 24) / 2;

    function choose(id, move) {
      for (const [i, g] of marks) g.classList.toggle("lit", i === id);
      for (const l of lines) l.e.classList.toggle("lit", l.from.step === id && !l.from.ghost || l.to.step === id && !l.to.ghost);
      about.replaceChildren(...tell(steps[id]));
      about.hidden = false;
      if (move) {
        const c = plan.cells.find(c => c.box.step === id && !c.box.ghost);
        view.scrollLeft = (c.x - plan.left) * scale - view.clientWidth / 2;
        view.scrollTop = (c.y + 8) * scale - view.clientHeight / 2;
      }
    }
    row.choose = choose;
  }

  // tell describes a step.
  function tell(s) {
    const list = html("dl", {});
    const line = (what, value) => { if (value !== undefined && value !== "") list.append(html("dt", {}, what), html("dd", {}, String(value))); };
    line("class", classes[s.k]);
    line("step", calls[s.c] || s.c);
    line("ONNX node", [s.x, s.o && `(${s.o})`].filter(Boolean).join(" "));
    line("shape", s.h);
    line("cells", s.r && `${s.r}, ${s.b} bits`);
    if (s.s) line("scale", `real ≈ integer · 2^${-s.s}`);
    if (s.e) line("noise", `${s.e.toExponential(1)} of a row's length, of which ${(s.l || 0).toExponential(1)} arises here`);
    const parts = (s.p || []).filter(p => p[0] || p[3]);
    const out = [html("h4", {}, s.n), list];
    if (parts.length) {
      const body = html("tbody", {});
      for (const p of parts) body.append(html("tr", {}, html("th", { scope: "row" }, p[0] || short(s)), ...p.slice(1).map(t => html("td", {}, t))));
      out.push(html("div", { class: "wide" }, html("table", {}, html("thead", {}, html("tr", {}, ...["tensors of the circuit", "kind", "shape", "looked up in"].map(t => html("th", {}, t)))), body)));
    }
    return out;
  }

  // show opens the layer of a step and chooses it.
  function show(id) {
    const row = rows.get(home[id]);
    for (let e = row; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    draw(home[id]);
    row.choose(id, true);
    row.scrollIntoView({ block: "start" });
  }

  for (const [at, row] of rows) row.addEventListener("toggle", () => { if (row.open) draw(at); });

  const find = document.getElementById("find"), found = document.getElementById("found");
  const most = 40;
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = s => { const text = [s.n, s.x, s.o, s.c, calls[s.c]].join(" ").toLowerCase(); return words.every(w => text.includes(w)); };
    const hits = words.length ? steps.filter(fits) : [];
    found.replaceChildren(...hits.slice(0, most).map(s => {
      const b = html("button", { type: "button" }, s.n, html("small", {}, [s.o, s.x].filter(Boolean).join(" ")));
      b.addEventListener("click", () => show(s.i));
      return html("li", {}, b);
    }));
    if (words.length) found.append(html("li", {}, html("small", {}, hits.length > most ? `${hits.length - most} more` : hits.length ? "" : "nothing of that name")));
  });
  document.querySelector(".tools").hidden = false;
})();
