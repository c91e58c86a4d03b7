'use strict';

/* How numbers are written, and how a page is changed in place: nodes are made once and their texts
 * replaced, so that nothing flickers, moves without need or loses the focus. */

const byId = (id) => document.getElementById(id);

const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const tenths = new Intl.NumberFormat('en', {maximumFractionDigits: 1});
const hundredths = new Intl.NumberFormat('en', {maximumFractionDigits: 2});
const compact = new Intl.NumberFormat('en', {notation: 'compact', maximumFractionDigits: 1});

/* What isn't known yet is NaN. */
function formatRate(rate) {
  if (!Number.isFinite(rate)) return '\u2013';
  if (rate >= 100000) return compact.format(rate);
  if (rate >= 100) return whole.format(rate);
  return rate > 0 && rate < 1 ? hundredths.format(rate) : tenths.format(rate);
}

function formatCount(count) {
  return count >= 1e7 ? compact.format(count) : whole.format(count);
}

function formatShare(part, all) {
  if (!(all > 0)) return '\u2013';
  const percent = 100 * part / all;
  if (percent > 0 && percent < 0.1) return '<0.1 %';
  return (percent > 99.9 && percent < 100 ? '>99.9' : tenths.format(percent)) + ' %';
}

/* Of seconds: "1.5 ms", "20 s", "15 min". */
function formatDuration(seconds) {
  const size = Math.abs(seconds);
  for (const [unit, name] of [[86400, 'd'], [3600, 'h'], [60, 'min']])
    if (size >= unit && seconds % unit === 0) return `${whole.format(seconds / unit)} ${name}`;
  if (!Number.isFinite(seconds)) return '\u2013';
  if (size === 0) return '0 s';
  if (size < 1e-3) return `${whole.format(seconds * 1e6)} \u00b5s`;
  if (size < 1) return `${(size < 0.1 ? tenths : whole).format(seconds * 1e3)} ms`;
  if (size < 120) return `${(size < 10 ? tenths : whole).format(seconds)} s`;
  if (size < 7200) return `${whole.format(seconds / 60)} min`;
  if (size < 172800) return `${tenths.format(seconds / 3600)} h`;
  return `${tenths.format(seconds / 86400)} d`;
}

/* Of seconds since the epoch. */
function formatTime(seconds) {
  const date = new Date(seconds * 1000);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? date.toLocaleTimeString() : date.toLocaleDateString();
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function element(name, parent, className) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (parent) parent.append(node);
  return node;
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* The children of a node, one for each item, by its key. make(item) returns {node, fill(item)}. */
class Rows {
  constructor(parent, make) {
    this.parent = parent;
    this.make = make;
    this.rows = new Map();
    this.touched = -Infinity;
    parent.addEventListener('pointermove', () => { this.touched = performance.now(); });
  }

  /* Whether somebody is about to click: then what is under the pointer stays there. */
  isHeld() {
    return performance.now() - this.touched < 3000 && this.rows.size > 0;
  }

  show(items) {
    const shown = new Set(items.map((item) => item.key));
    const focused = document.activeElement;
    for (const [key, row] of this.rows) {
      if (shown.has(key)) continue;
      row.node.remove();
      this.rows.delete(key);
    }
    let place = 0;
    for (const item of items) {
      const isNew = !this.rows.has(item.key);
      if (isNew) this.rows.set(item.key, this.make(item));
      const row = this.rows.get(item.key);
      row.fill(item);
      if (isNew || !this.isHeld()) {
        const there = this.parent.children[place];
        if (there !== row.node) this.parent.insertBefore(row.node, there || null);
      }
      place++;
    }
    if (focused !== document.activeElement && focused.isConnected) focused.focus({preventScroll: true});
  }
}

/* The rows of a table's body; columns: [class of the cell, its label on a narrow screen]. A table
 * that CSS lays out as a grid keeps its roles only where they are written. */
function tableRows(id, columns, make) {
  const table = byId(id);
  table.setAttribute('role', 'table');
  for (const part of table.querySelectorAll('thead, tbody')) part.setAttribute('role', 'rowgroup');
  for (const row of table.querySelectorAll('tr')) row.setAttribute('role', 'row');
  for (const head of table.querySelectorAll('th')) head.setAttribute('role', 'columnheader');
  return new Rows(table.tBodies[0], (item) => {
    const node = element('tr');
    node.setAttribute('role', 'row');
    const cells = columns.map(([className, label]) => {
      const cell = element('td', node, className);
      cell.setAttribute('role', 'cell');
      if (label) cell.dataset.label = label;
      return cell;
    });
    if (item.empty) {
      node.className = 'empty';
      cells.slice(1).forEach((cell) => cell.remove());
      cells[0].colSpan = columns.length;
      return {node, fill: (now) => setText(cells[0], now.empty)};
    }
    return {node, fill: make(cells, item)};
  });
}

/* What stands in a table in which nothing does. */
function orEmpty(items, text) {
  return items.length ? items : [{key: '\n', empty: text}];
}

/* ---- drawings ------------------------------------------------------------------------------ */

const SVG = 'http://www.w3.org/2000/svg';
const POINTS = 60;
const WIDTH = 2 * (POINTS - 1);
const HEIGHT = 24;

/* The newest value at the right; a gap where there is none. */
function linePath(values, most) {
  let path = '';
  let isDown = false;
  values.forEach((value, i) => {
    const x = WIDTH - 2 * (values.length - 1 - i);
    const y = HEIGHT - 1 - (HEIGHT - 2) * (most > 0 ? value / most : 0);
    if (Number.isFinite(value)) path += `${isDown ? 'L' : 'M'}${x} ${y.toFixed(1)}`;
    isDown = Number.isFinite(value);
  });
  return path;
}

function areaPath(values, most) {
  return linePath(values, most).split('M').filter(Boolean).map((part) => {
    const xs = part.split('L').map((point) => point.split(' ')[0]);
    return `M${xs[0]} ${HEIGHT}L${part}L${xs[xs.length - 1]} ${HEIGHT}Z`;
  }).join('');
}

/* Draws all and, of them, those that are bad. The numbers stand beside it: for who can't see it
 * there is nothing more in it. */
class Line {
  constructor(parent) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('class', 'line');
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('aria-hidden', 'true');
    [this.area, this.all, this.bad] = ['area', 'all', 'bad'].map((name) => {
      const path = document.createElementNS(SVG, 'path');
      path.setAttribute('class', name);
      svg.append(path);
      return path;
    });
    parent.append(svg);
  }

  draw(all, bad) {
    const most = Math.max(...all.filter(Number.isFinite), ...bad.filter(Number.isFinite), 0);
    setAttribute(this.area, 'd', areaPath(all, most));
    setAttribute(this.all, 'd', linePath(all, most));
    setAttribute(this.bad, 'd', bad.some((value) => value > 0) ? linePath(bad, most) : '');
  }
}

class Bar {
  constructor(parent, className) {
    this.fill = element('i', element('span', parent, 'bar'), className);
  }

  draw(part, all) {
    const width = `${all > 0 ? Math.min(100, Math.max(0, 100 * part / all)).toFixed(1) : 0}%`;
    if (this.fill.style.width !== width) this.fill.style.width = width;
  }
}
