/** The inbox page: a list that keeps itself current, and one open message. Text is only ever set as text. */

const pollMs = 2000
const shownMax = 200

const list = document.querySelector('#list')
const pane = document.querySelector('#message')
const search = document.querySelector('#search')
let openId
let lastList = ''

/** @param {string} tag @param {Record<string, unknown>} properties @param {(Node | string)[]} children */
function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties)
  node.append(...children)
  return node
}

async function refresh() {
  const words = search.value.trim()
  const filter = words === '' ? {} : words.includes('@') ? { to: words } : { subject: words }
  const response = await fetch(`/api/messages?${new URLSearchParams({ limit: shownMax, ...filter })}`)
  const text = await response.text()
  if (!response.ok || text === lastList) return
  lastList = text
  const { total, messages } = JSON.parse(text)
  document.querySelector('#count').textContent = total === 1 ? '1 message' : `${total} messages`
  list.replaceChildren(...messages.map(entry))
  if (messages.length === 0) list.append(element('li', { className: 'hint' }, 'No mail yet.'))
}

function entry({ id, to, subject, receivedAt }) {
  const when = element('time', { dateTime: receivedAt }, new Date(receivedAt).toLocaleTimeString())
  const button = element(
    'button',
    { type: 'button', onclick: () => open(id) },
    element('strong', {}, subject || '(no subject)'),
    element('small', {}, element('span', {}, to.join(', ')), when),
  )
  button.dataset.id = id
  button.ariaCurrent = String(id === openId)
  return element('li', {}, button)
}

async function open(id) {
  openId = id
  for (const button of list.querySelectorAll('button')) button.ariaCurrent = String(button.dataset.id === id)
  const response = await fetch(`/api/messages/${encodeURIComponent(id)}`)
  if (!response.ok) return pane.replaceChildren(element('p', { className: 'hint' }, 'This message is gone.'))
  const message = await response.json()
  const body = element('div', { hidden: true })
  const facts = [
    ['From', message.from],
    ['To', message.to.join(', ')],
    ['Received', new Date(message.receivedAt).toLocaleString()],
    ['Message-ID', message.messageId ?? 'none'],
  ]
  const views = {
    HTML: () => frame(id),
    Text: () => element('pre', {}, message.text ?? ''),
    Source: () => element('pre', {}, message.raw),
  }
  if (!message.html) delete views.HTML
  if (!message.text) delete views.Text
  const buttons = Object.entries(views).map(([name, show]) =>
    element('button', { type: 'button', onclick: () => pane.lastElementChild.replaceWith(show()) }, name),
  )
  pane.replaceChildren(
    element('h2', {}, message.subject || '(no subject)'),
    element('dl', {}, ...facts.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)])),
    element('div', { className: 'views' }, ...buttons),
    body,
  )
  buttons[0].click()
}

function frame(id) {
  const node = element('iframe', { title: 'Message', src: `/api/messages/${encodeURIComponent(id)}/html` })
  node.setAttribute('sandbox', '')
  return node
}

search.addEventListener('input', () => void refresh())
document.querySelector('#clear').addEventListener('click', async () => {
  await fetch('/api/messages', { method: 'DELETE' })
  pane.replaceChildren(element('p', { className: 'hint' }, 'Choose a message.'))
  await refresh()
})
await refresh()
setInterval(() => void refresh().catch(() => {}), pollMs)
