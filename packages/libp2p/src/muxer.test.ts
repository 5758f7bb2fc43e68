import { multiaddrConnectionPair } from '@libp2p/utils'
import { describe, expect, it } from 'vitest'
import { createMuxers } from './muxer.ts'

describe('a stream that is opened while its connection closes', () => {
  it('ends, and nothing is thrown that nobody can catch', async () => {
    const [connection] = multiaddrConnectionPair()
    const muxer = createMuxers()().createStreamMuxer(connection)
    connection.send = () => {
      throw new Error('closing')
    }
    const stream = await muxer.createStream()
    expect(stream.status).toBe('aborted')
  })
})
