#include "spop/kv.h"

/* Source: HAProxy's doc/SPOE.txt 3.2.4 and 3.2.5. */

#define KEY_VERSIONS     SLICE("supported-versions")
#define KEY_VERSION      SLICE("version")
#define KEY_FRAME_SIZE   SLICE("max-frame-size")
#define KEY_CAPABILITIES SLICE("capabilities")
#define KEY_HEALTHCHECK  SLICE("healthcheck")
#define KEY_ENGINE_ID    SLICE("engine-id")

#define VERSION SLICE("2.0")

/* The items of both HELLOs that are mandatory come first, in the order in which their absence or
 * unfitness is told. */
enum item {
    ITEM_VERSION,
    ITEM_FRAME_SIZE,
    ITEM_CAPABILITIES,
    ITEM_HEALTHCHECK,
    ITEM_ENGINE_ID,
};

static const struct {
    const char *word;
    enum spop_capability capability;
} capability_words[] = {
    {"fragmentation", SPOP_FRAGMENTATION},
    {"pipelining", SPOP_PIPELINING},
    {"async", SPOP_ASYNC},
};
#define CAPABILITY_WORDS (sizeof(capability_words) / sizeof(capability_words[0]))

static struct slice without_spaces_around(struct slice s)
{
    while (s.size && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_from(s, 1);
    while (s.size && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

/* Takes what is before the first separator off the text. Without one takes all of it. */
static struct slice take_until(struct slice *text, char separator)
{
    const uint8_t *at = text->size ? memchr(text->data, separator, text->size) : NULL;
    struct slice word = slice_of(text->data, at ? (size_t)(at - text->data) : text->size);
    *text = slice_from(*text, word.size + 1);
    return word;
}

static bool is_version_2(struct slice version)
{
    uint64_t major;
    uint64_t minor;
    struct slice rest = without_spaces_around(version);
    struct slice before_dot = take_until(&rest, '.');
    return slice_to_uint64(before_dot, &major) && slice_to_uint64(rest, &minor) && major == 2;
}

static bool list_has_version_2(struct slice list)
{
    while (list.size)
        if (is_version_2(take_until(&list, ',')))
            return true;
    return false;
}

static unsigned read_capabilities(struct slice list)
{
    unsigned capabilities = 0;
    while (list.size) {
        struct slice word = without_spaces_around(take_until(&list, ','));
        for (size_t i = 0; i < CAPABILITY_WORDS; i++)
            if (slice_equal(word, slice_of_string(capability_words[i].word)))
                capabilities |= capability_words[i].capability;
    }
    return capabilities;
}

/* What both HELLOs must have. */
static enum spop_status read_mandatory(const struct spop__item *items,
                                       bool (*speaks_version_2)(struct slice text),
                                       uint32_t *max_frame_size, unsigned *capabilities)
{
    if (!items[ITEM_VERSION].found)
        return SPOP_NO_VERSION;
    if (!speaks_version_2(items[ITEM_VERSION].value.bytes))
        return SPOP_BAD_VERSION;
    if (!items[ITEM_FRAME_SIZE].found)
        return SPOP_NO_FRAME_SIZE;
    *max_frame_size = (uint32_t)items[ITEM_FRAME_SIZE].value.natural;
    if (*max_frame_size < SPOP_FRAME_SIZE_MIN)
        return SPOP_BAD_FRAME_SIZE;
    if (!items[ITEM_CAPABILITIES].found)
        return SPOP_NO_CAPABILITIES;
    *capabilities = read_capabilities(items[ITEM_CAPABILITIES].value.bytes);
    return SPOP_NORMAL;
}

enum spop_status spop_read_haproxy_hello(struct slice payload, struct spop_haproxy_hello *hello)
{
    struct spop__item items[] = {
        [ITEM_VERSION] = {.key = KEY_VERSIONS, .type = VALUE_STRING},
        [ITEM_FRAME_SIZE] = {.key = KEY_FRAME_SIZE, .type = VALUE_UINT32},
        [ITEM_CAPABILITIES] = {.key = KEY_CAPABILITIES, .type = VALUE_STRING},
        [ITEM_HEALTHCHECK] = {.key = KEY_HEALTHCHECK, .type = VALUE_BOOL},
        [ITEM_ENGINE_ID] = {.key = KEY_ENGINE_ID, .type = VALUE_STRING},
    };
    *hello = (struct spop_haproxy_hello){.version_2 = false};
    if (!spop__read_items(payload, items, sizeof(items) / sizeof(items[0])))
        return SPOP_INVALID;
    enum spop_status status =
        read_mandatory(items, list_has_version_2, &hello->max_frame_size, &hello->capabilities);
    hello->version_2 = status != SPOP_NO_VERSION && status != SPOP_BAD_VERSION;
    if (items[ITEM_HEALTHCHECK].found)
        hello->healthcheck = items[ITEM_HEALTHCHECK].value.boolean;
    if (items[ITEM_ENGINE_ID].found)
        hello->engine_id = items[ITEM_ENGINE_ID].value.bytes;
    return status;
}

enum spop_status spop_read_agent_hello(struct slice payload, struct spop_agent_hello *hello)
{
    struct spop__item items[] = {
        [ITEM_VERSION] = {.key = KEY_VERSION, .type = VALUE_STRING},
        [ITEM_FRAME_SIZE] = {.key = KEY_FRAME_SIZE, .type = VALUE_UINT32},
        [ITEM_CAPABILITIES] = {.key = KEY_CAPABILITIES, .type = VALUE_STRING},
    };
    *hello = (struct spop_agent_hello){.capabilities = 0};
    if (!spop__read_items(payload, items, sizeof(items) / sizeof(items[0])))
        return SPOP_INVALID;
    if (items[ITEM_VERSION].found)
        hello->version = without_spaces_around(items[ITEM_VERSION].value.bytes);
    return read_mandatory(items, is_version_2, &hello->max_frame_size, &hello->capabilities);
}

static void write_capabilities(struct writer *w, unsigned capabilities)
{
    uint8_t buffer[64]; /* all the words, and a comma after each */
    struct writer list = writer_open(buffer, sizeof(buffer));
    for (size_t i = 0; i < CAPABILITY_WORDS; i++) {
        if (!(capabilities & capability_words[i].capability))
            continue;
        if (writer_size(&list))
            writer_uint8(&list, ',');
        writer_bytes(&list, slice_of_string(capability_words[i].word));
    }
    spop__write_string_item(w, KEY_CAPABILITIES, writer_slice(&list));
}

bool spop_write_haproxy_hello(struct writer *w, const struct spop_haproxy_hello *hello)
{
    uint8_t *start = spop_frame_begin(w, SPOP_FRAME_HAPROXY_HELLO, SPOP_FLAG_FIN, 0, 0);
    spop__write_string_item(w, KEY_VERSIONS, VERSION);
    spop__write_uint32_item(w, KEY_FRAME_SIZE, hello->max_frame_size);
    write_capabilities(w, hello->capabilities);
    if (hello->healthcheck) {
        struct value yes = {.type = VALUE_BOOL, .boolean = true};
        spop_write_string(w, KEY_HEALTHCHECK);
        spop_write_value(w, &yes);
    }
    if (hello->engine_id.size)
        spop__write_string_item(w, KEY_ENGINE_ID, hello->engine_id);
    return spop_frame_end(w, start, hello->max_frame_size);
}

bool spop_write_agent_hello(struct writer *w, uint32_t max_frame_size, unsigned capabilities)
{
    uint8_t *start = spop_frame_begin(w, SPOP_FRAME_AGENT_HELLO, SPOP_FLAG_FIN, 0, 0);
    spop__write_string_item(w, KEY_VERSION, VERSION);
    spop__write_uint32_item(w, KEY_FRAME_SIZE, max_frame_size);
    write_capabilities(w, capabilities);
    return spop_frame_end(w, start, SPOP_FRAME_SIZE_MIN);
}
