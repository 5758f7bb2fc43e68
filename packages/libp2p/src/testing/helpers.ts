import { STRANGER } from '@igor/core/testing'

export function seed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32))
}

/** Port 1 of the loopback refuses at once; 192.0.2.1 (RFC 5737) swallows everything. */
export const DEAD = {
  tcp: `/ip4/127.0.0.1/tcp/1/p2p/${STRANGER}`,
  ws: `/ip4/127.0.0.1/tcp/1/ws/p2p/${STRANGER}`,
  silent: `/ip4/192.0.2.1/tcp/4001/p2p/${STRANGER}`,
}
