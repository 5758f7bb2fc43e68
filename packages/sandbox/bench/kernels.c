// What is measured bare and instrumented. Built by clang 14 and wasm-ld:
//   clang --target=wasm32 -O2 -msimd128 -mbulk-memory -ffreestanding -fno-vectorize -fno-slp-vectorize -c -o kernels.o kernels.c
//   wasm-ld --no-entry --initial-memory=67108864 --strip-all -o kernels.wasm kernels.o
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
#define EXPORT(name) __attribute__((export_name(#name)))

static u32 seed = 1;
static u32 next(void) {
  seed ^= seed << 13;
  seed ^= seed >> 17;
  seed ^= seed << 5;
  return seed;
}

static const u32 K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
#define ROR(x, n) (((x) >> (n)) | ((x) << (32 - (n))))

static u32 state[8];
static u8 block[64];
static void compress(void) {
  u32 w[64], s[8];
  for (int i = 0; i < 16; i++) w[i] = block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    u32 a = ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ (w[i - 15] >> 3);
    u32 b = ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + a + w[i - 7] + b;
  }
  for (int i = 0; i < 8; i++) s[i] = state[i];
  for (int i = 0; i < 64; i++) {
    u32 t1 = s[7] + (ROR(s[4], 6) ^ ROR(s[4], 11) ^ ROR(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + K[i] + w[i];
    u32 t2 = (ROR(s[0], 2) ^ ROR(s[0], 13) ^ ROR(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    for (int j = 7; j > 0; j--) s[j] = s[j - 1];
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}
EXPORT(sha256) u32 sha256(u32 n) {
  for (u32 i = 0; i < n; i++) {
    for (int j = 0; j < 64; j++) block[j] = (u8)(i * 7 + j);
    compress();
  }
  return state[0];
}

__attribute__((noinline)) static u32 fibonacci(u32 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
EXPORT(fib) u32 fib(u32 n) { return fibonacci(n); }

EXPORT(mandelbrot) u32 mandelbrot(u32 n) {
  u32 total = 0;
  for (u32 y = 0; y < n; y++) {
    for (u32 x = 0; x < n; x++) {
      double cr = 3.0 * x / n - 2.0, ci = 2.0 * y / n - 1.0, zr = 0, zi = 0;
      u32 i = 0;
      while (i < 100 && zr * zr + zi * zi < 4.0) {
        double t = zr * zr - zi * zi + cr;
        zi = 2.0 * zr * zi + ci;
        zr = t;
        i++;
      }
      total += i;
    }
  }
  return total;
}

static int numbers[1 << 18];
static void sort(int *a, int low, int high) {
  while (low < high) {
    int i = low, j = high, pivot = a[(low + high) >> 1];
    while (i <= j) {
      while (a[i] < pivot) i++;
      while (a[j] > pivot) j--;
      if (i <= j) {
        int t = a[i];
        a[i++] = a[j];
        a[j--] = t;
      }
    }
    sort(a, low, j);
    low = i;
  }
}
EXPORT(quicksort) u32 quicksort(u32 n) {
  for (u32 i = 0; i < n; i++) numbers[i] = (int)next();
  sort(numbers, 0, (int)n - 1);
  return (u32)numbers[n / 2];
}

static double ma[256 * 256], mb[256 * 256], mc[256 * 256];
EXPORT(matmul) u32 matmul(u32 n) {
  for (u32 i = 0; i < n * n; i++) {
    ma[i] = i % 7;
    mb[i] = i % 11;
  }
  for (u32 i = 0; i < n; i++) {
    for (u32 j = 0; j < n; j++) {
      double sum = 0;
      for (u32 k = 0; k < n; k++) sum += ma[i * n + k] * mb[k * n + j];
      mc[i * n + j] = sum;
    }
  }
  return (u32)mc[n + 1];
}

static u32 table[256];
EXPORT(crc) u32 crc(u32 n) {
  if (table[1] == 0) {
    for (u32 i = 0; i < 256; i++) {
      u32 c = i;
      for (int j = 0; j < 8; j++) c = c & 1 ? 0xedb88320 ^ (c >> 1) : c >> 1;
      table[i] = c;
    }
  }
  u32 c = ~0u;
  const u8 *bytes = (const u8 *)numbers;
  for (u32 i = 0; i < n; i++) c = table[(c ^ bytes[i & 0xfffff]) & 0xff] ^ (c >> 8);
  return ~c;
}

static char text[1 << 16];
static u32 at, depth_seen, sum_seen;
static void value(u32 depth) {
  while (text[at] == ' ') at++;
  char c = text[at];
  if (depth > depth_seen) depth_seen = depth;
  if (c == '{' || c == '[') {
    char close = c == '{' ? '}' : ']';
    at++;
    while (text[at] != close) {
      if (c == '{') {
        at++;
        while (text[at] != '"') sum_seen += (u8)text[at++];
        at += 2;
      }
      value(depth + 1);
      if (text[at] == ',') at++;
    }
    at++;
  } else if (c == '"') {
    at++;
    while (text[at] != '"') sum_seen += (u8)text[at++];
    at++;
  } else {
    int v = 0;
    while (text[at] >= '0' && text[at] <= '9') v = v * 10 + (text[at++] - '0');
    sum_seen += (u32)v;
  }
}
static void put(const char *s) {
  while (*s) text[at++] = *s++;
}
EXPORT(json) u32 json(u32 n) {
  at = 0;
  put("[");
  while (at < 60000) {
    put("{\"name\":\"agent\",\"values\":[1,22,333,4444,[5,6,{\"deep\":\"er\"}]],\"next\":{\"a\":1,\"b\":[]}},");
  }
  put("0]");
  text[at] = 0;
  for (u32 i = 0; i < n; i++) {
    at = 0;
    value(0);
  }
  return sum_seen + depth_seen;
}

struct body {
  double x, y, z, vx, vy, vz, mass;
};
static struct body bodies[5];
EXPORT(nbody) u32 nbody(u32 n) {
  for (int i = 0; i < 5; i++) {
    bodies[i] = (struct body){i * 1.5, i * i * 0.7, 3.0 - i, 0.1 * i, 0.2, 0.3 - 0.1 * i, 1.0 + i};
  }
  for (u32 step = 0; step < n; step++) {
    for (int i = 0; i < 5; i++) {
      for (int j = i + 1; j < 5; j++) {
        double dx = bodies[i].x - bodies[j].x, dy = bodies[i].y - bodies[j].y, dz = bodies[i].z - bodies[j].z;
        double d2 = dx * dx + dy * dy + dz * dz + 0.01;
        double mag = 0.001 / (d2 * __builtin_sqrt(d2));
        bodies[i].vx -= dx * bodies[j].mass * mag;
        bodies[i].vy -= dy * bodies[j].mass * mag;
        bodies[i].vz -= dz * bodies[j].mass * mag;
        bodies[j].vx += dx * bodies[i].mass * mag;
        bodies[j].vy += dy * bodies[i].mass * mag;
        bodies[j].vz += dz * bodies[i].mass * mag;
      }
    }
    for (int i = 0; i < 5; i++) {
      bodies[i].x += 0.001 * bodies[i].vx;
      bodies[i].y += 0.001 * bodies[i].vy;
      bodies[i].z += 0.001 * bodies[i].vz;
    }
  }
  return (u32)(long long)(bodies[0].x * 1e6);
}

// A stack machine that runs a loop: what an interpreter's switch does.
static const u8 program[] = {1, 2, 0, 3, 4, 5, 6, 0};
EXPORT(interpreter) u32 interpreter(u32 n) {
  u32 stack[16], sp = 0, acc = 0, count = n, pc = 0;
  for (;;) {
    switch (program[pc++ & 7]) {
    case 0: acc ^= count; break;
    case 1: stack[sp++ & 15] = acc; break;
    case 2: acc = acc * 3 + 1; break;
    case 3: acc += stack[--sp & 15]; break;
    case 4: acc = (acc << 5) | (acc >> 27); break;
    case 5: if (acc & 1) acc += 7; break;
    case 6: if (--count == 0) return acc; break;
    default: return 0;
    }
  }
}

typedef u32 v4 __attribute__((vector_size(16)));
static v4 va[4096], vb[4096];
EXPORT(simd) u32 simd(u32 n) {
  v4 sum = {0, 0, 0, 0};
  for (u32 r = 0; r < n; r++)
    for (u32 i = 0; i < 4096; i++) {
      va[i] += vb[i] * 3 + r;
      sum ^= va[i];
    }
  return sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
}

// Below: what the cost table is measured with.
static u32 chain[8 << 20];
EXPORT(prepareChase) u32 prepareChase(u32 n) {
  for (u32 i = 0; i < n; i++) chain[i] = i;
  for (u32 i = n - 1; i > 0; i--) {
    u32 j = next() % i, t = chain[i];
    chain[i] = chain[j];
    chain[j] = t;
  }
  return chain[0];
}
EXPORT(chase) u32 chase(u32 n) {
  u32 p = 0;
  for (u32 i = 0; i < n; i++) p = chain[p];
  return p;
}
EXPORT(walk) u32 walk(u32 n) {
  u32 sum = 0;
  for (u32 i = 0; i < n; i++) sum += chain[next() & ((8 << 20) - 1)];
  return sum;
}
EXPORT(sum) u32 sum(u32 n) {
  u32 s = 0;
  for (u32 r = 0; r < n; r++)
    for (u32 i = 0; i < 4096; i++) s += (u32)numbers[i];
  return s;
}
EXPORT(fill) u32 fill(u32 n) {
  for (u32 i = 0; i < n; i++) __builtin_memset(numbers, (int)i, sizeof numbers);
  return (u32)numbers[5];
}
EXPORT(fillWide) u32 fillWide(u32 n) {
  for (u32 i = 0; i < n; i++) __builtin_memset(chain, (int)i, sizeof chain);
  return chain[5];
}
EXPORT(fillShort) u32 fillShort(u32 n) {
  for (u32 i = 0; i < n; i++) __builtin_memset(numbers + (i & 255), (int)i, 24 + (i & 7));
  return (u32)numbers[5];
}
EXPORT(copy) u32 copy(u32 n) {
  for (u32 i = 0; i < n; i++) __builtin_memcpy(numbers, chain, sizeof numbers);
  return (u32)numbers[5];
}
EXPORT(divide) u32 divide(u32 n) {
  u32 s = 1;
  for (u32 i = 1; i <= n; i++) s = (0xffffffff - s) / i + 3;
  return s;
}
EXPORT(divide64) u32 divide64(u32 n) {
  u64 s = 1;
  for (u32 i = 1; i <= n; i++) s = (0xffffffffffffffffull - s) / (i | 0x100000001ull) + 3;
  return (u32)s;
}
EXPORT(roots) u32 roots(u32 n) {
  double s = 2;
  for (u32 i = 1; i <= n; i++) s = __builtin_sqrt(s + i) / (s + 1.5);
  return (u32)(s * 1000);
}
typedef u32 (*unary)(u32);
static u32 f0(u32 x) { return x + 1; }
static u32 f1(u32 x) { return x ^ 5; }
static u32 f2(u32 x) { return x * 3; }
static unary pointers[4] = {f0, f1, f2, f0};
EXPORT(indirect) u32 indirect(u32 n) {
  u32 s = 0;
  for (u32 i = 0; i < n; i++) s = pointers[s & 3](s);
  return s;
}
EXPORT(multiply) u32 multiply(u32 n) {
  u64 s = 1;
  for (u32 i = 0; i < n; i++) s = s * 6364136223846793005ull + 1442695040888963407ull;
  return (u32)(s >> 32);
}
EXPORT(empty) void empty(void) {}
EXPORT(tick) u32 tick(void) { return next() & 1; }
