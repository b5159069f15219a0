/**
 * A chart over time, drawn by uPlot on a canvas in the colours of the page. Its table says the same in text.
 */
import { html } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import { moment } from "../words.js";
import { drawable, span } from "./columns.js";
import { number } from "./text.js";

/** @typedef {import("./columns.js").Line} Line */

/** A y axis that begins at nought. */
export const FROM_ZERO = /** @type {[number, number]} */ ([0, 1]);

const HEIGHT = 260;
const SPARSE = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;
/** Seconds between two ticks: never so few that two would read the same. */
const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((each) => each * 60),
  ...[1, 2, 3, 6, 12].map((each) => each * HOUR),
  ...[1, 2, 3, 5, 7, 10, 15, 30, 60, 90, 180, 365].map((each) => each * DAY),
];

/**
 * @param {object} props
 * @param {string} props.label      What a reader who cannot see it is told.
 * @param {number[]} props.times    Seconds since 1970, ascending.
 * @param {Line[]} props.lines
 * @param {string} props.yLabel
 * @param {number[]} [props.marks]  Moments with a vertical line.
 * @param {[number, number]} [props.range]  What the y axis shows at least.
 */
export function TimeChart({ label, times, lines: all, yLabel, marks = [], range }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [index, setIndex] = useState(/** @type {number | null} */ (null));
  const theme = useTheme();
  const lines = useMemo(() => drawable(all), [all]);
  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (place.current);
    const { series, data, bands } = drawn(times, lines, inks(element));
    const plot = new uPlot(
      {
        ...layout(element, yLabel, span(times, lines), range),
        series,
        bands,
        width: Math.max(element.clientWidth, 200),
        height: HEIGHT,
        hooks: {
          setCursor: [(/** @type {uPlot} */ self) => setIndex(self.cursor.idx ?? null)],
          drawClear: [(/** @type {uPlot} */ self) => drawMarks(self, marks, inks(element).marks)],
        },
      },
      data,
      element,
    );
    const watch = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    });
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [theme, times, lines, marks, yLabel]);
  const [from, to] = span(times, lines);
  const marked = marks.some((each) => each >= from && each <= to);
  return html`
    <div class="plot" role="img" aria-label=${label} ref=${place}></div>
    <${Legend} lines=${lines} index=${index} when=${index === null ? null : times[index]} marked=${marked} />
  `;
}

/** What each colour stands for; while the pointer is over the chart, with its value there. */
function Legend({ lines, index, when, marked }) {
  let place = 0;
  return html`
    <ul class="legend" aria-hidden="true">
      ${lines.map((/** @type {Line} */ line) => {
        const kind = straight(line) ? line.style : `line-${(place++ % 6) + 1} ${line.style === "bars" ? "column" : ""}`;
        return html`<li key=${line.label}>
          <span class=${`key ${kind}`}></span>${line.label}${
            index !== null && html`<b>${` ${number(line.values[index])}`}</b>`
          }
        </li>`;
      })}
      ${marked && html`<li><span class="key mark"></span>another champion</li>`}
      ${when !== null && html`<li class="muted">${moment(new Date(when * 1000).toISOString())}</li>`}
    </ul>
  `;
}

/** @returns {{ series: uPlot.Series[], data: any, bands: uPlot.Band[] }} */
function drawn(times, lines, ink) {
  const series = [/** @type {uPlot.Series} */ ({})];
  const data = [times];
  const bands = /** @type {uPlot.Band[]} */ ([]);
  let place = 0;
  for (const line of lines) {
    const reference = straight(line);
    const stroke = reference ? ink[String(line.style)] : ink.lines[place++ % ink.lines.length];
    const bars = line.style === "bars";
    series.push({
      stroke,
      width: reference ? 1.5 : 2,
      dash: reference ? (line.style === "limit" ? [2, 3] : [8, 5]) : undefined,
      fill: bars ? soft(stroke, 0.35) : undefined,
      paths: bars ? uPlot.paths.bars?.({ size: [0.7, 40, 2] }) : undefined,
      points: { show: !reference && !bars && times.length < SPARSE, size: 6 },
    });
    data.push(line.values);
    if (line.band) {
      const edge = { stroke: soft(stroke, 0.4), width: 1, points: { show: false } };
      series.push({ ...edge }, { ...edge });
      data.push(line.band.high, line.band.low);
      bands.push({ series: [data.length - 2, data.length - 1], fill: soft(stroke, 0.15) });
    }
  }
  return { series, data, bands };
}

/** @returns {any} */
function layout(element, yLabel, spanned, range) {
  const ink = inks(element);
  const axis = { stroke: ink.text, grid: { stroke: ink.grid, width: 1 }, ticks: { stroke: ink.grid, width: 1 } };
  const font = "12px system-ui, sans-serif";
  return {
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 8 } },
    scales: {
      x: { range: spanned },
      y: {
        range: (/** @type {uPlot} */ _, /** @type {number} */ low, /** @type {number} */ high) =>
          uPlot.rangeNum(
            Math.min(low ?? 0, range?.[0] ?? low ?? 0),
            Math.max(high ?? 1, range?.[1] ?? high ?? 1),
            0.1,
            true,
          ),
      },
    },
    axes: [
      { ...axis, font, values: ticks, incrs: STEPS, space: 70, label: "End of the pass", labelFont: font, labelSize: 22 },
      { ...axis, font, label: yLabel, labelFont: font, labelSize: 22, size: 56 },
    ],
  };
}

function drawMarks(/** @type {uPlot} */ plot, /** @type {number[]} */ marks, /** @type {string} */ ink) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = ink;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const mark of marks) {
    const x = Math.round(plot.valToPos(mark, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** The colours that the style sheet names, as they are now. */
function inks(/** @type {Element} */ element) {
  const style = getComputedStyle(element);
  const of = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    text: of("--chart-text"),
    grid: of("--chart-grid"),
    reference: of("--chart-reference"),
    limit: of("--chart-limit"),
    marks: of("--chart-mark"),
    lines: [1, 2, 3, 4, 5, 6].map((each) => of(`--chart-line-${each}`)),
  };
}

/** Whether a line is there to compare the others with. */
function straight(/** @type {Line} */ line) {
  return line.style === "reference" || line.style === "limit";
}

/** Days as days, and hours where an axis shows less than a few of them; in the reader's zone. */
function ticks(/** @type {uPlot} */ _, /** @type {number[]} */ moments) {
  const daily = moments.length < 2 || moments[1] - moments[0] >= DAY - HOUR;
  const format = new Intl.DateTimeFormat(
    "en-GB",
    daily ? { day: "numeric", month: "short" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
  );
  return moments.map((each) => format.format(each * 1000).replace(", ", "\n"));
}

/** `#rrggbb` with an opacity. */
function soft(/** @type {string} */ color, /** @type {number} */ opacity) {
  return `${color}${Math.round(opacity * 255)
    .toString(16)
    .padStart(2, "0")}`;
}

/** Whether the reader's system is dark, followed when it changes. */
function useTheme() {
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setDark(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  return dark;
}
