// The instant of a Unix time in seconds, or null where there is none.
export function time(seconds) {
  return Number.isFinite(seconds) ? new Date(seconds * 1000) : null;
}
