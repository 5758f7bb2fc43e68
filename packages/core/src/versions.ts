import { isKnownVersion, VERSIONS, type Version, versionText } from '@igor/sandbox'
import { IgorError } from './errors.ts'

/**
 * What ran by a version that is not known here cannot be run again: nothing of it is in doubt.
 *
 * @param what ran by it
 * @throws IgorError VERSION_UNKNOWN
 */
export const checkVersion = (version: Version, what: string): void => {
  if (isKnownVersion(version)) return
  const known = VERSIONS.map(versionText).join(', ')
  throw new IgorError(
    'VERSION_UNKNOWN',
    `${what} ran by ${versionText(version)}, this node has ${known}: it takes the version of Igor that wrote it, or a later one`,
  )
}
