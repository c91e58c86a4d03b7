#include "rules/loader.h"

/* What is written of a rule, all in all. */
struct words {
    struct writer w;
    bool is_cut;
};

static void put(struct words *words, struct slice text)
{
    if (words->is_cut)
        return;
    writer_bytes(&words->w, text);
    words->is_cut = words->w.error != ERROR_NONE;
}

/* As the file has it: what a variable says may be nobody's business. */
static void put_text(struct words *words, const struct rules__node *node)
{
    struct slice text = node->written ? *node->written : node->text;
    put(words, node->plain ? SLICE("") : SLICE("\""));
    for (size_t i = 0; i < text.size && !words->is_cut;) {
        uint32_t character;
        struct slice rest = slice_from(text, i);
        size_t length = slice_utf8(rest, &character);
        bool is_shown = length && character >= 0x20 && character != 0x7f;
        if (!node->plain && (character == '"' || character == '\\'))
            put(words, SLICE("\\"));
        put(words, is_shown ? slice_of(rest.data, length) : SLICE("\xef\xbf\xbd"));
        i += length ? length : 1;
    }
    put(words, node->plain ? SLICE("") : SLICE("\""));
}

/* As deep as the tree, whose depth is bounded. */
static void put_node(struct words *words, const struct rules__node *node)
{
    if (node->kind == RULES__BROKEN)
        return;
    if (node->kind == RULES__SCALAR) {
        put_text(words, node);
        return;
    }
    const struct rules__node *child = node->children.first;
    bool is_mapping = node->kind == RULES__MAPPING;
    size_t count = node->children.count;
    put(words, is_mapping ? SLICE("{") : SLICE("["));
    for (size_t i = 0; i < count && !words->is_cut; i++, child = child->next) {
        bool is_value = is_mapping && i % 2;
        put(words, is_value ? SLICE(": ") : i ? SLICE(", ") : SLICE(" "));
        put_node(words, child);
    }
    put(words, is_mapping ? SLICE(" }") : count ? SLICE(" ]") : SLICE("]"));
}

struct slice rules__words(struct rules__loader *loader, const struct rules__node *node)
{
    static const struct slice more = {(const uint8_t *)"...", 3};
    uint8_t text[RULES_WORDS_MAX];
    struct words words = {.w = writer_open(text, sizeof(text) - more.size)};
    if (!node || node->kind == RULES__BROKEN)
        return slice_of(NULL, 0);
    put_node(&words, node);
    if (words.is_cut) {
        words.w.error = ERROR_NONE;
        words.w.end += more.size;
        writer_bytes(&words.w, more);
    }
    return rules__keep(loader, writer_slice(&words.w));
}
