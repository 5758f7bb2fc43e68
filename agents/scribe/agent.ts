// A notebook: every message becomes a note; it shows the last ones. `clear` empties it, `find WORD` searches it.
import { duration, initText, log, nextMessage, nowMs, show } from "@igor/sdk-as/assembly";

/** Oldest notes go when there are more. */
const MAX_NOTES: i32 = 500;
const MAX_NOTE: i32 = 1000;
const SHOWN: i32 = 12;
const FOUND: i32 = 5;

class Note {
  constructor(
    public number: u32,
    public time: i64,
    public text: string,
  ) {}
}

const notes: Note[] = [];
let written: u32 = 0;

function note(text: string): void {
  if (notes.length == MAX_NOTES) notes.shift();
  written++;
  notes.push(new Note(written, nowMs(), text.length > MAX_NOTE ? text.substring(0, MAX_NOTE) + "…" : text));
  log("noted #" + written.toString());
}

function find(word: string): void {
  let found = 0;
  for (let i = notes.length - 1; i >= 0 && found < FOUND; i--) {
    if (!notes[i].text.includes(word)) continue;
    found++;
    log("#" + notes[i].number.toString() + ": " + notes[i].text);
  }
  if (found == 0) log("nothing found for: " + word);
}

export function agent_init(): void {
  const first = initText();
  if (first.length > 0) note(first);
}

export function agent_tick(): i32 {
  for (let text = nextMessage(); text !== null; text = nextMessage()) {
    if (text.startsWith("key:")) continue;
    if (text == "clear") {
      notes.length = 0;
      log("cleared");
    } else if (text.startsWith("find ")) {
      find(text.substring(5));
    } else {
      note(text);
    }
  }
  const time = nowMs();
  let page = notes.length == 0 ? "Empty. Write me a line." : "";
  for (let i = max(0, notes.length - SHOWN); i < notes.length; i++) {
    const one = notes[i];
    page += "#" + one.number.toString() + "  " + one.text + "  (" + duration(time - one.time) + " ago)\n";
  }
  show(page);
  return 0;
}
