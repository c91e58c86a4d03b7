/* Asks the agent every two seconds and shows what it says. */

const PATIENCE = 5000;
const RULES_SHOWN = 50;
const KEYS_SHOWN = 15;
const TOKEN = 'sluice-token';

const rates = new Rates();
const rules = {byName: new Map(), loadedAt: null, sort: 'refused', ascending: false, last: []};
let latencies = [];
let topAbsent = 0; /* looks until /top is asked for again */
let lastSeen = null;
let timer = null;
let isAsking = false;

/* ---- asking -------------------------------------------------------------------------------- */

class Refused extends Error {}

function token() {
  try { return sessionStorage.getItem(TOKEN) || ''; } catch { return ''; }
}

function setToken(text) {
  try {
    if (text) sessionStorage.setItem(TOKEN, text); else sessionStorage.removeItem(TOKEN);
  } catch { /* then it is asked for each time */ }
}

/* {status, body} of a page; throws where there is no answer, and where the token is wrong. */
async function ask(path) {
  const headers = token() ? {Authorization: `Bearer ${token()}`} : {};
  const answer = await fetch(path, {headers, cache: 'no-store', signal: AbortSignal.timeout(PATIENCE)});
  if (answer.status === 401) throw new Refused();
  return {status: answer.status, body: await answer.json()};
}

async function askTop(by) {
  const answer = await ask(`/top?by=${by}&count=${KEYS_SHOWN}`);
  if (answer.status !== 200) topAbsent = 30;
  return answer.status === 200 ? answer.body : null;
}

/* What the rules say of themselves is asked for anew when they were loaded. */
async function askRules(loadedAt) {
  const byName = new Map();
  const answer = await ask('/rules');
  if (answer.status !== 200) return;
  for (const rule of answer.body.rules) byName.set(rule.name, rule);
  rules.byName = byName;
  rules.loadedAt = loadedAt;
}

/* ---- the head ------------------------------------------------------------------------------ */

function setState(name, text) {
  setAttribute(byId('state'), 'class', name);
  setText(byId('state-text'), text);
  document.body.classList.toggle('stale', name === 'away');
}

function showState(health) {
  const shards = health.shards.length;
  const bad = health.shards.filter((shard) => shard.breaker !== 'closed' ||
                                              shard.workers_connected < shard.workers).length;
  if (health.status === 'ok') setState('ok', 'All well');
  else if (bad) setState('degraded', `Degraded: ${bad} of ${shards} servers can't be asked`);
  else setState('degraded', shards ? 'Degraded: keys without a server' : 'Degraded: no server is known');
}

function askForToken() {
  setText(byId('token-note'), token()
    ? "That isn't the agent's token."
    : 'This agent tells nothing without the token of its admin.token_file.');
  setToken('');
  byId('forget').hidden = true;
  byId('main').hidden = true;
  setState('waiting', 'Token wanted');
  if (byId('token-form').hidden) {
    byId('token-form').hidden = false;
    byId('token').focus();
  }
}

/* ---- totals -------------------------------------------------------------------------------- */

function alarm(id, isAlarm) {
  byId(id).closest('div').classList.toggle('alarm', isAlarm);
}

function showLatency(latency) {
  const bounds = latency.buckets.map((bucket) => bucket.seconds);
  const counts = latency.buckets.map((bucket) => bucket.count);
  if (latencies.length && counts[counts.length - 1] < latencies[latencies.length - 1][counts.length - 1])
    latencies = [];
  latencies = [...latencies.slice(-MEAN), counts];
  const growths = counts.map((count, i) => count - latencies[0][i]);
  const text = (share) => {
    const seconds = quantile(share, growths, bounds);
    return seconds === Infinity ? `>${formatDuration(bounds[bounds.length - 2])}` : formatDuration(seconds);
  };
  setText(byId('latency'), text(0.5));
  setText(byId('latency-note'), `half of them; 99 % within ${text(0.99)}`);
}

function showTotals(stats, health) {
  const decisions = rates.rate('allowed') + rates.rate('refused');
  const {keys, connections, reloads} = stats;
  const all = rates.all('allowed').map((rate, i) => rate + rates.all('refused')[i]);
  setText(byId('decisions'), formatRate(decisions));
  setText(byId('decisions-note'),
          `${formatCount(stats.decisions.allowed + stats.decisions.refused)} since the start`);
  lines.decisions.draw(all, []);
  setText(byId('refused'), formatRate(rates.rate('refused')));
  setText(byId('refused-note'), `${formatShare(rates.rate('refused'), decisions)} of the decisions; ` +
          `${formatCount(stats.decisions.refused)} since the start`);
  lines.refused.draw([], rates.all('refused'));
  showLatency(stats.latency);

  const {full, unavailable, late} = stats.fallbacks;
  setText(byId('fallbacks'), formatRate(rates.rate('fallbacks')));
  setText(byId('fallbacks-note'), full + unavailable + late
    ? `${formatCount(unavailable)} unavailable, ${formatCount(late)} late, ${formatCount(full)} full`
    : 'none since the start');
  alarm('fallbacks', rates.rate('fallbacks') > 0);
  setText(byId('shadow'), formatRate(rates.rate('shadow')));
  setText(byId('shadow-note'), `${formatRate(rates.rate('delayed'))} /s delayed`);
  setText(byId('agents'), whole.format(health.agents));
  setText(byId('agents-note'), health.instance_id ? `this one is ${health.instance_id}` : 'shares no counters');
  setText(byId('connections'), whole.format(connections.open));
  setText(byId('connections-note'), `of ${formatCount(connections.max)} at most; ` +
          `${formatCount(connections.refused)} refused`);
  setText(byId('keys'), formatCount(keys.held));
  setText(byId('keys-note'), `of ${formatCount(keys.max)} at most` +
          (keys.full ? `; ${formatCount(keys.full)} found no room` : '') +
          (keys.redis === undefined ? '' : `; ${formatCount(keys.redis)} of Redis`));
  alarm('keys', keys.held > 0.9 * keys.max);
  setText(byId('reloads'), formatTime(reloads.loaded_at));
  byId('reloads').className = 'small';
  setText(byId('reloads-note'), `${whole.format(reloads.ok)} reloads, ${whole.format(reloads.failed)} failed` +
          (reloads.last_failed ? ', the last one too' : ''));
  alarm('reloads', reloads.last_failed);
}

/* ---- rules --------------------------------------------------------------------------------- */

const OUTCOMES = ['allowed', 'delayed', 'shadow', 'refused', 'charged'];

function describeRule(rule) {
  if (!rule) return '';
  if (rule.action !== 'limit') return rule.action === 'allow' ? 'allows all, uncounted' : 'refuses all';
  const limits = rule.limits.slice(0, 3).map((limit) =>
    `${formatCount(limit.units)} in ${formatDuration(limit.window_seconds)}`);
  return limits.join(', ') + (rule.limits.length > 3 ? `, ${rule.limits.length - 3} more` : '') +
         (rule.key ? ` by ${rule.key}` : '');
}

function ruleItem(counts, i) {
  const rate = (outcome) => rates.rate(`${outcome} ${counts.rule}`);
  const item = {key: counts.rule, name: counts.rule, place: i, refused: rate('refused')};
  item.decisions = rate('allowed') + rate('delayed') + rate('shadow') + item.refused;
  item.share = item.decisions > 0 ? item.refused / item.decisions : 0;
  item.delayed = rate('delayed');
  item.shadow = rate('shadow');
  return item;
}

function compareRules(a, b) {
  const sign = rules.ascending ? 1 : -1;
  if (rules.sort === 'name') return sign * (a.name < b.name ? -1 : 1);
  return sign * ((a[rules.sort] || 0) - (b[rules.sort] || 0)) || (b.decisions || 0) - (a.decisions || 0) ||
         a.place - b.place;
}

function makeRule(cells, item) {
  const name = element('span', cells[0], 'name');
  const tag = element('span', cells[0], 'tag');
  const note = element('span', cells[0], 'note');
  const line = new Line(cells[1]);
  const share = element('span', cells[4], 'share');
  const bar = new Bar(cells[4]);
  name.textContent = item.name;
  return (now) => {
    const rule = rules.byName.get(now.name);
    const mode = rule && rule.mode !== 'enforce' ? rule.mode || '' : '';
    const more = [describeRule(rule)];
    if (now.shadow > 0) more.push(`would refuse ${formatRate(now.shadow)} /s`);
    if (now.delayed > 0) more.push(`delays ${formatRate(now.delayed)} /s`);
    tag.hidden = !mode;
    setText(tag, mode);
    setText(note, more.filter(Boolean).join('; '));
    const series = (outcome) => rates.all(`${outcome} ${now.name}`);
    line.draw(series('allowed').map((rate, i) =>
      rate + series('delayed')[i] + series('shadow')[i] + series('refused')[i]), series('refused'));
    setText(cells[2], formatRate(now.decisions));
    setText(cells[3], formatRate(now.refused));
    setText(share, formatShare(now.refused, now.decisions));
    bar.draw(now.share, 1);
  };
}

function showRules() {
  const wanted = byId('filter').value.trim().toLowerCase();
  const items = rules.last.map(ruleItem).filter((item) => item.name.toLowerCase().includes(wanted));
  items.sort(compareRules);
  const shown = items.slice(0, RULES_SHOWN);
  setText(byId('rules-count'), shown.length < rules.last.length
    ? `${shown.length} of ${whole.format(rules.last.length)} shown` : `${shown.length} rules`);
  tables.rules.show(orEmpty(shown, 'No rule has such a name.'));
}

function sortRules(by) {
  if (rules.sort === by) rules.ascending = !rules.ascending;
  else [rules.sort, rules.ascending] = [by, by === 'name'];
  for (const button of document.querySelectorAll('[data-sort]'))
    button.parentElement.setAttribute('aria-sort', button.dataset.sort !== by ? 'none'
      : rules.ascending ? 'ascending' : 'descending');
  tables.rules.touched = -Infinity;
  showRules();
}

/* ---- keys ---------------------------------------------------------------------------------- */

function makeKey(by) {
  return (cells, item) => {
    const button = element('button', cells[0]);
    const note = element('span', cells[0], 'note');
    button.type = 'button';
    button.setAttribute('aria-haspopup', 'dialog');
    button.textContent = item.text;
    note.textContent = item.rule;
    button.addEventListener('click', () => openSubject(item.rule, item.text));
    return (now) => {
      setText(cells[1], formatRate(by === 'refused' ? now.refused_per_second : now.requests_per_second));
      setText(cells[2], by === 'refused' ? formatShare(now.refused, now.requests)
        : formatRate(now.refused_per_second));
    };
  };
}

function showTop(table, top, by) {
  const keys = (top ? top.keys : []).filter((each) => each[by] > 0);
  table.show(orEmpty(keys.map((each) => ({...each, key: `${each.rule}\n${each.key}`, text: each.key})),
                     top ? 'None yet.' : "This agent doesn't tell of keys."));
}

/* ---- the shared store ---------------------------------------------------------------------- */

function makeShard(cells) {
  const name = element('span', cells[0]);
  const note = element('span', cells[0], 'note');
  const breaker = element('span', cells[1]);
  return (shard) => {
    setText(name, shard.name);
    setText(note, shard.address.endsWith(shard.name) ? '' : shard.address);
    setAttribute(breaker, 'class', `breaker ${shard.breaker}`);
    setText(breaker, shard.breaker);
    setText(cells[2], `${shard.workers_connected} of ${shard.workers}`);
    setText(cells[3], formatDuration(shard.round_trip_seconds));
    setText(cells[4], shard.last_error || '');
  };
}

function showStore(health) {
  const {topology} = health;
  const parts = [health.store];
  if (topology && topology.slots) parts.push(`${whole.format(topology.slots_served)} of ` +
                                             `${whole.format(topology.slots)} slots served`);
  if (health.heartbeat && health.heartbeat.failed > 0)
    parts.push(`heartbeats that failed: ${formatCount(health.heartbeat.failed)}`);
  setText(byId('shards-note'), parts.join(', '));
  tables.shards.show(orEmpty(health.shards.map((shard) => ({...shard, key: shard.name})),
    health.store === 'memory' ? "This agent counts in its own memory." : 'No server is known.'));
}

function makeSource(cells, item) {
  const share = element('span', cells[3], 'share');
  const bar = new Bar(cells[3], 'calm');
  cells[0].textContent = item.key;
  return (now) => {
    setText(cells[1], formatRate(now.allowed + now.refused));
    setText(cells[2], formatRate(now.refused));
    setText(share, formatShare(now.allowed + now.refused, now.total));
    bar.draw(now.allowed + now.refused, now.total);
  };
}

function showSources(stats) {
  const total = rates.rate('allowed') + rates.rate('refused');
  const used = stats.sources.filter((each) => each.allowed + each.refused > 0);
  tables.sources.show(orEmpty(used.map(({source}) => ({
    key: source === 'none' ? 'no limit' : source, total, allowed: rates.rate(`source allowed ${source}`),
    refused: rates.rate(`source refused ${source}`)})), 'No decision yet.'));
}

/* ---- the candidate ------------------------------------------------------------------------- */

function makeDifference(cells, item) {
  setText(cells[0], item.rule);
  setText(cells[1], item.of === 'active' ? 'as it is now' : 'as the candidate has it');
  return (now) => setText(cells[2], formatCount(now.requests));
}

function showCandidate(candidate) {
  byId('candidate').hidden = !candidate;
  if (!candidate) return;
  const {both_allow: allow, both_refuse: refuse, only_active_refuses: active} = candidate;
  const more = candidate.only_candidate_refuses;
  setText(byId('candidate-note'), `${formatCount(allow + refuse + active + more)} requests compared: ` +
          `it would refuse ${formatCount(more)} more and ${formatCount(active)} fewer`);
  tables.differences.show(orEmpty(candidate.refused_alone_by.map((each) => (
    {...each, key: `${each.of} ${each.rule}`})), 'No difference yet.'));
}

/* ---- one subject --------------------------------------------------------------------------- */

const subject = {rule: '', text: ''};

function makeLimit(item) {
  const node = element('section', null, 'limit');
  const title = element('h3', node);
  const left = element('p', node, 'left');
  const [remaining, verdict] = [element('span', left), element('span', left)];
  const bar = new Bar(node);
  const note = element('p', node, 'note');
  title.textContent = item.limit;
  return {node, fill: (now) => {
    const most = now.burst || now.units;
    setText(remaining, `${formatCount(now.remaining)} of ${formatCount(most)} remaining`);
    setAttribute(verdict, 'class', now.refuses ? 'verdict refuses' : 'verdict');
    setText(verdict, now.refuses ? 'refuses now' : 'admits now');
    bar.draw(most - now.remaining, most);
    const parts = [`${formatCount(now.units)} in ${formatDuration(now.window_seconds)}, ${now.algorithm}`];
    if (now.retry_after_seconds > 0) parts.push(`admits again in ${formatDuration(now.retry_after_seconds)}`);
    if (now.retry_after_seconds === null) parts.push('never admits so much');
    parts.push(now.reset_after_seconds > 0 ? `as unused in ${formatDuration(now.reset_after_seconds)}` : 'unused');
    parts.push(`from ${now.source}` + (now.store === 'answered' ? '' : `, store ${now.store}`));
    setText(note, parts.join('; '));
  }};
}

async function askSubject() {
  const {rule, text} = subject;
  let error = '';
  let limits = null;
  try {
    const {status, body} = await ask(`/key?rule=${encodeURIComponent(rule)}&key=${encodeURIComponent(text)}`);
    if (status === 200) limits = body.limits;
    else error = `${body.error}. Expected: ${body.expected}.`;
  } catch {
    error = "The agent doesn't answer.";
  }
  if (!byId('subject').open || subject.rule !== rule || subject.text !== text) return;
  setText(byId('subject-error'), error);
  if (limits) tables.limits.show(limits.map((limit) => ({...limit, key: limit.limit})));
  byId('subject-limits').setAttribute('aria-busy', 'false');
}

function openSubject(rule, text) {
  Object.assign(subject, {rule, text});
  byId('subject-key').textContent = text;
  byId('subject-rule').textContent = rule;
  byId('subject-error').textContent = '';
  byId('subject-limits').setAttribute('aria-busy', 'true');
  tables.limits.show([]);
  byId('subject').showModal();
  askSubject();
}

/* ---- the loop ------------------------------------------------------------------------------ */

function countersOf(stats) {
  const {decisions, fallbacks} = stats;
  const counts = new Map([
    ['allowed', decisions.allowed], ['refused', decisions.refused],
    ['shadow', decisions.shadow_refused], ['delayed', decisions.delayed],
    ['fallbacks', fallbacks.full + fallbacks.unavailable + fallbacks.late]]);
  for (const each of stats.sources) {
    counts.set(`source allowed ${each.source}`, each.allowed);
    counts.set(`source refused ${each.source}`, each.refused);
  }
  for (const each of stats.rules)
    for (const outcome of OUTCOMES) counts.set(`${outcome} ${each.rule}`, each[outcome]);
  return counts;
}

function show(stats, health, refused, requests) {
  setText(byId('version'), stats.version);
  setText(byId('place'), [location.host, health.instance_id, health.store].filter(Boolean).join(' \u00b7 '));
  byId('token-form').hidden = true;
  byId('main').hidden = false;
  byId('forget').hidden = !token();
  rules.last = stats.rules;
  showState(health);
  showTotals(stats, health);
  showRules();
  setText(byId('top-note'), refused ? `of the last ${formatDuration(refused.seconds)}` : '');
  showTop(tables.refused, refused, 'refused');
  showTop(tables.requests, requests, 'requests');
  showStore(health);
  showSources(stats);
  showCandidate(stats.candidate);
}

async function look() {
  const isTopAsked = topAbsent === 0;
  topAbsent = Math.max(0, topAbsent - 1);
  const [stats, health, refused, requests] = await Promise.all([
    ask('/stats/distributed'), ask('/health/distributed'),
    isTopAsked ? askTop('refused') : null, isTopAsked ? askTop('requests') : null]);
  if (stats.body.reloads.loaded_at !== rules.loadedAt) await askRules(stats.body.reloads.loaded_at);
  rates.look(countersOf(stats.body), performance.now());
  show(stats.body, health.body, refused, requests);
  lastSeen = new Date();
}

async function turn() {
  if (isAsking) return;
  isAsking = true;
  clearTimeout(timer);
  try {
    await look();
    if (byId('subject').open) await askSubject();
  } catch (error) {
    if (error instanceof Refused) askForToken();
    else setState('away', lastSeen ? `No answer since ${lastSeen.toLocaleTimeString()}`
      : 'The agent gives no answer');
  }
  isAsking = false;
  /* Who doesn't look needs no answer; the next look is when the page is shown again. */
  if (!document.hidden) timer = setTimeout(turn, PAUSE);
}

const lines = {decisions: new Line(byId('decisions-spark')), refused: new Line(byId('refused-spark'))};
const tables = {
  rules: tableRows('rules', [['', ''], ['spark', ''], ['number', 'decisions/s'], ['number', 'refused/s'],
                             ['number', 'share']], makeRule),
  refused: tableRows('top-refused', [[''], ['number'], ['number']], makeKey('refused')),
  requests: tableRows('top-requests', [[''], ['number'], ['number']], makeKey('requests')),
  shards: tableRows('shards', [[''], ['', 'breaker'], ['number', 'workers'], ['number', 'round trip'], ['wrong']],
                    makeShard),
  sources: tableRows('sources', [[''], ['number'], ['number'], ['number']], makeSource),
  differences: tableRows('differences', [[''], [''], ['number']], makeDifference),
  limits: new Rows(byId('subject-limits'), makeLimit),
};

byId('filter').addEventListener('input', () => { tables.rules.touched = -Infinity; showRules(); });
for (const button of document.querySelectorAll('[data-sort]'))
  button.addEventListener('click', () => sortRules(button.dataset.sort));
byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  setToken(byId('token').value.trim());
  byId('token').value = '';
  turn();
});
byId('forget').addEventListener('click', () => { setToken(''); turn(); });
byId('subject-close').addEventListener('click', () => byId('subject').close());
byId('subject').addEventListener('click', (event) => {
  if (event.target === byId('subject')) byId('subject').close();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) turn(); });
turn();
