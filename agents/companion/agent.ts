// The first agent that people meet. It has a face of its own, moods, and a memory: it greets, answers, and notices when it slept.
import { duration, log, nextMessage, nowMs, random, randomInt, show } from "@igor/sdk-as/assembly";

/** Longer than any move: when this much passed between two ticks, it was away. */
const SLEPT_MS: i64 = 10000;
/** Ticks for which a mood lasts. */
const MOOD_TICKS: i32 = 6;

const ears = ["(", "ʕ", "{", "["];
const endEars = [")", "ʔ", "}", "]"];
const eyes = ["•", "◕", "°", "◉"];
const mouths = ["ᴗ", "ᴥ", "ω", "‿"];

let ear = 0;
let eye = 0;
let mouth = 0;
let born: i64 = 0;
let last: i64 = 0;
let ticks: u64 = 0;
let messages: u32 = 0;
let naps: u32 = 0;
let mood = "new here";
let moodLeft: i32 = MOOD_TICKS;
let heard = "";

export function agent_init(): void {
  ear = randomInt(ears.length);
  eye = randomInt(eyes.length);
  mouth = randomInt(mouths.length);
  born = nowMs();
  last = born;
  log("hello! I am new here. Write to me.");
}

function feel(what: string): void {
  mood = what;
  moodLeft = MOOD_TICKS;
}

function answer(text: string): string {
  const said = text.toLowerCase().trim();
  if (said.startsWith("key:")) {
    feel("tickled");
    return "that tickles (" + text.substring(4) + ")";
  }
  if (said == "hi" || said.startsWith("hi ") || said.includes("hello") || said.includes("hallo")) {
    feel("happy");
    return "hello! I am " + duration(nowMs() - born) + " old and feel " + mood;
  }
  if (said.includes("how are you")) {
    return mood + ", thank you: " + ticks.toString() + " ticks and still here";
  }
  if (said.includes("remember")) {
    if (heard.length == 0) return "you are the first who writes to me";
    return "the last I heard was: " + heard;
  }
  if (said.endsWith("?")) {
    feel("pensive");
    return random() < 0.5 ? "I think so" : "I doubt it";
  }
  feel("curious");
  return "noted: " + text;
}

function face(): string {
  const blinks = ticks % 7 == 0;
  let look = blinks ? "-" : eyes[eye];
  if (mood == "sleepy") look = "-";
  if (mood == "happy" || mood == "tickled") look = "^";
  return ears[ear] + look + mouths[mouth] + look + endEars[ear];
}

export function agent_tick(): i32 {
  ticks++;
  const time = nowMs();
  const gap = time - last;
  last = time;
  if (gap > SLEPT_MS) {
    naps++;
    feel("sleepy");
    log("I slept " + duration(gap) + ". Nothing lost: this is tick " + ticks.toString());
  }
  for (let text = nextMessage(); text !== null; text = nextMessage()) {
    messages++;
    log(answer(text));
    if (!text.startsWith("key:")) heard = text;
  }
  if (moodLeft > 0 && --moodLeft == 0) mood = messages == 0 ? "waiting for a word from you" : "content";

  let line = face() + "\n" + mood + "\ntick " + ticks.toString() + ", " + duration(time - born) + " old";
  if (messages > 0) line += "\n" + messages.toString() + (messages == 1 ? " message" : " messages");
  if (naps > 0) line += "\n" + naps.toString() + (naps == 1 ? " nap" : " naps");
  show(line);
  return 0;
}
