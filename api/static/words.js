// Numbers and times as people read them.

export const count = (number) => number.toLocaleString("en");

export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

export function clock(instant) {
  const date = new Date(instant);
  const isToday = date.toDateString() === new Date().toDateString();
  const options = { hour: "2-digit", minute: "2-digit", ...(isToday ? {} : { weekday: "long" }) };
  return date.toLocaleString("en-GB", options);
}

export function size(bytes) {
  return bytes < 2 ** 20 ? `${count(Math.ceil(bytes / 1024))} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

export function seconds(number) {
  return number < 1 ? `${Math.round(number * 1000)} ms` : `${number.toFixed(1)} s`;
}
