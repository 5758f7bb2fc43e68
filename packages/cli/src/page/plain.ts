/**
 * The pages that are shown instead of the page: one screen that says why, and what to do.
 *
 * @module
 */

/** Host names come from the request. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** A page without scripts and styles of its own. */
export function plainPage(title: string, paragraphs: readonly string[]): string {
  const body = paragraphs.map((text) => `<p>${escapeHtml(text)}</p>`).join('\n')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${body}
</body>
</html>
`
}

export function insecurePage(host: string, port: number): string {
  return plainPage('This page needs a secure connection', [
    `You opened Igor as ${host}, over plain HTTP. A browser gives a page the keys, storage and workers that a node needs only over HTTPS, or on the machine itself.`,
    `On the machine where igor runs, open http://localhost:${port}/.`,
    `From elsewhere: start it with a certificate (igor up --host 0.0.0.0 --tls-cert FILE --tls-key FILE), or behind a proxy that ends TLS and sets X-Forwarded-Proto (igor up --behind-proxy).`,
    `Or bring this machine's port here by SSH: ssh -L ${port}:localhost:${port} that-machine, then http://localhost:${port}/.`,
  ])
}

export function strangerPage(): string {
  return plainPage('Not here', [
    'This address led to an Igor node that serves its page on localhost alone. Open it as http://localhost and its port.',
  ])
}

export function headlessPage(): string {
  return plainPage('This node has no page', ['It was started with --headless. Start one with: igor up'])
}

export function unbuiltPage(): string {
  return plainPage('The page is not built', ['Build it with: npm run build (or start with npm run up, which does), then reload.'])
}
