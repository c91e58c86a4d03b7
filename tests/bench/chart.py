"""The rows as an SVG chart: how much of each target is used up."""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, ROW, TOP, BOTTOM = 900, 430, 110, 24, 64, 40
LONGEST = 1.5  # of a target; a longer bar is cut, and says so


def chart(rows, title):
    """rows: [(number, [Line])]."""
    bars = [(f"{number}", line) for number, lines in rows for line in lines if line.used is not None]
    height = TOP + ROW * len(bars) + BOTTOM
    unit = (WIDTH - LEFT - RIGHT) / LONGEST
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
        '<text x="12" y="44" fill="#555555">How much of each target is used: '
        'a bar that ends left of the line meets it.</text>',
    ]
    for i, (number, line) in enumerate(bars):
        y = TOP + i * ROW
        length = min(line.used, LONGEST) * unit
        colour = "#2c7fb8" if line.met else "#d95f0e"
        label = line.what if len(line.what) <= 64 else line.what[:62].rstrip() + " …"
        cut = " →" if line.used > LONGEST else ""
        parts += [
            f'<text x="12" y="{y + 16}" fill="#555555">{number}</text>',
            f'<text x="36" y="{y + 16}">{escape(label.replace("`", ""))}'
            f'<title>{escape(line.what)}</title></text>',
            f'<rect x="{LEFT}" y="{y + 4}" width="{length:.1f}" height="{ROW - 8}" '
            f'fill="{colour}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 16}">{escape(line.ratio + cut)}</text>',
        ]
    x = LEFT + unit
    parts += [
        f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - BOTTOM + 6}" '
        'stroke="#000000" stroke-dasharray="4 3"/>',
        f'<text x="{x:.1f}" y="{height - BOTTOM + 22}" text-anchor="middle">the target</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
