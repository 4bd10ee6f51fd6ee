import type { FastifyInstance } from 'fastify'

/**
 * What a person sees who opens the address in a browser: the topics, how they grow, the newest records of one partition, and how far
 * groups are behind. The broker's own topics stand last, behind one row until that is clicked.
 */
export function addOverview(app: FastifyInstance): void {
  app.get('/', { schema: { hide: true } }, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header(
        'content-security-policy',
        "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'",
      )
      .send(page),
  )
}

// Only the API's own answers are shown, and only as text: names and records come from anyone.
const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stele</title>
<style>
  :root { color-scheme: light dark }
  body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% }
  th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #8884; font-variant-numeric: tabular-nums }
  th:first-child, td:first-child { text-align: left; word-break: break-all }
  #partitions tr { cursor: pointer }
  tbody tr:hover, tbody tr.shown { background: #8882 }
  pre { background: #8881; padding: .8rem; max-height: 24rem; overflow: auto; white-space: pre-wrap; word-break: break-word }
  .quiet { opacity: .7 }
</style>
<h1>Stele</h1>
<p id="cluster" class="quiet">asking the broker…</p>
<table>
  <thead><tr><th>partition<th>log start<th>high watermark<th>records/s<th>size</thead>
  <tbody id="partitions"></tbody>
</table>
<p id="hint" class="quiet"></p>
<table id="groups" hidden>
  <thead><tr><th>group<th>state<th>members<th>lag</thead>
  <tbody></tbody>
</table>
<pre id="records" hidden></pre>
<p><a href="docs">HTTP API</a> · <a href="metrics">metrics</a> · <a href="openapi.json">OpenAPI</a></p>
<script>
  const everyMs = 2000, topicsShown = 100, groupsShown = 100, linesShown = 200
  const at = id => document.getElementById(id)
  const get = async path => {
    const answer = await fetch(path)
    const body = await answer.json()
    if (!answer.ok) throw new Error(body.error.message + '. ' + body.error.todo)
    return body
  }
  const bytes = n => n < 1024 ? n + ' B' : n < 1048576 ? (n / 1024).toFixed(1) + ' KiB' : n < 1073741824 ? (n / 1048576).toFixed(1) + ' MiB' : (n / 1073741824).toFixed(2) + ' GiB'
  const before = new Map()
  let shown, stream, ownShown = false

  const cell = text => Object.assign(document.createElement('td'), { textContent: text })
  function row(topic, p) {
    const name = topic + '-' + p.partition
    const last = before.get(name), now = performance.now()
    before.set(name, { end: p.high_watermark, now })
    const rate = last ? Math.max(0, (p.high_watermark - last.end) * 1000 / (now - last.now)) : 0
    const tr = document.createElement('tr')
    tr.className = name === shown ? 'shown' : ''
    tr.append(cell(name), cell(p.log_start_offset), cell(p.high_watermark), cell(rate ? rate.toFixed(rate < 10 ? 1 : 0) : ''), cell(bytes(p.size_bytes)))
    tr.onclick = () => show(name, topic, p)
    return tr
  }
  function show(name, topic, p) {
    stream?.close()
    shown = name
    at('records').hidden = false
    at('records').textContent = ''
    const from = Math.max(p.log_start_offset, p.high_watermark - 20)
    stream = new EventSource('v1/topics/' + encodeURIComponent(topic) + '/partitions/' + p.partition + '/stream?offset=' + from)
    const lines = []
    stream.onmessage = event => {
      lines.push(event.data.slice(0, 1000))
      if (lines.length > linesShown) lines.shift()
      at('records').textContent = lines.join('\\n')
      at('records').scrollTop = at('records').scrollHeight
    }
  }
  function ownRow(own) {
    const partitions = own.reduce((sum, t) => sum + t.partitions, 0)
    const tr = document.createElement('tr')
    tr.className = 'quiet'
    tr.append(cell((ownShown ? 'hide ' : 'show ') + partitions + ' partitions of the broker itself'), cell(''), cell(''), cell(''), cell(''))
    tr.onclick = () => {
      ownShown = !ownShown
      look()
    }
    return tr
  }
  function groupRow(g) {
    const tr = document.createElement('tr')
    tr.append(cell(g.group), cell(g.state), cell(g.members), cell(g.lag))
    return tr
  }
  let next
  async function look() {
    try {
      const [cluster, { topics: all }, { groups }] = await Promise.all([get('v1/cluster'), get('v1/topics'), get('v1/groups').catch(() => ({ groups: [] }))])
      const topics = all.filter(t => !t.internal), own = all.filter(t => t.internal)
      at('cluster').textContent = 'version ' + cluster.version + ', cluster ' + cluster.cluster_id + ', up ' + Math.round(cluster.uptime_ms / 1000) + ' s, ' + topics.length + ' topics'
      const describe = list => Promise.all(list.slice(0, topicsShown).map(t => get('v1/topics/' + encodeURIComponent(t.name))))
      const rows = described => described.flatMap(t => t.partitions.map(p => row(t.name, p)))
      const ours = rows(await describe(topics)), theirs = ownShown ? rows(await describe(own)) : []
      at('partitions').replaceChildren(...ours, ...(own.length > 0 ? [ownRow(own)] : []), ...theirs)
      at('groups').hidden = groups.length === 0
      at('groups').tBodies[0].replaceChildren(...groups.sort((a, b) => b.lag - a.lag).slice(0, groupsShown).map(groupRow))
      at('hint').textContent = topics.length === 0 ? 'No topics yet. Write the first record: curl -d hello ' + location.origin + '/append'
        : topics.length > topicsShown ? 'The first ' + topicsShown + ' topics; /v1/topics has all.' : 'Click a partition to see its newest records.'
    } catch (error) {
      at('cluster').textContent = error.message || 'The broker does not answer.'
    }
    clearTimeout(next)
    next = setTimeout(look, everyMs)
  }
  look()
</script>
`
