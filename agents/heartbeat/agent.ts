// Counts its ticks, knows when it was born, and says so at milestones.
import { duration, log, nowMs, show } from "@igor/sdk-as/assembly";

let ticks: u64 = 0;
let born: i64 = 0;
let milestone: u64 = 10;

export function agent_init(): void {
  born = nowMs();
  log("born");
}

export function agent_tick(): i32 {
  ticks++;
  const age = duration(nowMs() - born);
  if (ticks == milestone) {
    log("milestone: " + ticks.toString() + " ticks, " + age + " old");
    milestone *= 10;
  } else if (ticks % 10 == 0) {
    log("tick " + ticks.toString() + ", " + age + " old");
  }
  show((ticks % 2 == 0 ? "♥" : "♡") + " tick " + ticks.toString() + "\n" + age + " old");
  return 0;
}
