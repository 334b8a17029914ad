"use strict";
// The timelines of a report: truth and predictions of one video at a time. The page holds the controls and the data.
requestAnimationFrame(() => setTimeout(() => {  // after the first paint
const LANE_PX = 44, FOUND_TOP_PX = 3;
const data = JSON.parse(document.getElementById("timeline-data").textContent);
const get = id => document.getElementById(id);
const [pick, order, only, score, tiou, zoom, time] =
  ["video", "order", "class", "score", "tiou", "zoom", "time"].map(id => get("pick-" + id));
const film = get("film"), lanes = get("lanes"), head = get("playhead"), calm = matchMedia("(prefers-reduced-motion: reduce)");
const scored = data.tiou.length > 0;  // without truth there are only detections
const known = new Map();  // matches by video and tIoU
let video, shown;

function make(name, attributes = {}, ...children) {  // texts are never parsed as HTML
  const svg = ["svg", "rect", "path", "line", "title"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
const seconds = value => value.toFixed(2) + " s";
const points = value => Number(value.toPrecision(3)).toString();
const count = (number, name) => `${number} ${name}${number === 1 ? "" : "s"}`;

// Greedy, like the score's own matching: in order of falling score, a prediction takes the unmatched segment of its
// class that it overlaps most. by[i] is the segment of prediction i, or -1.
function match(of) {
  const key = of.id + "\n" + tiou.value, least = Number(tiou.value);
  if (known.has(key)) return known.get(key);
  const taken = new Set();
  const by = of.predictions.map(([start, end, label]) => {
    let best = -1, most = least;
    of.truth.forEach(([from, to, which], segment) => {
      if (which !== label || taken.has(segment)) return;
      const shared = Math.max(Math.min(end, to) - Math.max(start, from), 0);
      const overlap = shared / ((to - from) + (end - start) - shared);
      const later = best >= 0 && overlap === most &&
        (from > of.truth[best][0] || (from === of.truth[best][0] && to > of.truth[best][1]));
      if (overlap > most || (overlap === most && best < 0) || later) [best, most] = [segment, overlap];
    });
    taken.add(best);
    return best;
  });
  known.set(key, by);
  return by;
}

const wanted = row => only.value === "" || row[2] === Number(only.value);

function look(of) {  // the visible part of a video: rows [start, end, class, score or null, right or found]
  const by = match(of), least = Number(score.value);
  const predictions = of.predictions.map((row, number) => [...row, by[number] >= 0])
    .filter(row => row[3] >= least && wanted(row));
  const found = new Set(by.filter((segment, number) => segment >= 0 && of.predictions[number][3] >= least));
  const truth = of.truth.map(([start, end, which], number) => [start, end, which, null, found.has(number)]);
  return {truth: truth.filter(wanted), predictions};
}

function tally(of) {  // its counts; predictions are in order of falling score
  const by = match(of), least = Number(score.value), all = only.value === "", label = Number(only.value);
  let found = 0, wrong = 0;
  for (let i = 0; i < by.length && of.predictions[i][3] >= least; i++)
    if (all || of.predictions[i][2] === label) by[i] >= 0 ? found++ : wrong++;
  return {found, wrong, truth: of.truth.filter(wanted).length};
}

function list() {  // the videos that pass the class filter, in the chosen order
  const rows = data.videos.map((of, number) => ({number, ...tally(of)}))
    .filter(row => only.value === "" || row.truth + row.found + row.wrong > 0);
  const highest = row => (data.videos[row.number].predictions.find(wanted) || [0, 0, 0, -Infinity])[3];
  if (order.value === "missed") rows.sort((a, b) => (b.truth - b.found) - (a.truth - a.found));
  if (order.value === "wrong") rows.sort((a, b) => b.wrong - a.wrong);
  if (order.value === "most") rows.sort((a, b) => b.wrong - a.wrong);  // without truth, none counts as found
  if (order.value === "highest") rows.sort((a, b) => highest(b) - highest(a) || a.number - b.number);
  pick.replaceChildren(...rows.map(row => make("option", {value: row.number}, `${data.videos[row.number].id}: ` +
    (scored ? `${row.found} of ${row.truth} found, ${row.wrong} wrong` : count(row.wrong, "detection")))));
  pick.disabled = get("previous").disabled = get("next").disabled = !rows.length;
  const same = rows.some(row => data.videos[row.number] === video);
  if (same) pick.value = data.videos.indexOf(video);
  if (!same) show();
}

function show() {  // another video
  video = data.videos[Number(pick.value)] || data.videos[0];
  time.max = video.duration;
  time.value = 0;
  get("film-fault").hidden = true;
  film.parentElement.hidden = !video.file;
  film.pause();
  if (video.file) film.src = video.file; else film.removeAttribute("src");
  draw();
}

function bar(kind, [start, end, label, value, good], top, height) {
  const said = value === null ? (good ? "found" : "missed") : points(value) + (scored ? `, ${good ? "right" : "wrong"}` : "");
  const what = scored ? `${value === null ? "truth" : "prediction"}: ` : "";
  const text = `${what}${data.classes[label]}, ${seconds(start)} to ${seconds(end)}, ${said}`;
  const place = {x: start, width: Math.max(end - start, 0), y: top, height};
  return make("rect", {class: `${kind} ${scored ? (good ? "good" : "bad") : "plain"}`, ...place}, make("title", {}, text));
}

function curve(kind, values, start, end) {  // values in [0, 1], spread evenly from start to end
  const step = values.length > 1 ? (end - start) / (values.length - 1) : 0;
  const line = values.map((value, i) => `${i ? "L" : "M"}${start + i * step} ${(LANE_PX - 2) - value * (LANE_PX - 4)}`);
  return make("path", {class: kind, d: line.join("")});
}

function lane(name, ...shapes) {
  const view = {viewBox: `0 0 ${video.duration} ${LANE_PX}`, preserveAspectRatio: "none", "aria-hidden": "true"};
  return make("div", {class: "lane"}, make("span", {class: "lane-name"}, name), make("svg", view, ...shapes));
}

function classLane(label) {
  const height = value => LANE_PX - 6 - (value - data.lowest) / (data.highest - data.lowest || 1) * (LANE_PX - 12);
  const mine = rows => rows.filter(row => row[2] === label);
  const curves = data.curves && data.curves[label];
  const y = height(Number(score.value));
  return lane(data.classes[label],
    ...mine(shown.truth).map(row => bar("truth", row, 0.5, LANE_PX - 1)),
    ...(curves ? mine(shown.truth).flatMap(([start, end]) =>
      [curve("learned cls", curves.cls, start, end), curve("learned loc", curves.loc, start, end)]) : []),
    make("line", {class: "threshold", x1: 0, x2: video.duration, y1: y, y2: y}),
    ...mine(shown.predictions).reverse().map(row => bar("prediction", row, height(row[3]) - FOUND_TOP_PX, 2 * FOUND_TOP_PX)));
}

function ticks() {
  const most = Math.max(2, lanes.clientWidth / 90), rough = video.duration / most;
  const unit = 10 ** Math.floor(Math.log10(rough)), step = unit * [1, 2, 5, 10].find(factor => factor * unit >= rough);
  const marks = [];
  for (let i = 0; i * step <= video.duration * 0.97; i++)
    marks.push(make("span", {style: `left: ${i * step / video.duration * 100}%`}, `${Number((i * step).toPrecision(6))} s`));
  return make("div", {class: "ticks", "aria-hidden": "true"}, ...marks);
}

function draw() {
  shown = look(video);
  lanes.style.width = zoom.value * 100 + "%";
  const labels = [...new Set([...shown.truth, ...shown.predictions].map(row => row[2]))];  // those with truth first
  const learned = video.learned && lane("learned sensitivity, frame by frame",
    ...["cls", "loc"].map(kind => curve("learned " + kind, video.learned[kind], video.learned.first, video.learned.last)));
  lanes.replaceChildren(...labels.map(classLane), ...(learned ? [learned] : []), ticks(), head);
  const found = shown.truth.filter(row => row[4]).length, wrong = shown.predictions.filter(row => !row[4]).length;
  const least = `with a score of at least ${points(Number(score.value))}`;
  get("video-summary").textContent = `${video.id}: ` + (scored
    ? `${found} of ${count(shown.truth.length, "true segment")} found. ` +
      `${count(shown.predictions.length, "prediction")} ${least}, ${wrong} wrong at tIoU ${tiou.value}.`
    : `${count(shown.predictions.length, "detection")} ${least}.`) + (video.left_out ? ` Not on this page: ${video.left_out} of lower score.` : "");
  get("score-value").textContent = points(Number(score.value));
  if (get("as-table").open) table();
  seek(Number(time.value), false);
}

function table() {
  const rows = [...shown.truth, ...shown.predictions].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  get("table-rows").replaceChildren(...rows.map(([start, end, label, value, good]) => make("tr", {},
    make("th", {scope: "row"}, data.classes[label]), make("td", {class: "when-scored"}, value === null ? "truth" : "prediction"),
    make("td", {class: "number"}, start.toFixed(2)), make("td", {class: "number"}, end.toFixed(2)),
    make("td", {class: "number"}, value === null ? "" : points(value)),
    make("td", {class: "when-scored"}, value === null ? (good ? "found" : "missed") : (good ? "right" : "wrong")))));
}

function seek(to, andFilm = true) {
  const at = Math.min(Math.max(to, 0), video.duration);
  time.value = at;
  head.style.left = at / video.duration * 100 + "%";
  const names = rows => rows.filter(([start, end]) => start <= at && at < end)
    .map(row => data.classes[row[2]] + (row[3] === null ? "" : ` ${points(row[3])}`)).join(", ") || "nothing";
  const said = `${seconds(at)} of ${seconds(video.duration)}; ` +
    (scored ? `truth: ${names(shown.truth)}; predicted: ` : "") + names(shown.predictions);
  get("readout").textContent = said;
  time.setAttribute("aria-valuetext", said);
  if (andFilm && video.file && film.readyState) film.currentTime = at;
  const frame = get("lanes-frame"), x = at / video.duration * lanes.clientWidth;  // keep the playhead visible
  if (x < frame.scrollLeft || x > frame.scrollLeft + frame.clientWidth) frame.scrollLeft = x - frame.clientWidth / 3;
}

function follow() {
  seek(film.currentTime, false);
  if (!film.paused && !calm.matches) requestAnimationFrame(follow);
}

const occurring = new Set(data.videos.flatMap(of => [...of.truth, ...of.predictions].map(row => row[2])));
data.classes.forEach((name, number) => { if (occurring.has(number)) only.append(make("option", {value: number}, name)); });
data.tiou.forEach(value => tiou.append(make("option", {value}, value)));
tiou.value = data.default_tiou;
Object.assign(score, {min: data.lowest, max: data.highest, step: "any"});
score.value = data.default_score;
const step = by => {
  pick.selectedIndex = Math.min(Math.max(pick.selectedIndex + by, 0), pick.length - 1);
  show();
};
get("previous").addEventListener("click", () => step(-1));
get("next").addEventListener("click", () => step(1));
pick.addEventListener("change", show);
score.addEventListener("input", draw);
zoom.addEventListener("input", draw);
for (const control of [order, only, tiou, score]) control.addEventListener("change", () => { list(); draw(); });
order.addEventListener("change", () => { pick.selectedIndex = 0; show(); });
time.addEventListener("input", () => {
  get("readout").setAttribute("aria-live", "off");  // the slider announces it itself
  seek(Number(time.value));
});
get("lanes-frame").addEventListener("keydown", event => {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  event.preventDefault();
  const at = Number(time.value), right = event.key === "ArrowRight";
  const ends = [0, video.duration, ...[...shown.truth, ...shown.predictions].flatMap(row => row.slice(0, 2))];
  const ahead = ends.filter(end => right ? end > at + 1e-3 : end < at - 1e-3);
  get("readout").setAttribute("aria-live", "polite");
  if (ahead.length) seek(right ? Math.min(...ahead) : Math.max(...ahead));
});
get("as-table").addEventListener("toggle", table);
lanes.addEventListener("click", event => {
  const {left, width} = lanes.getBoundingClientRect();
  seek((event.clientX - left) / width * video.duration);
});
film.addEventListener("play", () => { get("readout").setAttribute("aria-live", "off"); follow(); });
film.addEventListener("timeupdate", () => seek(film.currentTime, false));
film.addEventListener("loadedmetadata", () => {
  if (video.at_least && film.duration > video.duration) {  // only the file has the length of the video
    time.max = video.duration = film.duration;
    draw();
  }
  if (Number(time.value) > 0) film.currentTime = Number(time.value);
});
film.addEventListener("error", () => {
  if (!video.file) return;
  get("film-fault").hidden = false;
  get("film-fault").textContent = `This browser cannot play the file of ${video.id}: it is missing, or its format is not supported.`;
});
list();
get("explorer").dataset.ready = "true";
performance.mark("first-timeline");
}));
