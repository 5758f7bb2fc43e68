// Conway's Game of Life on a torus; cells fade where they died. Messages: `seed`, `toggle X Y`, `tap:X,Y`, or a key (space or
// Enter seeds, the rest is ignored).
import { log, nextMessage, random64, rgb, showFrame } from "@igor/sdk-as/assembly";

const SIZE: i32 = 96;
const CELLS: i32 = SIZE * SIZE;
/** Generations without a change in the count of living cells after which it seeds itself anew. */
const STALE: i32 = 300;

let cells = new StaticArray<u8>(CELLS);
let after = new StaticArray<u8>(CELLS);
/** How warm a cell still is: 255 while it lives. */
const heat = new StaticArray<u8>(CELLS);
const pixels = new StaticArray<u32>(CELLS);
let generation: u64 = 0;
let population: i32 = 0;
let stale: i32 = 0;
/** Turns the colours with each seed. */
let hue: u32 = 0;

function seed(): void {
  let bits: u64 = 0;
  let left = 0;
  for (let i = 0; i < CELLS; i++) {
    if (left == 0) {
      bits = random64();
      left = 32;
    }
    // One in four lives.
    cells[i] = <u8>((bits & 3) == 0);
    bits >>= 2;
    left--;
  }
  hue = <u32>(random64() % 3);
  generation = 0;
  stale = 0;
}

export function agent_init(): void {
  seed();
  log("seeded " + SIZE.toString() + " x " + SIZE.toString());
}

function toggle(words: string[]): void {
  const x = words.length > 0 ? <i32>parseInt(words[0], 10) : -1;
  const y = words.length > 1 ? <i32>parseInt(words[1], 10) : -1;
  if (x < 0 || y < 0 || x >= SIZE || y >= SIZE) {
    log("no such cell: x and y go from 0 to " + (SIZE - 1).toString());
    return;
  }
  cells[y * SIZE + x] ^= 1;
  stale = 0;
}

function obey(text: string): void {
  if (text == "seed" || text == "key: " || text == "key:Enter" || text == "key:Space") {
    seed();
    log("seeded anew");
  } else if (text.startsWith("toggle ")) {
    toggle(text.substring(7).split(" "));
  } else if (text.startsWith("tap:")) {
    toggle(text.substring(4).split(","));
  }
}

function step(): void {
  let living = 0;
  for (let y = 0; y < SIZE; y++) {
    const up = ((y + SIZE - 1) % SIZE) * SIZE;
    const here = y * SIZE;
    const down = ((y + 1) % SIZE) * SIZE;
    for (let x = 0; x < SIZE; x++) {
      const left = (x + SIZE - 1) % SIZE;
      const right = (x + 1) % SIZE;
      const around =
        unchecked(cells[up + left] + cells[up + x] + cells[up + right]) +
        unchecked(cells[here + left] + cells[here + right]) +
        unchecked(cells[down + left] + cells[down + x] + cells[down + right]);
      const lives = around == 3 || (around == 2 && unchecked(cells[here + x]) == 1);
      unchecked((after[here + x] = <u8>lives));
      living += <i32>lives;
    }
  }
  const spare = cells;
  cells = after;
  after = spare;
  stale = abs(living - population) <= 2 ? stale + 1 : 0;
  population = living;
  generation++;
}

function colour(warmth: u32): u32 {
  const bright = warmth;
  const middle = (warmth * warmth) >> 8;
  const dim = (warmth * warmth * warmth) >> 16;
  if (hue == 0) return rgb(dim + 8, middle + 8, min<u32>(bright + 16, 255));
  if (hue == 1) return rgb(min<u32>(bright + 16, 255), middle + 8, dim + 8);
  return rgb(dim + 8, min<u32>(bright + 16, 255), middle + 8);
}

function draw(): void {
  for (let i = 0; i < CELLS; i++) {
    const warmth: u32 = unchecked(cells[i]) == 1 ? 255 : (<u32>unchecked(heat[i]) * 7) >> 3;
    unchecked((heat[i] = <u8>warmth));
    // A living cell is white; one that died glows and fades.
    unchecked((pixels[i] = cells[i] == 1 ? 0xffffffff : colour(warmth)));
  }
  showFrame(pixels, SIZE, SIZE);
}

export function agent_tick(): i32 {
  for (let text = nextMessage(); text !== null; text = nextMessage()) obey(text);
  step();
  if (stale > STALE) {
    log("settled after " + generation.toString() + " generations with " + population.toString() + " cells: seeding anew");
    seed();
  }
  draw();
  return 0;
}
