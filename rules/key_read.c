#include "rules/compiled.h"

/* ---- paths --------------------------------------------------------------------------------- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int rules__escaped(struct slice s)
{
    if (s.size < 3 || s.data[0] != '%')
        return -1;
    int high = hex_digit(s.data[1]);
    int low = hex_digit(s.data[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* RFC 3986, section 2.3: whether it is escaped or not means the same. */
static bool is_unreserved(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* The number of dots that a segment consists of, escaped or not; 0 when of anything else. */
static size_t count_dots(struct slice segment)
{
    size_t dots = 0;
    for (; segment.size; dots++) {
        if (segment.data[0] != '.' && rules__escaped(segment) != '.')
            return 0;
        segment = slice_from(segment, segment.data[0] == '.' ? 1 : 3);
    }
    return dots;
}

/* The first of a path's segments that are left when those that say nothing are removed: empty ones,
 * "." and, with the one before it, "..". Behind those that are kept only their number matters. */
static void find_segments(struct rules__key_reader *reader, struct slice path, size_t most)
{
    size_t depth = 0;
    size_t at = 0;
    while (at < path.size) {
        size_t begin = at;
        while (at < path.size && path.data[at] != '/')
            at++;
        struct slice segment = slice_of(path.data + begin, at - begin);
        at++;
        size_t dots = count_dots(segment);
        if (segment.size == 0 || dots == 1 || (dots == 2 && depth == 0))
            continue;
        if (dots == 2) {
            depth--;
        } else {
            if (depth < most)
                reader->pieces[depth] = segment;
            depth++;
        }
        reader->count = depth < most ? depth : most;
    }
}

/* The next byte of a segment: escaped where that makes a difference, with upper-case digits. */
static uint8_t read_path_byte(struct rules__key_reader *reader)
{
    struct slice *piece = &reader->pieces[reader->at];
    uint8_t byte = piece->data[0];
    int meant = rules__escaped(*piece);
    if (reader->escape_left) {
        reader->escape_left--;
        byte = byte >= 'a' ? (uint8_t)(byte - 'a' + 'A') : byte;
    } else if (is_unreserved(meant)) {
        *piece = slice_from(*piece, 3);
        return (uint8_t)meant;
    } else if (meant >= 0) {
        reader->escape_left = 2;
    }
    *piece = slice_from(*piece, 1);
    return byte;
}

/* ---- texts --------------------------------------------------------------------------------- */

struct rules__key_reader rules__key_read(const struct rules__key_part *part, struct slice text)
{
    struct rules__key_reader reader = {.is_path = part->segments > 0, .lower = part->lower};
    size_t end = 0;
    if (!reader.is_path) {
        reader.pieces[0] = text;
        reader.count = 1;
        return reader;
    }
    while (end < text.size && text.data[end] != '?' && text.data[end] != '#')
        end++;
    find_segments(&reader, slice_of(text.data, end), part->segments);
    reader.slash = true; /* of a path without segments too */
    return reader;
}

static bool read_byte(struct rules__key_reader *reader, uint8_t *byte)
{
    for (;;) {
        if (reader->slash) {
            reader->slash = false;
            *byte = '/';
            return true;
        }
        if (reader->at == reader->count)
            return false;
        struct slice *piece = &reader->pieces[reader->at];
        if (piece->size && reader->is_path) {
            *byte = read_path_byte(reader);
            return true;
        }
        if (piece->size) {
            *byte = piece->data[0];
            *piece = slice_from(*piece, 1);
            return true;
        }
        reader->at++;
        reader->slash = reader->is_path && reader->at < reader->count;
    }
}

size_t rules__key_fill(struct rules__key_reader *reader, uint8_t *buffer, size_t room)
{
    size_t size = 0;
    while (size < room && read_byte(reader, &buffer[size])) {
        if (reader->lower && buffer[size] >= 'A' && buffer[size] <= 'Z')
            buffer[size] = (uint8_t)(buffer[size] - 'A' + 'a');
        size++;
    }
    return size;
}
