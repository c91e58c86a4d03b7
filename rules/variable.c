#include "rules/loader.h"

/* Variables in values, which are those of the shell as far as they go: ${NAME} is what the variable
 * says, ${NAME:-DEFAULT} the default where it is unset or empty. "$${" is "${", and any other '$'
 * is itself, since regular expressions end in it. A value is put together behind YAML's back: what
 * a variable says is a part of one text, whatever is in it, and no variable in it is looked for. */

struct reference {
    struct slice whole; /* ${NAME:-DEFAULT} */
    struct slice name;
    struct slice standby; /* what is behind ":-" */
    bool has_default;
};

static bool is_name_byte(uint8_t c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

/* The one that a text begins with. False when it is none (reported). */
static bool read_reference(struct rules__loader *loader, const struct rules__node *node,
                           struct slice text, struct reference *reference)
{
    static const char expected[] = "${NAME} or ${NAME:-DEFAULT}, with a name of at most 128 "
                                   "letters, digits and '_'; ${ itself is written $${";
    const uint8_t *close = text.data ? memchr(text.data, '}', text.size) : NULL;
    if (!close) {
        rules__problem(loader, node, "%s has no }, expected %s", RULES__QUOTE(text), expected);
        return false;
    }
    struct slice whole = slice_of(text.data, (size_t)(close - text.data) + 1);
    struct slice inner = slice_of(whole.data + 2, whole.size - 3);
    size_t length = 0;
    while (length < inner.size && is_name_byte(inner.data[length], length == 0))
        length++;
    struct slice behind = slice_from(inner, length);
    *reference = (struct reference){
        .whole = whole,
        .name = slice_of(inner.data, length),
        .standby = slice_from(behind, 2),
        .has_default = slice_has_prefix(behind, SLICE(":-")),
    };
    if (length < 1 || length > RULES_VARIABLE_MAX || (behind.size && !reference->has_default)) {
        rules__problem(loader, node, "%s is no variable, expected %s", RULES__QUOTE(whole),
                       expected);
        return false;
    }
    /* It would be read up to the first }, which is not what its author means. */
    if (behind.size && memchr(behind.data, '{', behind.size)) {
        rules__problem(loader, node, "the default of %s has a {, expected a text without one",
                       RULES__QUOTE(whole));
        return false;
    }
    return true;
}

static bool is_utf8(struct slice text)
{
    while (text.size) {
        uint32_t c;
        size_t length = slice_utf8(text, &c);
        if (!length)
            return false;
        text = slice_from(text, length);
    }
    return true;
}

/* What a reference stands for. False when there is nothing (reported). */
static bool look_up(struct rules__loader *loader, const struct rules__node *node,
                    const struct reference *reference, struct slice *value)
{
    const struct rules_environment *environment = loader->environment;
    char name[RULES_VARIABLE_MAX + 1] = "";
    memcpy(name, reference->name.data, reference->name.size);
    *value = environment->variable ? environment->variable(environment->context, name)
                                   : slice_of(NULL, 0);
    if (reference->has_default && value->size == 0) {
        *value = reference->standby;
        return true;
    }
    if (!value->data)
        rules__problem(loader, node,
                       "variable %s is not set, expected it in the environment, or a default, as "
                       "in ${%s:-DEFAULT}",
                       name, name);
    else if (!is_utf8(*value))
        rules__problem(loader, node, "variable %s is not UTF-8, expected text", name);
    else
        return true;
    return false;
}

/* False when anything is wrong (reported); of what is, all that can be told at once. */
static bool expand(struct rules__loader *loader, const struct rules__node *node, struct writer *w)
{
    struct slice rest = node->text;
    bool is_right = true;
    const uint8_t *dollar;
    while (rest.size && (dollar = memmem(rest.data, rest.size, "${", 2))) {
        struct slice before = slice_of(rest.data, (size_t)(dollar - rest.data));
        struct reference reference;
        struct slice value;
        writer_bytes(w, before);
        if (slice_has_suffix(before, SLICE("$"))) {
            writer_uint8(w, '{'); /* its '$' is written already */
            rest = slice_from(rest, before.size + 2);
            continue;
        }
        rest = slice_from(rest, before.size);
        if (!read_reference(loader, node, rest, &reference))
            return false;
        if (look_up(loader, node, &reference, &value))
            writer_bytes(w, value);
        else
            is_right = false;
        rest = slice_from(rest, reference.whole.size);
    }
    writer_bytes(w, rest);
    if (is_right && w->error)
        rules__problem(loader, node,
                       "a value of too many bytes with its variables, expected at "
                       "most %d",
                       RULES_EXPANDED_MAX);
    return is_right && !w->error;
}

void rules__expand(struct rules__loader *loader, struct rules__node *node)
{
    char buffer[RULES_EXPANDED_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    if (node->text.size == 0 || !memmem(node->text.data, node->text.size, "${", 2))
        return;
    bool is_right = expand(loader, node, &w);
    struct slice *written = arena_allocate(&loader->scratch, sizeof(*written));
    struct slice text = arena_copy(&loader->scratch, writer_slice(&w));
    if (!written || !text.data) {
        rules__no_memory(loader);
        is_right = false;
    } else {
        *written = node->text;
        node->written = written;
        node->text = text;
    }
    if (!is_right)
        node->kind = RULES__BROKEN;
}
