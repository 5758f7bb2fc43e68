// Snake. Play with the arrow keys (`key:ArrowUp` …) or w, a, s, d; left alone it plays by itself.
import { log, nextMessage, randomInt, rgb, showFrame } from "@igor/sdk-as/assembly";

const GRID: i32 = 16;
const CELL: i32 = 4;
const SIDE: i32 = GRID * CELL;
const PLACES: i32 = GRID * GRID;
/** Ticks without a key after which it plays by itself. */
const PATIENCE: i32 = 100;
/** Ticks for which it lies dead before it starts anew. */
const GRIEF: i32 = 15;

const dx: StaticArray<i32> = [0, 1, 0, -1];
const dy: StaticArray<i32> = [-1, 0, 1, 0];

/** Places of the body, head first. */
const body = new StaticArray<i32>(PLACES);
const taken = new StaticArray<bool>(PLACES);
const pixels = new StaticArray<u32>(SIDE * SIDE);
let length: i32 = 0;
let heading: i32 = 1;
let food: i32 = 0;
let score: i32 = 0;
let best: i32 = 0;
let games: u32 = 0;
let idle: i32 = PATIENCE;
let dead: i32 = 0;

function placeFood(): void {
  let free = randomInt(PLACES - length);
  for (let at = 0; at < PLACES; at++) {
    if (taken[at]) continue;
    if (free-- == 0) {
      food = at;
      return;
    }
  }
}

function start(): void {
  taken.fill(false);
  length = 3;
  heading = 1;
  score = 0;
  games++;
  for (let i = 0; i < length; i++) {
    body[i] = (GRID / 2) * GRID + GRID / 2 - i;
    taken[body[i]] = true;
  }
  placeFood();
}

export function agent_init(): void {
  start();
  log("ready: arrow keys or w, a, s, d");
}

/** Where a step leads: a place, or -1 at the wall. */
function ahead(from: i32, way: i32): i32 {
  const x = (from % GRID) + dx[way];
  const y = from / GRID + dy[way];
  return x < 0 || y < 0 || x >= GRID || y >= GRID ? -1 : y * GRID + x;
}

/** The tail moves on as the head comes: its place is free unless the snake grows. */
function isFree(at: i32): bool {
  return at >= 0 && (!taken[at] || (at == body[length - 1] && at != food));
}

/** Room around a place: how many of its neighbours are free. */
function room(at: i32): i32 {
  let count = 0;
  for (let way = 0; way < 4; way++) if (isFree(ahead(at, way))) count++;
  return count;
}

/** Steers towards the food, and away from dead ends. */
function think(): void {
  let choice = heading;
  let lowest = i32.MAX_VALUE;
  for (let way = 0; way < 4; way++) {
    const at = ahead(body[0], way);
    if (!isFree(at)) continue;
    const far = abs((at % GRID) - (food % GRID)) + abs(at / GRID - food / GRID);
    const cost = far + (room(at) == 0 && at != food ? 1000 : 0);
    if (cost < lowest) {
      lowest = cost;
      choice = way;
    }
  }
  heading = choice;
}

function wayOf(key: string): i32 {
  if (key == "ArrowUp" || key == "w") return 0;
  if (key == "ArrowRight" || key == "d") return 1;
  if (key == "ArrowDown" || key == "s") return 2;
  if (key == "ArrowLeft" || key == "a") return 3;
  return -1;
}

/** Takes one turn from the inbox; further ones wait for the next tick, so that quick keys all count. */
function listen(): void {
  const text = nextMessage();
  idle++;
  if (text === null) return;
  const way = wayOf(text.startsWith("key:") ? text.substring(4) : text);
  if (way < 0) return;
  if (idle > PATIENCE) log("you play");
  idle = 0;
  // Never straight back into its own neck.
  if (ahead(body[0], way) != body[1]) heading = way;
}

function move(): void {
  const at = ahead(body[0], heading);
  if (!isFree(at)) {
    dead = GRIEF;
    if (score > best) best = score;
    log("game " + games.toString() + ": " + score.toString() + " points, best " + best.toString());
    return;
  }
  const eats = at == food;
  if (eats) length++;
  else taken[body[length - 1]] = false;
  for (let i = length - 1; i > 0; i--) body[i] = body[i - 1];
  body[0] = at;
  taken[at] = true;
  if (!eats) return;
  score++;
  if (length == PLACES) {
    dead = GRIEF;
    best = score;
    log("game " + games.toString() + ": the board is full!");
  } else {
    placeFood();
  }
}

function paint(at: i32, colour: u32): void {
  const left = (at % GRID) * CELL;
  const top = (at / GRID) * CELL;
  for (let y = top; y < top + CELL; y++) for (let x = left; x < left + CELL; x++) pixels[y * SIDE + x] = colour;
}

function draw(): void {
  pixels.fill(rgb(16, 20, 28));
  paint(food, rgb(255, 92, 92));
  for (let i = length - 1; i >= 0; i--) {
    const fade: u32 = 220 - min(i * 4, 120);
    paint(body[i], dead > 0 ? rgb(fade, fade, fade) : rgb(fade / 4, fade, fade / 2));
  }
  paint(body[0], dead > 0 ? rgb(255, 255, 255) : rgb(190, 255, 120));
  showFrame(pixels, SIDE, SIDE);
}

export function agent_tick(): i32 {
  listen();
  if (dead > 0) {
    if (--dead == 0) start();
  } else {
    if (idle > PATIENCE) think();
    move();
  }
  draw();
  return 0;
}
