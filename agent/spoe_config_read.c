#include "agent/spoe_config_read.h"

/* The arguments' names of the message that is being read are in a list of the reader's, which grows
 * and is left behind in the arena where it was too small. */
struct reader {
    struct spoe_sent *sent;
    struct rules_sent *messages;
    size_t message_room;
    const char **arguments;
    size_t argument_room;
    bool in_message;
    bool out_of_memory;
};

/* The list with room for one more; NULL when out of memory. */
static void *grow(struct reader *reader, void *list, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return list;
    size_t larger = count ? 2 * count : 16;
    void *copy = arena_array(&reader->sent->arena, larger, size);
    if (!copy) {
        reader->out_of_memory = true;
        return NULL;
    }
    if (list)
        memcpy(copy, list, count * size);
    *room = larger;
    return copy;
}

/* ---- words --------------------------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line as HAProxy reads it (Configuration Manual, section 2.2): quotes and
 * backslashes are taken off, '#' begins a comment. The word is written to the writer, followed by a
 * NUL. False at the line's end. */
static bool next_word(struct slice *line, struct writer *word)
{
    size_t at = 0;
    uint8_t quote = 0;
    while (at < line->size && is_blank(line->data[at]))
        at++;
    bool any = at < line->size && line->data[at] != '#';
    for (; any && at < line->size; at++) {
        uint8_t c = line->data[at];
        if (!quote && (is_blank(c) || c == '#'))
            break;
        if (quote ? c == quote : c == '"' || c == '\'')
            quote = quote ? 0 : c;
        else if (c == '\\' && quote != '\'' && at + 1 < line->size)
            writer_uint8(word, line->data[++at]);
        else
            writer_uint8(word, c);
    }
    writer_uint8(word, 0);
    *line = any ? slice_from(*line, at) : slice_of(NULL, 0);
    return any;
}

/* ---- lines --------------------------------------------------------------------------------- */

static const char *keep(struct reader *reader, struct slice text)
{
    struct slice copy = arena_copy(&reader->sent->arena, text);
    reader->out_of_memory = reader->out_of_memory || !copy.data;
    return (const char *)copy.data;
}

static void begin_message(struct reader *reader, const char *name)
{
    struct rules_sent_list *list = &reader->sent->list;
    struct rules_sent *messages =
        grow(reader, reader->messages, list->count, &reader->message_room, sizeof(*messages));
    if (!messages)
        return;
    messages[list->count++] = (struct rules_sent){.message = keep(reader, slice_of_string(name))};
    list->messages = messages;
    reader->messages = messages;
    reader->arguments = NULL;
    reader->argument_room = 0;
    reader->in_message = !reader->out_of_memory;
}

static void add_argument(struct reader *reader, const char *word)
{
    struct rules_sent *message = &reader->messages[reader->sent->list.count - 1];
    const char *equals = strchr(word, '=');
    if (!equals || equals == word)
        return;
    const char **arguments =
        grow(reader, reader->arguments, message->count, &reader->argument_room, sizeof(*arguments));
    if (!arguments)
        return;
    arguments[message->count++] = keep(reader, slice_of(word, (size_t)(equals - word)));
    message->arguments = arguments;
    reader->arguments = arguments;
}

static void read_line(struct reader *reader, struct slice line, struct slice buffer)
{
    struct writer word = writer_open((uint8_t *)buffer.data, buffer.size);
    const char *text = (const char *)buffer.data;
    if (!next_word(&line, &word))
        return;
    bool is_args = strcmp(text, "args") == 0;
    bool is_message = strcmp(text, "spoe-message") == 0;
    bool ends = is_message || text[0] == '[' || strcmp(text, "spoe-agent") == 0 ||
                strcmp(text, "spoe-group") == 0;
    reader->in_message = reader->in_message && !ends;
    while (is_message || (is_args && reader->in_message)) {
        word.position = word.begin;
        if (!next_word(&line, &word))
            return;
        if (is_message)
            begin_message(reader, text);
        else
            add_argument(reader, text);
        is_message = false;
    }
}

bool spoe_sent_read(struct spoe_sent *sent, struct slice text, const char *name, const char **what)
{
    *sent = (struct spoe_sent){.list.file = name, .arena.maximum = 8 * (size_t)SPOE_FILE_MAX};
    struct reader reader = {.sent = sent};
    /* No word is longer than the file. */
    uint8_t *buffer =
        text.size <= SPOE_FILE_MAX ? arena_allocate(&sent->arena, text.size + 1) : NULL;
    reader.out_of_memory = !buffer;
    while (text.size && !reader.out_of_memory) {
        const uint8_t *newline = memchr(text.data, '\n', text.size);
        size_t size = newline ? (size_t)(newline - text.data) : text.size;
        read_line(&reader, slice_of(text.data, size), slice_of(buffer, text.size + 1));
        text = slice_from(text, size + (newline != NULL));
    }
    *what = reader.out_of_memory ? "one that is not that large"
                                 : "HAProxy's SPOE configuration with a spoe-message in it";
    return sent->list.count && !reader.out_of_memory;
}

void spoe_sent_free(struct spoe_sent *sent)
{
    arena_free(&sent->arena);
}
