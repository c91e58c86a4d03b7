#include "agent/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/clock.h"
#include "agent/command.h"
#include "agent/file.h"

#define BUFFER_SIZE     ((size_t)1 << 20) /* and the longest line */
#define PROGRESS_LINES  65536
#define PROGRESS_PERIOD 200000 /* microseconds */
#define MINUTE          UINT64_C(60000000)

static void print_help(FILE *stream)
{
    fputs(
        "usage: sluice replay FILE --log LOG [--format FORMAT] [--against OLD_FILE] ...\n\n"
        "Runs the requests of an access log through the rules of a file, on the log's own clock\n"
        "and with counters of its own, and says how many requests each rule would have refused,\n"
        "and whose. No agent is asked and nothing is changed.\n\n"
        "  -l, --log LOG            the log; '-' is standard input\n"
        "  -f, --format FORMAT      http: HAProxy's `option httplog`; json: an object a line, its\n"
        "                           members named as the arguments are; or a log-format as in\n"
        "                           HAProxy's configuration, where %[NAME] is the argument NAME.\n"
        "                           Left out: json where the log begins with '{', else http\n"
        "  -c, --captures A,B       what arguments the captured request headers ({...|...}) are\n"
        "  -t, --time MEMBER        of json: where the time is (default: time, timestamp,\n"
        "                           @timestamp, ts or date)\n"
        "  -a, --argument A=MEMBER  of json: the argument A is in this member\n"
        "  -o, --against OLD_FILE   other rules, to compare with\n"
        "  -h, --help               this text\n\n"
        "A line's request is told to the rules as HAProxy would: src, src_port, method, path,\n"
        "query, url, http_version, frontend, ssl, and what else the format has; and to those of\n"
        "a message with `status`, afterwards. Times without an offset are taken as UTC.\n\n"
        "exit status: 0 when the log was read, 1 when it or a rule file can't be used, 2 for a\n"
        "wrong command line\n",
        stream);
}

struct replay {
    const char *rules_path;
    const char *against_path;
    const char *log_path;
    const char *format_text;
    const char *captures;
    bool is_json;
    struct replay_fields fields;
    struct replay_format format;
    struct replay_json json;
    struct replay_run *run;
    struct replay_run *against;
    struct replay_tally tally;
    struct replay_request request;
    /* Of the log. */
    int fd;
    uint64_t size; /* 0: not known */
    uint64_t bytes;
    uint64_t begun;
    uint64_t shown; /* when progress was */
    bool is_terminal;
};

/* ---- fields -------------------------------------------------------------------------------- */

int replay_field(struct replay_fields *fields, struct slice name, bool add)
{
    size_t at = hash64(name, 0) % REPLAY_TABLE;
    while (fields->table[at]) {
        size_t index = fields->table[at] - 1u;
        if (slice_equal(fields->names[index], name))
            return (int)index;
        at = (at + 1) % REPLAY_TABLE;
    }
    if (!add || fields->count == REPLAY_FIELDS_MAX)
        return -1;
    fields->names[fields->count] = name;
    fields->table[at] = (uint16_t)++fields->count;
    return (int)fields->count - 1;
}

/* ---- progress ------------------------------------------------------------------------------ */

static void show_progress(struct replay *r, bool end)
{
    uint64_t now = clock_now();
    if (!r->is_terminal || (!end && now - r->shown < PROGRESS_PERIOD))
        return;
    double seconds = (double)(now - r->begun) / 1e6;
    double rate = seconds > 0 ? (double)r->tally.lines / seconds : 0;
    r->shown = now;
    fputs("\r\033[K", stderr);
    if (end)
        return;
    if (r->size) {
        int filled = (int)(30 * r->bytes / r->size);
        fprintf(stderr, "[%-*.*s] %3d %%  ", 30, filled, "##############################",
                (int)(100 * r->bytes / r->size));
    }
    fprintf(stderr, "%llu lines, %.0f a second", (unsigned long long)r->tally.lines, rate);
    fflush(stderr);
}

/* ---- lines --------------------------------------------------------------------------------- */

static bool decide(struct replay *r)
{
    struct replay_tally *tally = &r->tally;
    struct replay_request *request = &r->request;
    if (tally->requests++ == 0)
        tally->begin = tally->end = request->time;
    if (request->time < tally->end) {
        tally->late += tally->end - request->time > MINUTE;
        request->time = tally->end;
    }
    tally->end = request->time;
    enum replay_decision now = replay_run_request(r->run, request);
    enum replay_decision before = REPLAY_ALLOWED;
    if (r->against)
        before = replay_run_request(r->against, request);
    tally->refused += now == REPLAY_REFUSED;
    tally->refused_before += before == REPLAY_REFUSED;
    tally->refused_by_both += now == REPLAY_REFUSED && before == REPLAY_REFUSED;
    if (now != REPLAY_FAILED && before != REPLAY_FAILED)
        return true;
    fprintf(stderr, "sluice replay: line %llu: out of memory, or a request larger than a frame\n",
            (unsigned long long)tally->lines);
    return false;
}

static void note_unreadable(struct replay_tally *tally, const char *why)
{
    if (tally->unreadable++ == 0) {
        tally->first_unreadable = tally->lines;
        tally->why = why;
    }
}

static bool read_line(struct replay *r, uint8_t *line, size_t size)
{
    const char *why = NULL;
    enum replay_outcome outcome;
    r->tally.lines++;
    if (size && line[size - 1] == '\r')
        size--;
    if (size == 0)
        return true;
    outcome = r->is_json ? replay_json_line(&r->json, line, size, &r->request, &why)
                         : replay_format_line(&r->format, slice_of(line, size), &r->request, &why);
    if (outcome == REPLAY_REQUEST)
        return decide(r);
    if (outcome == REPLAY_NO_REQUEST)
        r->tally.no_requests++;
    else
        note_unreadable(&r->tally, why);
    return true;
}

/* The whole lines of a buffer; how many of its bytes they take. */
static bool read_lines(struct replay *r, uint8_t *buffer, size_t size, size_t *taken)
{
    *taken = 0;
    while (*taken < size) {
        uint8_t *newline = memchr(buffer + *taken, '\n', size - *taken);
        if (!newline)
            return true;
        if (!read_line(r, buffer + *taken, (size_t)(newline - buffer) - *taken))
            return false;
        *taken = (size_t)(newline - buffer) + 1;
        if (r->tally.lines % PROGRESS_LINES == 0)
            show_progress(r, false);
    }
    return true;
}

/* What is left of a line that is too long is passed over. */
static bool read_log(struct replay *r, uint8_t *buffer, size_t size)
{
    bool too_long = false;
    for (;;) {
        size_t taken = 0;
        ssize_t got = size < BUFFER_SIZE ? read(r->fd, buffer + size, BUFFER_SIZE - size) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            fprintf(stderr, "%s: %s\n", file_shown_name(r->log_path), strerror(errno));
            return false;
        }
        size += (size_t)got;
        r->bytes += (size_t)got;
        uint8_t *newline = too_long ? memchr(buffer, '\n', size) : NULL;
        if (newline) {
            taken = (size_t)(newline - buffer) + 1;
            too_long = false;
        } else if (!too_long && !read_lines(r, buffer, size, &taken)) {
            return false;
        }
        if (got == 0 && size < BUFFER_SIZE)
            return too_long || size == taken || read_line(r, buffer + taken, size - taken);
        if (taken == 0 && size == BUFFER_SIZE) {
            if (!too_long) {
                r->tally.lines++;
                note_unreadable(&r->tally, "lines of less than 1 MiB");
            }
            too_long = true;
            taken = size;
        }
        memmove(buffer, buffer + taken, size - taken);
        size -= taken;
    }
}

/* ---- opening ------------------------------------------------------------------------------- */

static int usage_error(const char *option, const char *got, const char *expected)
{
    fprintf(stderr, "sluice replay: %s%s%s%s, expected %s\n", option, *got ? " is \"" : "", got,
            *got ? "\"" : " is missing", expected);
    return EXIT_USAGE;
}

/* The log's first bytes, by which its format is known. */
static bool open_log(struct replay *r, uint8_t *buffer, size_t *size)
{
    struct stat status;
    bool standard = strcmp(r->log_path, "-") == 0;
    r->fd = standard ? STDIN_FILENO : open(r->log_path, O_RDONLY | O_CLOEXEC);
    if (r->fd >= 0 && fstat(r->fd, &status) == 0 && S_ISREG(status.st_mode))
        r->size = (uint64_t)status.st_size;
    ssize_t got = r->fd < 0 ? -1 : read(r->fd, buffer, BUFFER_SIZE);
    if (got < 0) {
        fprintf(stderr, "%s: %s\n", file_shown_name(r->log_path), strerror(errno));
        return false;
    }
    *size = (size_t)got;
    r->bytes = *size;
    if (!r->format_text)
        r->format_text = *size && buffer[0] == '{' ? "json" : "http";
    r->is_json = strcmp(r->format_text, "json") == 0;
    if (strcmp(r->format_text, "http") == 0)
        r->format_text = REPLAY_HTTP_FORMAT;
    return true;
}

static bool open_format(struct replay *r, const struct rules_set *set,
                        const struct rules_set *against)
{
    const char *what;
    size_t at;
    r->json.fields = &r->fields;
    for (size_t i = 0; r->is_json && i < set->slot_count; i++)
        replay_field(&r->fields, set->slot_names[i], true);
    for (size_t i = 0; r->is_json && against && i < against->slot_count; i++)
        replay_field(&r->fields, against->slot_names[i], true);
    if (r->is_json ||
        replay_format_read(&r->format, r->format_text, r->captures, &r->fields, &what, &at))
        return true;
    fprintf(stderr, "sluice replay: --format: %s\n%*s^ expected %s\n", r->format_text,
            (int)(sizeof("sluice replay: --format: ") - 1 + at), "", what);
    return false;
}

static bool open_rules(struct replay *r)
{
    struct rules_set *against = NULL;
    struct rules_set *set = file_load_rules(r->rules_path, 0, file_print_problem, NULL);
    if (set && r->against_path)
        against = file_load_rules(r->against_path, 0, file_print_problem, NULL);
    bool ready = set && (against || !r->against_path) && open_format(r, set, against);
    if (!ready) {
        rules_free(set);
        rules_free(against);
        return false;
    }
    r->run = replay_run_create(set, &r->fields);
    if (against)
        r->against = replay_run_create(against, &r->fields);
    ready = r->run && (r->against || !r->against_path);
    if (!ready)
        fprintf(stderr, "sluice replay: out of memory\n");
    return ready;
}

static int replay(struct replay *r)
{
    uint8_t *buffer = malloc(BUFFER_SIZE);
    size_t size = 0;
    bool done = false;
    r->begun = clock_now();
    r->is_terminal = isatty(STDERR_FILENO);
    if (!buffer)
        fprintf(stderr, "sluice replay: out of memory\n");
    else if (open_log(r, buffer, &size) && open_rules(r))
        done = read_log(r, buffer, size);
    show_progress(r, true);
    if (done)
        replay_report(&r->tally, &r->fields, r->run, r->against, stdout);
    if (done && r->tally.requests == 0) {
        fprintf(stderr, "%s: no request in it, expected one a line\n",
                file_shown_name(r->log_path));
        done = false;
    }
    replay_run_free(r->run);
    replay_run_free(r->against);
    free(buffer);
    if (r->fd > STDERR_FILENO)
        close(r->fd);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool add_rename(struct replay_json *json, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1] || json->rename_count == REPLAY_RENAMES_MAX)
        return false;
    json->renames[json->rename_count].argument = slice_of(text, (size_t)(equals - text));
    json->renames[json->rename_count++].field = slice_of_string(equals + 1);
    return true;
}

int command_replay(int argc, char **argv)
{
    static const struct option options[] = {
        {"log", required_argument, NULL, 'l'},      {"format", required_argument, NULL, 'f'},
        {"captures", required_argument, NULL, 'c'}, {"time", required_argument, NULL, 't'},
        {"argument", required_argument, NULL, 'a'}, {"against", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    static struct replay r;
    r = (struct replay){.fd = -1};
    for (int option; (option = getopt_long(argc, argv, "l:f:c:t:a:o:h", options, NULL)) != -1;) {
        if (option == 'l')
            r.log_path = optarg;
        else if (option == 'f')
            r.format_text = optarg;
        else if (option == 'c')
            r.captures = optarg;
        else if (option == 't')
            r.json.time = slice_of_string(optarg);
        else if (option == 'o')
            r.against_path = optarg;
        else if (option == 'a' && add_rename(&r.json, optarg))
            continue;
        else if (option == 'a')
            return usage_error("--argument", optarg, "ARGUMENT=MEMBER, at most 64 times");
        else {
            print_help(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
        }
    }
    if (argc - optind != 1)
        return usage_error("FILE", "", "one rule file (sluice replay --help)");
    if (!r.log_path)
        return usage_error("--log", "", "an access log, or - for standard input");
    r.rules_path = argv[optind];
    if (strcmp(r.rules_path, "-") == 0 && strcmp(r.log_path, "-") == 0)
        return usage_error("--log", "-", "another file than the rules'");
    return replay(&r);
}
