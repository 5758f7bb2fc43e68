/**
 * Every limit of the instrumentation. "Engines" are V8 and SpiderMonkey, which share the limits of
 * https://webassembly.github.io/spec/js-api/#limits. Ours are lower, so that what one engine runs another
 * runs too, with what the instrumentation adds.
 *
 * @module
 */

/** The page of WebAssembly 1 and 2, bytes. */
export const PAGE_BYTES = 65536

/** Bytes of a module. It is held several times while it is rewritten and compiled. */
export const MAX_MODULE_BYTES = 64 * 1024 * 1024

/** A 32-bit memory ends here, bytes. */
export const MAX_MEMORY_BYTES = 65536 * PAGE_BYTES

/** Types: each is an object of the engine; the largest real modules have some thousands. */
export const MAX_TYPES = 100_000

/** Parameters, and results, of one type: the engines' limit. */
export const MAX_ARITY = 1000

/** Functions, imported ones too. An empty one costs 4 bytes of module and hundreds of the engine's. */
export const MAX_FUNCTIONS = 200_000

/** Imports: each is looked up and wrapped at every instantiation. */
export const MAX_IMPORTS = 1000

/** Exports: each is an object at every instantiation. */
export const MAX_EXPORTS = 20_000

/** Bytes of an imported or exported name; mangled C++ and Rust names reach some hundreds. */
export const MAX_NAME_BYTES = 8192

/** Globals of any kind. */
export const MAX_GLOBALS = 100_000

/** Mutable globals: each is read at every snapshot. Compilers make fewer than twenty. */
export const MAX_MUTABLE_GLOBALS = 2000

/** Tables: compilers make one or two. */
export const MAX_TABLES = 100

/** Entries of all tables together, at the start: 8 bytes of module could else claim 100 MB in each instance. */
export const MAX_TABLE_ENTRIES = 500_000

/** Element segments, and data segments: the engines' limit for data. */
export const MAX_SEGMENTS = 100_000

/**
 * Passive data segments that the module drops: each takes a global, a function and an export, and is a bit
 * of the state. Linkers make one to three.
 */
export const MAX_DROPPED_SEGMENTS = 2000

/** Bytes of one function. Engines stop at 7,654,321, and a rewritten body may be twice as long. */
export const MAX_BODY_BYTES = 3_800_000

/** Locals of one function, parameters too: 50,000 in the engines, less what the instrumentation adds. */
export const MAX_LOCALS = 49_000

/** Blocks within blocks: engines keep a frame for each. The deepest seen in a compiler's output is about 3,000. */
export const MAX_NESTING = 20_000

/** Targets of one `br_table`: V8's limit is 65,520. */
export const MAX_BRANCH_TARGETS = 65_000

/**
 * Values alive (locals and operands) summed over every block and branch of one function. Compilers carry all
 * live values across each of those, so this product, which a small module can make huge, is their running
 * time: 200 million keep V8 busy for 6 to 8 s with a module of 20 KB. Compilers' output stays below 300,000.
 */
export const MAX_MERGES_PER_FUNCTION = 25_000_000

/** The same, over the whole module, some 10 s in V8. 14 MB of Go have 7 million. */
export const MAX_MERGES = 250_000_000

/** Bytes of the rewritten module, and of one of its functions: calls take eight times their bytes. */
export const MAX_OUTPUT_BYTES = 128 * 1024 * 1024
export const MAX_OUTPUT_BODY_BYTES = 7_600_000

/**
 * The stack that a program may use, in bytes as `frameBytes` reckons them. Engines' own stacks differ by far: 500 KB in a worker
 * of Chromium is the least, 984 KB in its pages and in Node.js, 4 MB in workers of Node.js. This one ends first in each of them.
 */
export const MAX_STACK_BYTES = 384 * 1024

/** A function that calls none is not counted if its frame is at most so large. */
export const MAX_LEAF_FRAME_BYTES = 1024

/** A function that neither calls nor loops is not stopped at its entry if it costs at most so much fuel. */
export const MAX_LEAF_FUEL = 200
