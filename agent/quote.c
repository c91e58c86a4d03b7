#include "agent/quote.h"

#include <locale.h>
#include <wchar.h>

#define TAB_WIDTH 8

struct slice quote_line_from(struct quote_place *place, struct slice text, size_t number)
{
    if (place->text != text.data || number < place->number) {
        bool has_mark = slice_has_prefix(text, SLICE("\xef\xbb\xbf"));
        *place = (struct quote_place){text.data, 1, has_mark ? slice_from(text, 3) : text};
    }
    while (place->rest.data) {
        struct slice rest = place->rest;
        size_t end = 0;
        while (end < rest.size && rest.data[end] != '\n' && rest.data[end] != '\r')
            end++;
        if (place->number == number)
            return slice_of(rest.data, end);
        if (end == rest.size)
            break;
        bool two = end + 1 < rest.size && rest.data[end] == '\r' && rest.data[end + 1] == '\n';
        size_t next = end + (two ? 2 : 1);
        place->rest =
            slice_of(rest.data + next, rest.size - next); /* an empty one is a line, too */
        place->number++;
    }
    return slice_of(NULL, 0);
}

struct slice quote_line(struct slice text, size_t number)
{
    struct quote_place place = {.number = 0};
    return quote_line_from(&place, text, number);
}

/* ---- characters ---------------------------------------------------------------------------- */

struct glyph {
    struct slice bytes; /* as they are shown */
    size_t width;       /* columns */
};

static size_t width_of(uint32_t character)
{
    /* wcwidth goes by the thread's locale; what quote_write has set it to. */
    int width = wcwidth((wchar_t)character);
    return width < 0 ? 0 : (size_t)width;
}

/* Characters that order text from right to left, whatever it is, would move the mark. */
static bool is_shown(uint32_t c)
{
    bool directs = c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
                   (c >= 0x2066 && c <= 0x2069);
    return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x2028 && c != 0x2029 && !directs;
}

/* The first of the line's characters, which is taken from it; at: the column it stands in. */
static struct glyph next_glyph(struct slice *line, size_t at)
{
    static const uint8_t blanks[TAB_WIDTH] = "        ";
    uint32_t c = 0;
    size_t length = slice_utf8(*line, &c);
    struct glyph glyph = {slice_of(line->data, length), 0};
    *line = slice_from(*line, length ? length : 1);
    if (length && c == '\t') {
        glyph.width = TAB_WIDTH - at % TAB_WIDTH;
        glyph.bytes = slice_of(blanks, glyph.width);
    } else if (!length || !is_shown(c)) {
        glyph = (struct glyph){SLICE("\xef\xbf\xbd"), 1};
    } else {
        glyph.width = c < 0x7f ? 1 : width_of(c);
    }
    return glyph;
}

/* The column of the terminal in which a character stands, and the line's width. */
static size_t measure(struct slice line, size_t character, size_t *width)
{
    size_t mark = 0;
    size_t at = 0;
    for (size_t i = 1; line.size; i++) {
        if (i == character)
            mark = at;
        at += next_glyph(&line, at).width;
        if (i < character)
            mark = at;
    }
    *width = at;
    return mark;
}

/* ---- the two lines ------------------------------------------------------------------------- */

static void write_blanks(struct writer *w, size_t count)
{
    for (; count > 0; count--)
        writer_uint8(w, ' ');
}

/* Those that stand in the columns from..to. */
static void write_part(struct writer *w, struct slice line, size_t from, size_t to)
{
    size_t at = 0;
    size_t bare = 0; /* characters without a width, of which there could be any number */
    while (line.size && at < to) {
        struct glyph glyph = next_glyph(&line, at);
        size_t end = at + glyph.width;
        bare += glyph.width == 0;
        if (at >= from && end <= to && (glyph.width || bare <= QUOTE_WIDTH))
            writer_bytes(w, glyph.bytes);
        else if (end > from && glyph.width)
            write_blanks(w, (end < to ? end : to) - (at > from ? at : from));
        at = end;
    }
}

static void write_lines(struct writer *w, struct slice line, size_t number, size_t column)
{
    size_t width;
    size_t mark = measure(line, column, &width);
    size_t from = 0;
    if (width > QUOTE_WIDTH && mark > QUOTE_WIDTH / 2)
        from = mark - QUOTE_WIDTH / 2;
    bool cut_behind = width > from + QUOTE_WIDTH;
    size_t before = writer_size(w);
    write_blanks(w, 2);
    writer_decimal(w, number);
    size_t gutter = writer_size(w) - before;
    writer_bytes(w, from ? SLICE(" | ...") : SLICE(" | "));
    write_part(w, line, from, from + QUOTE_WIDTH);
    writer_bytes(w, cut_behind ? SLICE("...\n") : SLICE("\n"));
    write_blanks(w, gutter);
    writer_bytes(w, from ? SLICE(" |    ") : SLICE(" | "));
    write_blanks(w, mark - from);
    writer_bytes(w, SLICE("^\n"));
}

void quote_write(struct slice line, size_t number, size_t column, struct writer *w)
{
    uint8_t *before = w->position;
    locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t previous = unicode ? uselocale(unicode) : (locale_t)0;
    write_lines(w, line, number, column);
    if (unicode) {
        uselocale(previous);
        freelocale(unicode);
    }
    if (w->error)
        w->position = before;
}
