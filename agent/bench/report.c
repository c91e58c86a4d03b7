#include <inttypes.h>

#include "agent/bench/report.h"

static const struct {
    const char *name;
    const char *key;
    uint32_t share;
} percentiles[] = {
    {"p50", "p50", 50000},     {"p90", "p90", 90000},       {"p99", "p99", 99000},
    {"p99.9", "p99_9", 99900}, {"p99.99", "p99_99", 99990},
};

#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static const char *order_name(enum bench_order order)
{
    static const char *const names[] = {"uniform", "zipf", "in-turn"};
    return names[order];
}

static double per(double amount, uint64_t divisor)
{
    return divisor ? amount / (double)divisor : 0;
}

static double microseconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / 1000;
}

static double seconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / 1e9;
}

static double percentile(const struct bench_result *result, size_t index)
{
    return microseconds(bench_histogram_percentile(&result->latency, percentiles[index].share));
}

static double rate(const struct bench_result *result)
{
    return result->took ? (double)result->answered / seconds(result->took) : 0;
}

static void print_load(const struct bench_options *options, FILE *stream)
{
    fprintf(stream, "%s: %" PRIu64 " connections x %" PRIu64 " in flight, ", options->address,
            options->connections, options->in_flight);
    if (options->rate)
        fprintf(stream, "open loop at %" PRIu64 " requests/s", options->rate);
    else
        fprintf(stream, "closed loop");
    fprintf(stream, ", %" PRIu64 " keys, %s", options->keys, order_name(options->order));
    if (options->order == BENCH_ZIPF)
        fprintf(stream, " %g", options->exponent);
    fputc('\n', stream);
}

static void print_sources(const struct bench_answers *answers, FILE *stream)
{
    if (answers->source_count + answers->other_sources == 0)
        return;
    fprintf(stream, "  sources    ");
    for (size_t i = 0; i < answers->source_count; i++)
        fprintf(stream, " %s %" PRIu64, answers->sources[i].name, answers->sources[i].answers);
    if (answers->other_sources)
        fprintf(stream, " (others) %" PRIu64, answers->other_sources);
    fputc('\n', stream);
}

void bench_report(const struct bench_options *options, const struct bench_result *result,
                  FILE *stream)
{
    const struct bench_answers *answers = &result->answers;
    print_load(options, stream);
    fprintf(stream, "  answers     %" PRIu64 " in %.3f s: %.0f/s\n", result->answered,
            seconds(result->took), rate(result));
    fprintf(stream, "  outcomes    %" PRIu64 " allowed, %" PRIu64 " refused", answers->allowed,
            answers->refused);
    if (answers->undecided)
        fprintf(stream, ", %" PRIu64 " neither", answers->undecided);
    fprintf(stream, "; %" PRIu64 " without an answer\n", result->unanswered);
    print_sources(answers, stream);
    fprintf(stream, "  latency    ");
    for (size_t i = 0; i < PERCENTILES; i++)
        fprintf(stream, " %s %.1f", percentiles[i].name, percentile(result, i));
    fprintf(stream, " longest %.1f mean %.1f us (each at most %.1f %% above)\n",
            microseconds(result->latency.longest),
            per(microseconds(result->latency.sum), result->latency.total),
            100 * BENCH_HISTOGRAM_PRECISION);
    fprintf(stream, "  generator   %.3f us of CPU a request\n",
            per(microseconds(result->own.cpu), result->asked));
    if (options->agent)
        fprintf(stream,
                "  agent       %.3f us of CPU a decision (%.2f s user, %.2f s system), %.1f MB "
                "resident\n",
                per(microseconds(result->agent.cpu), result->answered), seconds(result->agent.user),
                seconds(result->agent.system), (double)result->agent.resident / 1e6);
}

static void print_json_usage(const struct bench_usage *usage, uint64_t divisor, FILE *stream)
{
    fprintf(stream,
            "{\"cpu_seconds\": %.6f, \"user_seconds\": %.2f, \"system_seconds\": %.2f, "
            "\"cpu_us_per_request\": %.4f, \"resident_bytes\": %" PRIu64 "}",
            seconds(usage->cpu), seconds(usage->user), seconds(usage->system),
            per(microseconds(usage->cpu), divisor), usage->resident);
}

static void print_json_sources(const struct bench_answers *answers, FILE *stream)
{
    const char *comma = "";
    fputc('{', stream);
    for (size_t i = 0; i < answers->source_count; i++, comma = ", ")
        fprintf(stream, "%s\"%s\": %" PRIu64, comma, answers->sources[i].name,
                answers->sources[i].answers);
    if (answers->other_sources)
        fprintf(stream, "%s\"\": %" PRIu64, comma, answers->other_sources);
    fputc('}', stream);
}

static void print_json_latency(const struct bench_result *result, FILE *stream)
{
    fputc('{', stream);
    for (size_t i = 0; i < PERCENTILES; i++)
        fprintf(stream, "\"%s\": %.3f, ", percentiles[i].key, percentile(result, i));
    fprintf(stream, "\"longest\": %.3f, \"mean\": %.3f, \"precision\": %g}",
            microseconds(result->latency.longest),
            per(microseconds(result->latency.sum), result->latency.total),
            BENCH_HISTOGRAM_PRECISION);
}

void bench_report_json(const struct bench_options *options, const struct bench_result *result,
                       FILE *stream)
{
    const struct bench_answers *answers = &result->answers;
    fprintf(stream,
            "{\"loop\": \"%s\", \"connections\": %" PRIu64 ", \"in_flight\": %" PRIu64
            ", \"rate\": %" PRIu64 ", \"keys\": %" PRIu64 ", \"order\": \"%s\", \"exponent\": %g, ",
            options->rate ? "open" : "closed", options->connections, options->in_flight,
            options->rate, options->keys, order_name(options->order), options->exponent);
    fprintf(stream,
            "\"asked\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"unanswered\": %" PRIu64
            ", \"seconds\": %.6f, \"answers_per_second\": %.1f, \"allowed\": %" PRIu64
            ", \"refused\": %" PRIu64 ", \"undecided\": %" PRIu64 ", \"sources\": ",
            result->asked, result->answered, result->unanswered, seconds(result->took),
            rate(result), answers->allowed, answers->refused, answers->undecided);
    print_json_sources(answers, stream);
    fputs(", \"latency_us\": ", stream);
    print_json_latency(result, stream);
    fputs(", \"generator\": ", stream);
    print_json_usage(&result->own, result->asked, stream);
    if (options->agent) {
        fputs(", \"agent\": ", stream);
        print_json_usage(&result->agent, result->answered, stream);
    }
    fputs("}\n", stream);
}
