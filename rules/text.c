#include "rules/loader.h"

/* YAML 1.1, section 5.1: the printable characters. Without the line breaks that no editor shows,
 * which YAML 1.2 took back: with them, line numbers would be others than the editor's. And without
 * byte order marks in the midst of the text, which nobody sees. */
static bool is_allowed(uint32_t c)
{
    if (c < 0x20)
        return c == '\t' || c == '\n' || c == '\r';
    if (c == 0x2028 || c == 0x2029 || c == 0xfeff)
        return false;
    return c <= 0x7e || (c >= 0xa0 && c != 0xfffe && c != 0xffff);
}

bool rules__check_text(struct rules__loader *loader, struct slice text)
{
    size_t line = 1;
    size_t column = 1;
    uint8_t before = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t c = 0;
        size_t length = slice_utf8(slice_from(text, at), &c);
        if (length == 0) {
            rules__problem_at(loader, line, column,
                              "byte 0x%02x is not UTF-8, expected a file in UTF-8", text.data[at]);
            return false;
        }
        if (!is_allowed(c)) {
            rules__problem_at(loader, line, column,
                              "control character U+%04X, expected text (in double quotes, YAML "
                              "writes it as \\u%04X)",
                              c, c);
            return false;
        }
        bool second_half = c == '\n' && before == '\r';
        if (c == '\n' || c == '\r') {
            line += second_half ? 0 : 1;
            column = 1;
        } else {
            column++;
        }
        before = (uint8_t)c;
        at += length;
    }
    return true;
}

char *rules__quote(struct slice text, char quoted[RULES__QUOTED_MAX])
{
    static const struct slice cut = {(const uint8_t *)"...", 3};
    struct writer w = writer_open(quoted, RULES__QUOTED_MAX);
    w.end -= 5; /* for the mark of a cut, the quote and the NUL */
    writer_uint8(&w, '"');
    size_t at = 0;
    while (at < text.size) {
        uint32_t c = 0;
        size_t length = slice_utf8(slice_from(text, at), &c);
        uint8_t *before = w.position;
        if (c == '\n' || c == '\r' || c == '\t')
            writer_bytes(&w, c == '\n' ? SLICE("\\n") : c == '\r' ? SLICE("\\r") : SLICE("\\t"));
        else if (length == 0 || c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0))
            writer_uint8(&w, '?');
        else
            writer_bytes(&w, slice_of(text.data + at, length));
        if (w.error) {
            w.position = before;
            break;
        }
        at += length ? length : 1;
    }
    w.end += 5;
    w.error = ERROR_NONE;
    if (at < text.size)
        writer_bytes(&w, cut);
    writer_bytes(&w, SLICE("\"\0"));
    return quoted;
}
