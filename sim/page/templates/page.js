// Choosing a stage anywhere shows it everywhere; wheel and drag move about a floorplan.
const stages = JSON.parse(document.getElementById("stages").textContent);
const panel = document.getElementById("chosen");

function element(tag, text, parent) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}

function facts(title, pairs) {
  if (!pairs.length) return;
  if (title) element("h4", title, panel);
  const list = element("dl", "", panel);
  for (const [name, value] of pairs) {
    element("dt", name, list);
    element("dd", value, list);
  }
}

function streams(title, rows) {
  if (!rows.length) return;
  element("h4", title, panel);
  for (const row of rows) {
    const line = element("p", "", panel);
    if (row.stage < 0) element("b", row.name, line);
    else {
      const link = element("a", row.name, line);
      link.href = "#stage=" + row.stage;
    }
    element("span", " " + row.text, line);
  }
}

function choose(number, scroll) {
  const stage = stages[number];
  if (!stage) return;
  for (const old of document.querySelectorAll(".chosen")) old.classList.remove("chosen");
  for (const part of document.querySelectorAll(`[data-stage~="${number}"]`)) part.classList.add("chosen");
  for (const stream of document.querySelectorAll("[data-ends]"))
    if (stream.dataset.ends.split(" ").includes(String(number))) stream.classList.add("chosen");
  panel.replaceChildren();
  element("h3", stage.name, panel);
  facts("", stage.facts);
  facts("Longest operators", stage.operators);
  streams("Reads from", stage.from);
  streams("Is read by", stage.to);
  panel.dataset.number = number;
  history.replaceState(null, "", "#stage=" + number);
  if (scroll) {
    const box = document.querySelector(".network-box");
    const row = box.querySelector(`.row[data-stage="${number}"]`);
    const height = box.firstElementChild.getBoundingClientRect().height / (stages.length + 1.5);
    const top = (number + 1) * height - box.scrollTop;
    if (row && (top < 0 || top + height > box.clientHeight)) box.scrollTop += top - box.clientHeight / 2;
  }
}

document.addEventListener("click", (event) => {
  const part = event.target.closest("[data-stage]");
  if (part) {
    // Stages that share a region take turns: each click on it chooses the next one.
    const users = part.dataset.stage.split(" ");
    choose(Number(users[(users.indexOf(panel.dataset.number) + 1) % users.length]), !part.closest(".network"));
  }
  const view = event.target.closest("[data-view]");
  if (view) {
    for (const drawn of document.querySelectorAll(".view")) drawn.hidden = drawn.id !== view.dataset.view;
    for (const button of document.querySelectorAll("[data-view]"))
      button.setAttribute("aria-pressed", button === view);
  }
});
document.addEventListener("keydown", (event) => {
  if (!event.target.closest(".network-box")) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  choose(Math.min(Math.max(Number(panel.dataset.number) + step, 0), stages.length - 1), true);
});
window.addEventListener("hashchange", () => choose(fromAddress(), true));

function fromAddress() {
  const found = /^#stage=(\d+)$/.exec(location.hash);
  return found && stages[found[1]] ? Number(found[1]) : Number(document.body.dataset.slowest);
}

for (const svg of document.querySelectorAll(".floorplan")) {
  const whole = svg.getAttribute("viewBox").split(" ").map(Number);
  let shown = [...whole], from = null;
  const show = () => svg.setAttribute("viewBox", shown.join(" "));
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    const box = svg.getBoundingClientRect(), by = event.deltaY < 0 ? 0.8 : 1.25;
    const size = Math.min(by * shown[2], whole[2]), scale = size / shown[2];
    const at = [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height];
    shown = [shown[0] + at[0] * shown[2] * (1 - scale), shown[1] + at[1] * shown[3] * (1 - scale), size, shown[3] * scale];
    if (size === whole[2]) shown = [...whole];
    show();
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY, ...shown]; });
  window.addEventListener("pointerup", () => { from = null; });
  svg.addEventListener("pointermove", (event) => {
    if (!from || shown[2] === whole[2]) return;
    const scale = shown[2] / svg.getBoundingClientRect().width;
    shown[0] = from[2] - (event.clientX - from[0]) * scale;
    shown[1] = from[3] - (event.clientY - from[1]) * scale;
    show();
  });
  svg.addEventListener("dblclick", () => { shown = [...whole]; show(); });
}
choose(fromAddress(), true);
