// Seconds as a player shows them, for a sentence as for a text of two hours. Pure.

/** As 0:05.9 below ten minutes, 12:34 below an hour, 1:51:02 above. */
export function clock(seconds: number): string {
  const tenths = Math.floor(seconds * 10);
  const [hours, minutes, rest] = [Math.floor(tenths / 36_000), Math.floor(tenths / 600) % 60, tenths % 600];
  const whole = String(Math.floor(rest / 10)).padStart(2, "0");
  if (hours > 0) return `${hours}:${String(minutes).padStart(2, "0")}:${whole}`;
  return minutes >= 10 ? `${minutes}:${whole}` : `${minutes}:${whole}.${rest % 10}`;
}
