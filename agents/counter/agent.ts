// The plainest agent: one number, one more each tick. What it logs shows that no tick was lost and none ran twice.
import { log } from "@igor/sdk-as/assembly";

let count: u64 = 0;

export function agent_tick(): i32 {
  count++;
  log("tick " + count.toString());
  return 0;
}
