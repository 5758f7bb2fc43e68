/** Every rule has a code of its own; codes do not change between versions. */
export type LineageErrorCode =
  // names and keys
  | 'BAD_DID'
  | 'BAD_PEER_ID'
  | 'BAD_KEY'
  // encoding
  | 'TOO_LARGE'
  | 'BAD_ENCODING'
  | 'BAD_FIELD'
  | 'BAD_SIGNATURE'
  | 'BAD_CID'
  // blocks
  | 'BAD_BLOCK'
  | 'MISSING_BLOCK'
  // the chain
  | 'NOT_GENESIS'
  | 'NOT_ALLOWED'
  | 'WRONG_AGENT'
  | 'BAD_SEQ'
  | 'BAD_PREV'
  | 'BAD_ANCHOR'
  | 'BAD_EPOCH'
  | 'BAD_TIME'
  | 'BAD_TICK'
  | 'BAD_STATE'
  | 'BAD_MODULE'
  | 'BAD_PRICE'
  | 'BAD_COST'
  | 'BAD_BUDGET'
  | 'BAD_INCARNATION'
  | 'BAD_READY'
  | 'BAD_ORDER'
  | 'NOT_ASSERTED'
  | 'BAD_WITNESS'
  | 'BAD_COSIGNATURE'
  | 'NOT_COSIGNED'
  // files
  | 'BAD_CAR'
  | 'WRONG_ROOT'
  | 'UNREACHABLE_BLOCK'
  | 'BAD_PROOF'
  | 'BAD_GO_CHECKPOINT'
  | 'BAD_GO_HISTORY'

/**
 * The only error that this package throws for bad input: branch on `code`, show `message`.
 */
export class LineageError extends Error {
  readonly code: LineageErrorCode
  /** The record that it concerns: its CID, or `seq N` where it has none. */
  readonly record?: string
  constructor(code: LineageErrorCode, message: string, options?: ErrorOptions & { readonly record?: string | undefined }) {
    super(message, options)
    this.name = 'LineageError'
    this.code = code
    if (options?.record !== undefined) this.record = options.record
  }
}
