/* sluice explain --live: what a running agent says of the same message. */
#include <stdio.h>

#include "agent/admin/client.h"
#include "agent/explain.h"

#define QUERY_MAX  30000
#define TIMEOUT_MS 5000

/* The path and query of a message; the arguments as they were given, NAME=VALUE or
 * NAME:TYPE=VALUE. */
static bool write_path(const struct explain_live *live, struct slice message, struct writer *w)
{
    writer_bytes(w, SLICE("/explain?message="));
    admin_escape(message, w);
    for (size_t i = 0; i < live->count; i++) {
        struct slice text = slice_of_string(live->arguments[i]);
        const char *equals = strchr(live->arguments[i], '=');
        struct slice name = slice_of(text.data, (size_t)(equals - live->arguments[i]));
        writer_uint8(w, '&');
        admin_escape(name, w);
        /* With its type, or it could be one of the page's own. */
        if (!memchr(name.data, ':', name.size)) {
            writer_bytes(w, SLICE("%3A"));
            writer_bytes(w, slice_of_string(question_type_name(live->types[i])));
        }
        writer_uint8(w, '=');
        admin_escape(slice_of_string(equals + 1), w);
    }
    writer_uint8(w, 0);
    return !w->error;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "?";
}

static void print_seconds(const json_t *json, const char *name, const char *words)
{
    double seconds = json_number_value(json_object_get(json, name));
    if (seconds > 0)
        printf(", %s in %.3g s", words, seconds);
}

static void print_limit(const json_t *limit)
{
    const char *store = text_of(limit, "store");
    const json_t *burst = json_object_get(limit, "burst");
    printf("  %s, key %s: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " left",
           text_of(limit, "limit"), text_of(limit, "key"),
           json_integer_value(json_object_get(limit, "remaining")),
           json_integer_value(burst ? burst : json_object_get(limit, "units")));
    if (json_is_true(json_object_get(limit, "refuses")))
        printf(", refused");
    print_seconds(limit, "retry_after_seconds", "to be had");
    printf(" (%s%s%s)\n", text_of(limit, "source"), strcmp(store, "answered") ? ", store " : "",
           strcmp(store, "answered") ? store : "");
}

static void print_value(const json_t *value)
{
    if (json_is_boolean(value))
        printf("%s", json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value))
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        printf("%s", json_string_value(value) ? json_string_value(value) : "?");
}

static void print_answer(json_t *answer)
{
    const char *name;
    json_t *value;
    printf("and would answer:\n");
    json_object_foreach(answer, name, value)
    {
        printf("  %s=", name);
        print_value(value);
        printf("\n");
    }
}

bool explain_live(const struct explain_live *live, struct slice message)
{
    char path[QUERY_MAX];
    char why[ADMIN_WHY_MAX] = "the question is too long";
    struct writer w = writer_open(path, sizeof(path));
    json_t *json = write_path(live, message, &w)
                       ? admin_fetch(&live->endpoint, path, live->token_file, TIMEOUT_MS, NULL, why)
                       : NULL;
    if (!json) {
        fprintf(stderr, "sluice explain: %s: %s\n", live->address, why);
        return false;
    }
    const json_t *limits = json_object_get(json, "limits");
    printf("\nthe agent at %s, whose rules may be others, says now:\n", live->address);
    for (size_t i = 0; i < json_array_size(limits); i++)
        print_limit(json_array_get(limits, i));
    if (json_array_size(limits) == 0)
        printf("  no limit applies\n");
    print_answer(json_object_get(json, "answer"));
    json_decref(json);
    return true;
}
