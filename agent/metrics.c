#include "agent/metrics_parts.h"
#include "agent/totals.h"

void metrics__histogram(FILE *stream, const char *name, const char *labels,
                        const struct histogram *histogram)
{
    const char *comma = *labels ? "," : "";
    const char *begin = *labels ? "{" : "";
    const char *end = *labels ? "}" : "";
    uint64_t count = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        count += counter_read(&histogram->counts[i]);
        fprintf(stream, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma,
                histogram_bounds[i] / 1e6, count);
    }
    count += counter_read(&histogram->counts[HISTOGRAM_BOUNDS]);
    fprintf(stream, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, count);
    fprintf(stream, "%s_sum%s%s%s %.6f\n", name, begin, labels, end,
            (double)counter_read(&histogram->sum) / 1e6);
    fprintf(stream, "%s_count%s%s%s %" PRIu64 "\n", name, begin, labels, end, count);
}

static void write_sources(const struct control *control, FILE *stream)
{
    static const char *const words[2] = {"refused", "allowed"};
    metrics__head(stream, "sluice_decisions_by_source_total", "counter",
                  "Requests decided, by where the limit that decided was answered from, and by "
                  "outcome; of those that no limit decided, source is none.");
    for (size_t i = 0; i <= STORE_SOURCES; i++) {
        struct slice source =
            i < STORE_SOURCES ? store_source_name((enum store_source)i) : SLICE("none");
        for (size_t allowed = 0; allowed < 2; allowed++)
            fprintf(stream,
                    "sluice_decisions_by_source_total{source=\"%.*s\",outcome=\"%s\"} %" PRIu64
                    "\n",
                    SLICE_ARGS(source), words[allowed],
                    TOTAL_DECISIONS_AT(control, by_source, 2 * i + allowed));
    }
}

static void write_latency(const struct control *control, FILE *stream)
{
    struct histogram durations = {0};
    totals_of_latency(control, &durations);
    metrics__head(stream, "sluice_decision_duration_seconds", "histogram",
                  "How long decisions took, from the turn that read the question to the end of the "
                  "one that wrote the answer.");
    metrics__histogram(stream, "sluice_decision_duration_seconds", "", &durations);
}

static void write_decisions(const struct control *control, FILE *stream)
{
    metrics__head(stream, "sluice_decisions_total", "counter", "Requests decided, by outcome.");
    fprintf(stream, "sluice_decisions_total{outcome=\"allowed\"} %" PRIu64 "\n",
            TOTAL_DECISIONS(control, allowed));
    fprintf(stream, "sluice_decisions_total{outcome=\"refused\"} %" PRIu64 "\n",
            TOTAL_DECISIONS(control, refused));
    write_sources(control, stream);
    metrics__single(stream, "sluice_decisions_unmatched_total", "counter",
                    "Requests allowed since no rule applied to them.",
                    TOTAL_DECISIONS(control, unmatched));
    metrics__single(stream, "sluice_decisions_bypassed_total", "counter",
                    "Requests allowed by a rule with action: allow.",
                    TOTAL_DECISIONS(control, bypassed));
    metrics__single(stream, "sluice_decisions_shadow_refused_total", "counter",
                    "Requests allowed that a rule in mode shadow would have refused.",
                    TOTAL_DECISIONS(control, shadow_refused));
    metrics__single(stream, "sluice_decisions_delayed_total", "counter",
                    "Requests allowed that were to wait, by a rule in mode delay.",
                    TOTAL_DECISIONS(control, delayed));
    metrics__single(stream, "sluice_penalties_total", "counter",
                    "Penalties imposed on subjects that were refused too often.",
                    TOTAL_DECISIONS(control, penalties));
    metrics__single(
        stream, "sluice_rule_key_absent_total", "counter",
        "Rules that matched but didn't apply, since an argument of their key was absent.",
        TOTAL_DECISIONS(control, key_absent));
    metrics__head(stream, "sluice_fallbacks_total", "counter",
                  "Limits answered by on_store_error instead of the store, by cause.");
    fprintf(stream, "sluice_fallbacks_total{cause=\"full\"} %" PRIu64 "\n",
            TOTAL_DECISIONS(control, store_full));
    fprintf(stream, "sluice_fallbacks_total{cause=\"unavailable\"} %" PRIu64 "\n",
            TOTAL_DECISIONS(control, store_unavailable));
    fprintf(stream, "sluice_fallbacks_total{cause=\"late\"} %" PRIu64 "\n",
            TOTAL_DECISIONS(control, store_late));
    metrics__single(stream, "sluice_fallback_units_total", "counter",
                    "Units let through by on_store_error.",
                    TOTAL_DECISIONS(control, fallback_units));
    metrics__single(stream, "sluice_pending", "gauge", "Requests that wait for the store now.",
                    TOTAL_DECISIONS(control, pending));
    metrics__single(stream, "sluice_pending_max", "gauge", "Requests that may wait for the store.",
                    (uint64_t)CONTROL_MAX_PENDING * control->worker_count);
    metrics__single(
        stream, "sluice_pending_full_total", "counter",
        "Requests answered by on_store_error since too many were waiting for the store.",
        TOTAL_DECISIONS(control, pending_full));
    write_latency(control, stream);
    metrics__single(stream, "sluice_regex_overruns_total", "counter",
                    "Regular expressions that were given up, at a bound of time or of text.",
                    TOTAL_DECISIONS(control, regex_overruns));
}

static void write_connections(const struct control *control, FILE *stream)
{
    metrics__single(stream, "sluice_connections", "gauge", "SPOP connections open now.",
                    totals_open_connections(control));
    metrics__single(stream, "sluice_connections_max", "gauge", "SPOP connections that may be open.",
                    counter_read(&control->counters.max_connections));
    metrics__single(stream, "sluice_connections_accepted_total", "counter",
                    "SPOP connections accepted.", counter_read(&control->counters.accepted));
    metrics__single(stream, "sluice_connections_refused_total", "counter",
                    "SPOP connections closed at once, since too many were open.",
                    counter_read(&control->counters.refused_connections));
    metrics__single(stream, "sluice_connection_timeouts_total", "counter",
                    "SPOP connections closed for being idle, or without a HELLO, for too long.",
                    TOTAL_CONNECTIONS(control, timeouts));
    metrics__single(stream, "sluice_connection_stalls_total", "counter",
                    "Times that a connection wasn't read from, since its answers weren't.",
                    TOTAL_CONNECTIONS(control, stalled));
    metrics__single(stream, "sluice_healthchecks_total", "counter", "SPOP health checks answered.",
                    TOTAL_CONNECTIONS(control, healthchecks));
    metrics__single(stream, "sluice_notifies_total", "counter", "NOTIFY frames received.",
                    TOTAL_CONNECTIONS(control, notifies));
    metrics__head(stream, "sluice_frames_refused_total", "counter",
                  "Frames answered by AGENT-DISCONNECT, by SPOP status code.");
    for (size_t code = 1; code < CONNECTION_CODES; code++) {
        unsigned shown = code == CONNECTION_CODES - 1 ? SPOP_UNKNOWN : (unsigned)code;
        fprintf(stream, "sluice_frames_refused_total{code=\"%u\"} %" PRIu64 "\n", shown,
                TOTAL_CONNECTIONS_AT(control, frames_refused, code));
    }
}

static void write_store(const struct control *control, FILE *stream)
{
    struct store_statistics statistics;
    store_statistics(control->store, &statistics);
    metrics__single(stream, "sluice_store_keys", "gauge", "Keys in the memory store.",
                    statistics.keys);
    metrics__single(stream, "sluice_store_max_keys", "gauge",
                    "Keys that the memory store has room for.", statistics.max_keys);
    metrics__single(stream, "sluice_store_log_bytes", "gauge", "Bytes of sliding logs.",
                    statistics.log_bytes);
    metrics__single(stream, "sluice_store_reclaimed_total", "counter",
                    "Expired keys whose place in the memory store was taken back.",
                    statistics.reclaimed);
    metrics__single(stream, "sluice_store_full_total", "counter",
                    "Takes of a new key that found the memory store full.", statistics.full_total);
}

/* Looked at when it is asked for, so that a file that was changed and not loaded shows. */
static void write_file_time(const struct control *control, FILE *stream)
{
    int64_t seconds;
    if (!watch_newest(control->watch, &seconds))
        return;
    metrics__head(stream, "sluice_rules_file_timestamp_seconds", "gauge",
                  "When the rule file, or one that is read for it, was last changed; absent where "
                  "there is none.");
    fprintf(stream, "sluice_rules_file_timestamp_seconds %" PRId64 "\n", seconds);
}

static void write_agent(const struct control *control, FILE *stream)
{
    const struct control_counters *counters = &control->counters;
    metrics__head(stream, "sluice_reloads_total", "counter",
                  "Reloads of the rule file, by result.");
    fprintf(stream, "sluice_reloads_total{result=\"ok\"} %" PRIu64 "\n",
            counter_read(&counters->reloads));
    fprintf(stream, "sluice_reloads_total{result=\"failed\"} %" PRIu64 "\n",
            counter_read(&counters->reloads_failed));
    metrics__single(stream, "sluice_reload_last_successful", "gauge",
                    "0 where the last reload failed, otherwise 1.",
                    !counter_read(&counters->last_reload_failed));
    metrics__single(stream, "sluice_rules", "gauge", "Rules in force.",
                    counter_read(&counters->rules));
    metrics__single(stream, "sluice_rules_loaded_timestamp_seconds", "gauge",
                    "When the rules in force were loaded, or last found to be what the files say.",
                    counter_read(&counters->loaded_at));
    write_file_time(control, stream);
    metrics__single(stream, "sluice_workers", "gauge", "Worker threads.", control->worker_count);
    metrics__head(stream, "sluice_build_info", "gauge", "1, with the version as a label.");
    fprintf(stream, "sluice_build_info{version=\"%s\"} 1\n", SLUICE_VERSION);
}

void metrics_write(const struct control *control, FILE *stream)
{
    write_decisions(control, stream);
    metrics__write_rules(control, stream);
    write_connections(control, stream);
    metrics__write_candidate(control, stream);
    write_store(control, stream);
    metrics__write_redis(control, stream);
    write_agent(control, stream);
    metrics__write_process(stream);
}
