// A reaction-diffusion dish (the model of Gray and Scott; parameters after https://mrob.com/pub/comp/xmorphia/).
// Ordinary C on wasi-libc: printf is its log, floats give the same picture on every host.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("igor"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(view_show) int view_show(int kind, const void *bytes, int length, int width, int height);
IMPORT(inbox_next) int inbox_next(char *text, int capacity);

enum { SIDE = 96, CELLS = SIDE * SIDE, STEPS = 8, FRAME_RGBA = 1 };
// As long as a message can be: one that does not fit stays, and those behind it wait for ever.
enum { MAX_TEXT = 65536 };

typedef struct {
  const char *name;
  float feed, kill;
} Kind;

static const Kind kinds[] = {
    {"coral", 0.0545f, 0.0620f}, {"spots", 0.0350f, 0.0650f}, {"maze", 0.0290f, 0.0570f},
    {"worms", 0.0460f, 0.0630f}, {"waves", 0.0140f, 0.0390f},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const Kind *kind = &kinds[0];
static float u[2][CELLS], v[2][CELLS];
static int now;
static uint8_t frame[CELLS * 4];

static void drop(int x, int y) {
  for (int dy = -3; dy <= 3; dy++)
    for (int dx = -3; dx <= 3; dx++) {
      const int at = (y + dy + SIDE) % SIDE * SIDE + (x + dx + SIDE) % SIDE;
      u[now][at] = 0.5f;
      v[now][at] = 0.25f;
    }
}

static void seed(void) {
  for (int at = 0; at < CELLS; at++) u[now][at] = 1, v[now][at] = 0;
  // The C library draws from the tick's randomness.
  for (int i = 0; i < 12; i++) drop(arc4random_uniform(SIDE), arc4random_uniform(SIDE));
}

static float around(const float *field, int x, int y) {
  const int left = (x + SIDE - 1) % SIDE, right = (x + 1) % SIDE;
  const int up = (y + SIDE - 1) % SIDE * SIDE, down = (y + 1) % SIDE * SIDE;
  const float sides = field[y * SIDE + left] + field[y * SIDE + right] + field[up + x] + field[down + x];
  const float corners = field[up + left] + field[up + right] + field[down + left] + field[down + right];
  return 0.2f * sides + 0.05f * corners - field[y * SIDE + x];
}

static void step(void) {
  const float *u0 = u[now], *v0 = v[now];
  now = 1 - now;
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      const int at = y * SIDE + x;
      const float reaction = u0[at] * v0[at] * v0[at];
      u[now][at] = u0[at] + around(u0, x, y) - reaction + kind->feed * (1 - u0[at]);
      const float grown = v0[at] + 0.5f * around(v0, x, y) + reaction - (kind->feed + kind->kill) * v0[at];
      // What is left of nothing decays for ever, and numbers that small take processors twenty times as long.
      v[now][at] = grown < 1e-20f ? 0 : grown;
    }
}

static uint8_t shade(float value, float low, float high) {
  const float mixed = low + (high - low) * value;
  return mixed < 0 ? 0 : mixed > 255 ? 255 : (uint8_t)mixed;
}

static void draw(void) {
  for (int at = 0; at < CELLS; at++) {
    const float value = v[now][at] * 2.6f;
    frame[at * 4] = shade(value, 10, 255);
    frame[at * 4 + 1] = shade(value * value, 18, 170);
    frame[at * 4 + 2] = shade(value, 38, 120);
    frame[at * 4 + 3] = 255;
  }
  view_show(FRAME_RGBA, frame, sizeof frame, SIDE, SIDE);
}

static void listen(const char *text) {
  int x, y;
  if (sscanf(text, "drop %d %d", &x, &y) == 2) {
    if (x < 0 || y < 0 || x >= SIDE || y >= SIDE) printf("no such place: x and y go from 0 to %d\n", SIDE - 1);
    else drop(x, y);
    return;
  }
  if (strcmp(text, "seed") == 0 || strcmp(text, "key: ") == 0) {
    seed();
    puts("seeded anew");
    return;
  }
  for (int i = 0; i < KINDS; i++)
    if (strcmp(text, kinds[i].name) == 0) {
      kind = &kinds[i];
      printf("%s: feed %.4f, kill %.4f\n", kind->name, kind->feed, kind->kill);
      return;
    }
}

EXPORT(agent_init) void agent_init(void) {
  seed();
  puts("write coral, spots, maze, worms, waves, seed, or drop X Y");
}

EXPORT(agent_tick) int agent_tick(void) {
  static char text[MAX_TEXT + 1];
  for (int length; (length = inbox_next(text, MAX_TEXT)) > 0;) {
    text[length] = 0;
    listen(text);
  }
  for (int i = 0; i < STEPS; i++) step();
  draw();
  return 0;
}
