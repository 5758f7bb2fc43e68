/**
 * Reloads the page when it comes back out of the back/forward cache: its node was frozen meanwhile,
 * its connections are dead, and another tab may act for its slot (design section 6).
 *
 * @returns a function that ends the guard
 */
export function guardBackForwardCache(): () => void {
  const onshow = (event: PageTransitionEvent) => {
    if (event.persisted) location.reload()
  }
  window.addEventListener('pageshow', onshow)
  return () => window.removeEventListener('pageshow', onshow)
}
