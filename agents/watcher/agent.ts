// Watches a price that goes on without it. After a gap it catches up, second by second, and reports every crossing of its
// threshold that it missed. The threshold is the init text, or a message `threshold 105`.
import { duration, initText, log, nextMessage, nowMs, show } from "@igor/sdk-as/assembly";

const SLOT_MS: i64 = 1000;
/** More missed slots than this are a gap worth a line. */
const GAP_SLOTS: i64 = 5;
/** Slots that one tick catches up: a long gap takes several ticks, none of them long. */
const SLOTS_PER_TICK: i64 = 3600;
const DEFAULT_THRESHOLD: f64 = 100.0;
/** Crossings of one gap that are told one by one; the rest is counted. */
const TOLD: u32 = 10;

let threshold: f64 = DEFAULT_THRESHOLD;
let slot: i64 = 0;
let price: f64 = 0.0;
let crossings: u32 = 0;
/** Where the gap ends that is being caught up; 0 when there is none. */
let gapEnd: i64 = 0;
let gapStart: i64 = 0;
let gapCrossings: u32 = 0;

function noise(n: i64): f64 {
  let bits: u64 = <u64>n * 0x9e3779b97f4a7c15;
  bits ^= bits >> 31;
  bits *= 0xbf58476d1ce4e5b9;
  bits ^= bits >> 29;
  return <f64>(bits >> 11) / 9007199254740992.0 - 0.5;
}

/** The world: a pure function of time, so that every host sees the same one. */
function priceAt(at: i64): f64 {
  let value = 100.0;
  let size = 12.0;
  for (let period: i64 = 600; period > 4; period /= 5) {
    const left = at / period;
    const part = <f64>(at % period) / <f64>period;
    const smooth = part * part * (3.0 - 2.0 * part);
    value += size * (noise(left * 7 + period) * (1.0 - smooth) + noise((left + 1) * 7 + period) * smooth);
    size *= 0.5;
  }
  return value;
}

function money(value: f64): string {
  const cents = <i64>Math.round(value * 100.0);
  const part = cents % 100;
  return (cents / 100).toString() + "." + (part < 10 ? "0" : "") + part.toString();
}

function readThreshold(text: string): void {
  const words = text.trim().split(" ");
  const value = parseFloat(words[words.length - 1]);
  if (!(value > 0.0 && value < 1000000.0)) {
    if (text.length > 0) log("not a threshold: write a number, such as: threshold 105");
    return;
  }
  threshold = value;
  log("threshold is " + money(threshold));
}

export function agent_init(): void {
  readThreshold(initText());
  slot = nowMs() / SLOT_MS;
  price = priceAt(slot);
}

function crossed(now: f64, at: i64, present: i64): void {
  crossings++;
  const line = (now >= threshold ? "rose above " : "fell below ") + money(threshold) + ": " + money(now);
  if (gapEnd == 0) {
    log(line);
    return;
  }
  gapCrossings++;
  if (gapCrossings <= TOLD) log("while I was away, " + duration((present - at) * SLOT_MS) + " ago, it " + line);
}

export function agent_tick(): i32 {
  for (let text = nextMessage(); text !== null; text = nextMessage()) readThreshold(text);

  const present = nowMs() / SLOT_MS;
  if (gapEnd == 0 && present - slot > GAP_SLOTS) {
    gapStart = slot;
    gapEnd = present;
    gapCrossings = 0;
    log("I was away for " + duration((present - slot) * SLOT_MS) + ": catching up");
  }
  const until = min(present, slot + SLOTS_PER_TICK);
  while (slot < until) {
    slot++;
    const next = priceAt(slot);
    if (price >= threshold != next >= threshold) crossed(next, slot, present);
    price = next;
  }
  if (gapEnd != 0 && slot >= gapEnd) {
    log("caught up on " + (gapEnd - gapStart).toString() + " slots: " + gapCrossings.toString() + " crossings");
    gapEnd = 0;
  }
  show(
    (price >= threshold ? "▲ " : "▼ ") + money(price) + "\nthreshold " + money(threshold) + "\n" + crossings.toString() + " crossings",
  );
  return slot < present ? 1 : 0;
}
