// Charts by uPlot, in the page's colours. Each function returns one that draws, or draws anew.

const HEIGHT = 180;
const DAY_SECONDS = 86_400;
// Steps between the lines of a chart of counts: there is no half a call.
const WHOLE = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Resolves light-dark() to what it is now: a canvas knows no custom properties. */
function resolved(name) {
  const probe = document.createElement("span");
  probe.style.color = colour(name);
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const short = (value) =>
  value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e4 ? `${+(value / 1e3).toFixed(1)}k` : `${+value.toFixed(3)}`;

export function bars(id, layers = 1) {
  const paths = window.uPlot.paths.bars({ size: [0.7, 24] });
  const colours = layers === 1 ? ["--one"] : ["--two", "--one"];
  return drawer(id, (ink) => ({
    tzDate: (instant) => window.uPlot.tzDate(new Date(instant * 1000), "UTC"),
    series: [{}, ...colours.map((name) => ({ paths, fill: ink(name), stroke: ink(name), width: 0, points: { show: false } }))],
    scales: {
      // Half a day more at both ends, so that the first and the last bar are whole.
      x: { range: (_chart, least, most) => [least - DAY_SECONDS / 2, most + DAY_SECONDS / 2] },
      y: { range: (_chart, _least, most) => [0, Math.max(1, most * 1.1)] },
    },
    steps: WHOLE,
    unit: "",
  }));
}

export function line(id, unit) {
  return drawer(id, (ink) => ({
    series: [{}, { stroke: ink("--one"), width: 2, spanGaps: true, points: { size: 6, fill: ink("--one") } }],
    scales: { y: { range: (_chart, _least, most) => [0, unit === "%" ? 100 : Math.max(0.1, (most ?? 0) * 1.1)] } },
    unit: ` ${unit}`,
  }));
}

function drawer(id, describe) {
  const box = document.getElementById(id);
  let chart = null;
  let look = "";
  return (data) => {
    const now = `${box.clientWidth} ${resolved("--ink")}`;
    if (chart && look === now) {
      chart.setData(data);
      return;
    }
    chart?.destroy();
    look = now;
    chart = new window.uPlot(options(box.clientWidth, describe), data, box);
  };
}

function options(width, describe) {
  const cache = new Map();
  const ink = (name) => cache.get(name) ?? cache.set(name, resolved(name)).get(name);
  const { unit, steps, ...rest } = describe(ink);
  const axis = { stroke: ink("--quiet"), grid: { stroke: ink("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return {
    width: Math.max(200, width),
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    axes: [
      { ...axis, grid: { show: false }, values: [[3600 * 24, "{D} {MMM}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1]] },
      { ...axis, size: 56, space: 28, incrs: steps, values: (_chart, ticks) => ticks.map((value) => `${short(value)}${unit}`) },
    ],
    ...rest,
  };
}
